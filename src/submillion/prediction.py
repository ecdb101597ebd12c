"""A trained classifier, loaded: texts in, labels and probabilities out."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from submillion.budget.plan import make_plan
from submillion.data.read import RawRows, columns_present, stream_rows
from submillion.data.tokens import tokenize
from submillion.errors import ConfigError
from submillion.model.adapter import assert_planned, freeze_unplanned
from submillion.model.device import has_bf16
from submillion.model.saved import SavedClassifier, load_saved
from submillion.recipe import checked_recipe
from submillion.run import RunFolder, written_atomically
from submillion.scoring import CHUNK_ROWS, Scores, embed_frozen, score

FORMATS = ("csv", "jsonl", "parquet", "submission")


class Predictor:
    """A classifier that answers.

    Attributes:
        label_names: One a label, in the order of the columns of `predict_proba`.
    """

    def __init__(
        self,
        saved: SavedClassifier,
        batch_size: int = 64,
        text_columns: Sequence[str] | None = None,
        label_column: str | None = None,
    ):
        self._saved = saved
        self._batch_size = batch_size
        self._text_columns = text_columns
        self._label_column = label_column
        self.label_names = saved.label_names

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return logits and pooled embeddings of texts, in their order."""
        input_ids = tokenize(self._saved.tokenizer, texts, self._saved.max_length).input_ids
        return score(self._saved.model, input_ids, self._batch_size)

    def scores_and_embeddings(self, texts: Sequence[str]) -> tuple[Scores, dict[str, np.ndarray]]:
        """Return scores, and the frozen encoder's embeddings ``mean`` and ``first``, `[n, width]`, of texts."""
        input_ids = tokenize(self._saved.tokenizer, texts, self._saved.max_length).input_ids
        scores = score(self._saved.model, input_ids, self._batch_size)
        return scores, embed_frozen(self._saved.model, input_ids, self._batch_size)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Return the label name of each text."""
        return [self.label_names[label] for label in self.scores(texts).predictions] if len(texts) else []

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return probabilities `[n, n_labels]`, columns in the order of `label_names`."""
        if not len(texts):
            return np.empty((0, len(self.label_names)))
        return self.scores(texts).probabilities

    def answers(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return each text with its label and every label's probability, ready for JSON."""
        return [
            {
                "text": text,
                "label": self.label_names[int(row.argmax())],
                "probabilities": dict(zip(self.label_names, row.round(4).tolist(), strict=True)),
            }
            for text, row in zip(texts, self.predict_proba(texts), strict=True)
        ]

    def read(self, source: Any, text_columns: Sequence[str] | None = None) -> Iterator[RawRows]:
        """Read the texts of ``source`` piece by piece; its labels are not looked at.

        Args:
            source: A data file or rows in memory.
            text_columns: Where the text stands. Default: the columns named in training where the source has
                them, else those with a usual name.

        Raises:
            DataError: If the source cannot be read.
        """
        if text_columns is None:
            text_columns, _ = columns_present(source, self._text_columns, None)
        return stream_rows(
            source,
            text_columns=text_columns,
            label_column=self._label_column,
            labels="never",
            chunk_rows=CHUNK_ROWS,
        )

    def predict_file(
        self,
        source: Any,
        output: str | Path,
        *,
        format: str | None = None,
        text_columns: Sequence[str] | None = None,
        progress: Callable[[int], None] | None = None,
        note: Callable[[str], None] | None = None,
    ) -> int:
        """Label every row of ``source`` into ``output``, in input order and constant memory.

        Args:
            source: A data file; its labels, where it has any, are not read.
            output: Written whole or not at all.
            format: One of `FORMATS`; default: by the ending of ``output``, else csv.
            text_columns: Where the text stands; default: where it stood in training, else by its usual names.
            progress: Called with the number of rows done.
            note: Called, once all is written, with each sentence on how rows were read or labels numbered.

        Returns:
            The number of rows written.

        Raises:
            ConfigError: If the format is not known, or ``output`` is the source itself.
            DataError: If the source cannot be read.
        """
        path = Path(output)
        chosen = format or {".jsonl": "jsonl", ".parquet": "parquet"}.get(path.suffix.lower(), "csv")
        if chosen not in FORMATS:
            raise ConfigError(f"format={chosen!r} is not one of {', '.join(FORMATS)}")
        if isinstance(source, str | PathLike) and Path(source).expanduser().resolve() == path.resolve():
            raise ConfigError(f"output={str(output)!r} is the file that is read: name another")
        n_rows, notes = 0, _notes_on_numbers(self._saved) if chosen == "submission" else ()
        with written_atomically(path) as temporary, _writer(chosen, temporary, self._saved) as write:
            for chunk in self.read(source, text_columns):
                notes = (*chunk.notes, *notes)  # the reader's stand with the last chunk
                if not chunk.texts:
                    continue
                scores = self.scores(chunk.texts)
                write(n_rows, scores)
                n_rows += len(chunk.texts)
                if progress is not None:
                    progress(len(chunk.texts))
        if note is not None:
            for sentence in notes:
                note(sentence)
        return n_rows


@contextmanager
def _writer(format: str, path: Path, saved: SavedClassifier) -> Iterator[Callable[[int, Scores], None]]:
    """Yield the function that appends scored rows, numbered from its first argument, to ``path``."""
    columns = ["row", "label", "probability", *(f"probability_{name}" for name in saved.label_names)]
    if format == "parquet":
        types = [pyarrow.int64(), pyarrow.string(), *[pyarrow.float64()] * (len(columns) - 2)]
        schema = pyarrow.schema(list(zip(columns, types, strict=True)))
        with parquet.ParquetWriter(path, schema) as file:
            yield lambda start, scores: file.write_table(
                pyarrow.Table.from_pylist(
                    [dict(zip(columns, row, strict=True)) for row in _rows(start, scores, saved)],
                    schema=schema,
                )
            )
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if format == "jsonl":
            yield lambda start, scores: file.writelines(
                json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n"
                for row in _rows(start, scores, saved)
            )
            return
        table = csv.writer(file, lineterminator="\n")
        if format == "submission":
            table.writerow(["ID", "Label"])
            numbers = _integer_labels(saved)
            yield lambda start, scores: table.writerows(
                (start + index, numbers[label]) for index, label in enumerate(scores.predictions)
            )
        else:
            table.writerow(columns)
            yield lambda start, scores: table.writerows(_rows(start, scores, saved))


def _rows(start: int, scores: Scores, saved: SavedClassifier) -> Iterator[list[Any]]:
    """Yield row number, label name, its probability and all probabilities, rounded to six places."""
    probabilities = scores.probabilities.round(6).tolist()
    for index, (label, row) in enumerate(zip(scores.predictions.tolist(), probabilities, strict=True)):
        yield [start + index, saved.label_names[label], row[label], *row]


def _integer_labels(saved: SavedClassifier) -> list[int]:
    """Return each label as an integer: as the training data held it where it did, else its position."""
    values = saved.label_values
    return list(range(len(values))) if _is_numbered(saved) else [int(value) for value in values]


def _is_numbered(saved: SavedClassifier) -> bool:
    """Return whether a label's integer is its position, for the training data held none."""
    return not all(isinstance(value, int) for value in saved.label_values)


def _notes_on_numbers(saved: SavedClassifier) -> tuple[str, ...]:
    """Say which label each integer of a submission is, where the training data did not."""
    numbered = ", ".join(f"{position} = {name}" for position, name in enumerate(saved.label_names))
    return (f"Label is the position: {numbered}.",) if _is_numbered(saved) else ()


def _numerics_of(record: Mapping[str, Any]) -> str:
    """Return what a run predicts in: exact where it was trained so, else fast where the device has bf16."""
    return "fast" if record["with"]["numerics"] != "exact" and has_bf16() else "exact"


def load_predictor(
    path: str | Path, *, encoder: str | None = None, label_names: Sequence[str] | None = None
) -> Predictor:
    """Load a finished run, or any PEFT adapter of a text classifier.

    Args:
        path: A run folder, or a folder with `adapter_config.json`.
        encoder: The base's folder or hub id where it now lies elsewhere.
        label_names: For an adapter that carries none; default: "0", "1", ...

    Raises:
        RunError: If it is neither, not finished, or damaged.
        BudgetError: If what was loaded differs from the run's plan.
        ConfigError: If the base is not here; says which and how to get it. If a run, which has label names of
            its own, is given others.
    """
    folder = RunFolder(path)
    if not folder.exists and (folder.path / "adapter_config.json").is_file():
        return Predictor(load_saved(path, encoder=encoder, label_names=label_names))
    record = folder.read_finished()
    if label_names is not None:
        own = ", ".join(record["data"]["label_names"])
        raise ConfigError(
            f"label_names={','.join(label_names)} is for an adapter that carries none: the run {path} has its own, "
            f"{own}; leave it out"
        )
    recipe = checked_recipe(record["recipe"], str(folder.run_json))
    saved = load_saved(folder.adapter, encoder=encoder, numerics=_numerics_of(record))
    plan = make_plan(
        saved.encoder,
        len(saved.label_names),
        **recipe.budget.model_dump(exclude={"budget"}),
        budget=recipe.budget.budget,
    )
    freeze_unplanned(saved.model, plan)
    assert_planned(saved.model, plan, "after load")
    saved.model.requires_grad_(False)
    return Predictor(
        saved, recipe.training.per_device_eval_batch_size, recipe.data.text_columns, recipe.data.label_column
    )
