"""A trained classifier, loaded: texts in, labels and probabilities out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from submillion.data.given_texts import given_texts
from submillion.data.multi_label import LabelColumn
from submillion.data.pairs import as_pair, check_pairs
from submillion.data.read import RawRows, columns_present, stream_rows
from submillion.errors import ConfigError
from submillion.prediction.answering import Answering
from submillion.prediction.formats import FORMATS, STANDARD_OUTPUT, destination, notes_on_numbers, writer
from submillion.scoring import CHUNK_ROWS, Scores
from submillion.temperature import probabilities_at


@dataclass(frozen=True)
class TemperedScores(Scores):
    """Scored rows whose probabilities are taken at a temperature."""

    temperature: float

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits over the temperature, `[n, n_labels]` float64."""
        return probabilities_at(self.logits, self.temperature)


class Predictor:
    """A classifier that answers.

    Args:
        answering: What scores texts.
        label_names: One a label, in the order of its logits.
        label_values: The labels as the training data held them.
        temperature: What logits are divided by for probabilities; see `submillion.temperature`.
        text_columns: Where the text stood in training.
        label_column: Where the label stood in training; it is not read.
        reason: Why this answers, where more than the adapter could.
        are_pairs: Whether it was trained on pairs of texts; None: not known.

    Attributes:
        label_names: One a label, in the order of the columns of `predict_proba`.
        answers_by: Which of `submillion.alternatives.CHEAPEST_FIRST` answers.
    """

    def __init__(
        self,
        answering: Answering,
        label_names: tuple[str, ...],
        label_values: tuple[int | str, ...],
        *,
        temperature: float = 1.0,
        text_columns: Sequence[str] | None = None,
        label_column: LabelColumn = None,
        reason: str | None = None,
        are_pairs: bool | None = None,
    ):
        self.answering = answering
        self.label_names = label_names
        self.label_values = label_values
        self.answers_by = answering.name
        self._temperature = temperature
        self._text_columns = text_columns
        self._label_column = label_column
        self._reason = reason
        self._are_pairs = are_pairs

    @property
    def sentence(self) -> str | None:
        """What answers and why, None where only the adapter could."""
        return None if self._reason is None else f"answered by {self.answers_by}: {self._reason}"

    def scores(self, texts: Iterable[Any]) -> Scores:
        """Return logits and pooled embeddings of texts, or of (text, text) pairs, in their order; at least one.

        The logits are as the adapter gives them (of a baseline its scores, of two together the sum by their weights); probabilities are
        taken at the run's temperature.

        Raises:
            DataError: If they are not one text after the other, or pairs where single texts were trained on.
        """
        read = given_texts(texts)
        self._check_form(read)
        scores = self.answering.scores(read)
        return TemperedScores(scores.logits, scores.embeddings, self._temperature)

    def _check_form(self, texts: Sequence[str]) -> None:
        """Refuse single texts where pairs were trained on, and pairs where single texts were."""
        if self._are_pairs is not None:
            check_pairs(texts, self._are_pairs, "what is to be labelled", "training")

    def predict(self, texts: Iterable[Any]) -> list[str]:
        """Return the label name of each text, or of each (text, text) pair."""
        texts = given_texts(texts)
        return [self.label_names[label] for label in self.scores(texts).predictions] if texts else []

    def predict_proba(self, texts: Iterable[Any]) -> np.ndarray:
        """Return probabilities `[n, n_labels]` at the run's temperature, columns in the order of `label_names`."""
        texts = given_texts(texts)
        return self.scores(texts).probabilities if texts else np.empty((0, len(self.label_names)))

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
        if self._are_pairs and isinstance(source, list):
            source = [as_pair(text) for text in source]
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
            source: A data file, or ``-`` for standard input; its labels, where it has any, are not read.
            output: A file, written whole or not at all; ``-``: standard output, as rows are scored.
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
        is_file = isinstance(source, str | PathLike) and str(output) != STANDARD_OUTPUT
        if is_file and Path(source).expanduser().resolve() == path.resolve():
            raise ConfigError(f"output={str(output)!r} is the file that is read: name another")
        n_rows, notes = 0, self._notes(chosen)
        chunks = self.read(source, text_columns)
        first = list(islice(chunks, 1))  # bad input is found before a header stands on standard output
        for chunk in first:
            self._check_form(chunk.texts)
        with destination(output) as place, self._writer(chosen, place) as write:
            for chunk in chain(first, chunks):
                notes = (*chunk.notes, *notes)  # the reader's stand with the last chunk
                if not chunk.texts:
                    continue
                scores = self.scores(chunk.texts)
                write(n_rows, scores)
                n_rows += len(chunk.texts)
                if progress is not None:
                    progress(len(chunk.texts))
        if note is not None:
            for sentence in (*notes, *([self.sentence] if self.sentence else [])):
                note(sentence)
        return n_rows

    def _writer(
        self, format: str, path: Path | None
    ) -> AbstractContextManager[Callable[[int, Scores], None]]:
        """Yield the function that appends scored rows, numbered from its first argument."""
        return writer(format, path, self)

    def _notes(self, format: str) -> tuple[str, ...]:
        """Return what to say of what is written."""
        return notes_on_numbers(self) if format == "submission" else ()
