"""Evaluate a run on rows, labelled or not: the only way to the labels of a test split."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import csv

from submillion.baselines import Baselines, load_baselines
from submillion.data import RawRows, read_rows
from submillion.data.columns import LabelNeed
from submillion.data.duplicates import HASH_LETTERS, sha256_of_hashes, text_hashes
from submillion.data.label_form import labels_as_trained
from submillion.data.multi_label import encode_rows
from submillion.data.pairs import as_pair, check_pairs, text_columns_of
from submillion.data.read import columns_present, read_columns
from submillion.data.words import count_words
from submillion.disk import check_writable
from submillion.errors import ConfigError, DataError
from submillion.evaluation.corrupt import evaluate_corrupted
from submillion.evaluation.labelled import evaluate_labelled
from submillion.evaluation.multi_label import check_several, keep_rows, report_of_rows, with_threshold
from submillion.evaluation.plots import plot_confusion
from submillion.evaluation.report import write_report
from submillion.evaluation.unlabelled import confidence_of, foresee
from submillion.multi_label import is_exact, thresholds_of
from submillion.prediction import load_adapter
from submillion.prediction.answering import Adapter
from submillion.reference import Look
from submillion.run import RunFolder, read_json, write_json, written_atomically, written_together
from submillion.scoring import Scores, write_scores
from submillion.statistics import compare
from submillion.temperature import temperature_of

NOTE_WAIT_S = 30

NO_LABEL = -1
"""In `predictions.parquet`, of rows without labels."""


def evaluate_run(
    run: str | Path,
    data: Any,
    *,
    against: str | Path | None = None,
    output: str | Path | None = None,
    text_columns: Sequence[str] | None = None,
    label_column: str | None = None,
    encoder: str | None = None,
    unlabelled: bool = False,
    slices: Sequence[str] = (),
    wanted_accuracy: float | None = None,
    has_texts: bool = True,
    corrupt: bool = False,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Score rows with a run; keep and return the report.

    What can be said without labels is said of all rows: the accuracy to expect, and the share unlike training. Labelled
    rows are also measured, beside the run's baselines and, where asked, another run. The test split of the run is
    recognised by the sha256 of its normalised texts, and each read of its labels is noted in the run.

    Args:
        run: A finished run folder.
        data: Rows: a file, a folder, `hub:NAME`, or rows in memory.
        against: A second finished run, compared row by row on labelled rows.
        output: Where the report goes; default: a folder in the run, named after the data.
        text_columns: Where the text stands; default: where it stood in training, else by its usual names.
        label_column: Where the label stands; default: where it stood in training, else by its usual names.
        encoder: The folder or hub id of the run's base, where it now lies elsewhere.
        unlabelled: Do not read the labels, if there are any.
        slices: Further columns: accuracy is given by each value of them.
        wanted_accuracy: Ask from which confidence on so large a share of labelled rows is right; between 0 and 1 exclusive.
        has_texts: Whether `report.html` shows texts.
        corrupt: Measure also how accuracy falls as the texts get worse; see `submillion.evaluation.corrupt`.
        say: Told what that will cost, before it starts.

    Raises:
        RunError: If a folder is no finished run.
        DataError: If the data cannot be read, or hold a label that the run does not know.
        ConfigError: If what is asked needs labels, and there are none.
    """
    folder = RunFolder(run)
    record = folder.read_finished()
    check_writable(Path(output or folder.evaluation), "name another folder by --output")
    rows = _read_as_trained(data, record, text_columns, label_column, unlabelled)
    thresholds = thresholds_of(record)
    if thresholds is not None:
        check_several(rows, slices, wanted_accuracy, corrupt)
    if rows.labels is None:
        _check_unlabelled(rows, against, slices, wanted_accuracy, corrupt)
        return _evaluate_unlabelled(folder, record, rows, output, encoder, has_texts, unlabelled)
    labels = _encoded(rows, record)
    other = None
    if against is not None:
        other = _Other(against, data, rows, text_columns, label_column, labels.ndim)
    columns = _columns(data, slices, rows)
    hashes = text_hashes(rows.texts)
    report: dict[str, Any] = {"run": str(run), "data": rows.source}
    purpose = "evaluate" if against is None else f"evaluate against {against}"
    report |= _note_read(
        folder, record, rows, hashes, f"{purpose}, with corrupted texts" if corrupt else purpose
    )
    adapter = load_adapter(folder.path, encoder=encoder)
    scores, look, baselines = _scored(folder, rows, adapter)
    names = record["data"]["label_names"]
    if thresholds is not None:
        scores = with_threshold(scores, thresholds)
        report |= report_of_rows(labels, scores, look, record)
        report["notes"] += [*rows.notes, *_warn_of_rows_seen(folder, report["split"], hashes)]
        if other is not None:
            report["against"] = other.compared(scores, labels, report, record, encoder)
        with _kept(folder, output, report, rows, has_texts) as place:
            keep_rows(place, rows, labels, scores, look, record)
        return report
    labelled = evaluate_labelled(
        labels,
        scores.logits,
        names,
        look.predictions,
        margin=record["recipe"]["evaluation"]["margin"] / 100,
        seed=record["recipe"]["seed"],
        temperature=temperature_of(record, "adapter"),
        word_counts=np.array([count_words(text) for text in rows.texts]),
        columns=columns,
        wanted_accuracy=wanted_accuracy,
    )
    foreseen, unlike = foresee(folder, record, rows.texts, scores, look, baselines)
    report |= labelled.to_json() | foreseen
    report["notes"] = [
        *labelled.notes,
        *rows.notes,
        *_warn_of_rows_seen(folder, report["split"], hashes),
        *_warn_of_weights(record),
        *_who_answers(record),
    ]
    if corrupt:
        predict = partial(_predictions, adapter, baselines)
        report["corrupt"] = evaluate_corrupted(rows.texts, labels, predict, record["recipe"]["seed"], say)
    if other is not None:
        report["against"] = other.compared(scores, labels, report, record, encoder)
    with _kept(folder, output, report, rows, has_texts) as place:
        plot_confusion(report["confusion"]["matrix"], names, place / "confusion.png")
        _keep_rows(place, rows, labels, scores, look, unlike, record)
    return report


def _evaluate_unlabelled(
    folder: RunFolder,
    record: dict[str, Any],
    rows: RawRows,
    output: str | Path | None,
    encoder: str | None,
    has_texts: bool,
    unlabelled: bool,
) -> dict[str, Any]:
    """Report on rows without labels."""
    scores, look, baselines = _scored(folder, rows, load_adapter(folder.path, encoder=encoder))
    foreseen, unlike = foresee(folder, record, rows.texts, scores, look, baselines)
    hashes = text_hashes(rows.texts)
    ordered = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    report = {
        "run": str(folder.path),
        "data": rows.source,
        "n": len(rows.texts),
        "ordered_sha256": ordered,
        **foreseen,
        "notes": [
            *_warn_of_no_labels(rows, unlabelled),
            *rows.notes,
            *_warn_of_rows_seen(folder, None, hashes),
            *_warn_of_weights(record),
            *_who_answers(record),
        ],
    }
    with _kept(folder, output, report, rows, has_texts) as place:
        _keep_rows(place, rows, np.full(len(rows.texts), NO_LABEL), scores, look, unlike, record)
    return report


def _warn_of_no_labels(rows: RawRows, unlabelled: bool) -> list[str]:
    """Say how labels are found, to whom did not ask for them to be left unread."""
    if unlabelled:
        return []
    return [
        f"{rows.source} is taken for rows without labels: if it has some, name their column by --label-column"
    ]


def _keep_rows(
    destination: Path,
    rows: RawRows,
    labels: np.ndarray,
    scores: Scores,
    look: Look,
    unlike: np.ndarray,
    record: dict[str, Any],
) -> None:
    """Write the scored rows, and a line for each to look at."""
    numbers = np.asarray(rows.row_numbers)
    write_scores(destination / "predictions.parquet", numbers, labels, scores, look.predictions)
    names = np.array(record["data"]["label_names"], dtype=object)
    confidence = confidence_of(scores.logits, record)
    table = pyarrow.table(
        {
            "row": numbers + 1,  # as messages and the page count them
            "predicted": names[scores.predictions].astype(str),
            "confidence": confidence.round(4),
            "unlike": unlike.round(4),
        }
    )
    with written_atomically(destination / "rows.csv") as temporary:
        csv.write_csv(table, temporary)


@contextmanager
def _kept(
    folder: RunFolder, output: str | Path | None, report: dict[str, Any], rows: RawRows, has_texts: bool
) -> Iterator[Path]:
    """Yield where to write beside the report, which comes last: what reads an evaluation looks for `report.json`.

    What stood in ``output`` stands until all of it is written; the report then says where that is.
    """
    destination = _destination(folder, rows, report["ordered_sha256"]) if output is None else Path(output)
    with written_together(destination, "report.json") as place:
        yield place
        _number_rows(report, rows.row_numbers)
        texts = dict(zip(rows.row_numbers, rows.texts, strict=True)) if has_texts else None
        write_report(place / "report.html", report, texts)
        write_json(place / "report.json", report)
    report["output"] = str(destination)


def _number_rows(report: dict[str, Any], row_numbers: Sequence[int]) -> None:
    """Name rows by their place in the data, counted from 0, as `predictions.parquet` does; rows were left out before."""
    for pair in report.get("confusions", ()):
        pair["rows"] = [row_numbers[row] for row in pair["rows"]]
    for row in report.get("most_unlike", ()):
        row["row"] = row_numbers[row["row"]]
    for group in report.get("groups", ()):
        group["examples"] = [row_numbers[row] for row in group["examples"]]


def _predictions(adapter: Adapter, baselines: Baselines, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the labels that the adapter, and the baseline that needs no encoder, give to texts."""
    of_tfidf = baselines["tfidf_svm"].scores(texts, {}).argmax(axis=1)
    return {"adapter": adapter.scores(texts).predictions, "tfidf_svm": of_tfidf}


def _scored(folder: RunFolder, rows: RawRows, adapter: Adapter) -> tuple[Scores, Look, Baselines]:
    """Return the adapter's scores, how the rows look, and the baselines."""
    scores, embeddings = adapter.scores_and_embeddings(rows.texts)
    baselines = load_baselines(folder.baselines)
    return scores, Look.of(rows.texts, embeddings, baselines, are_train=False), baselines


def _check_unlabelled(
    rows: RawRows,
    against: str | Path | None,
    slices: Sequence[str],
    wanted_accuracy: float | None,
    corrupt: bool,
) -> None:
    asked = {"against": against, "slices": slices, "wanted_accuracy": wanted_accuracy, "corrupt": corrupt}
    if named := [name for name, value in asked.items() if value]:
        raise ConfigError(
            f"{', '.join(named)} needs labels, and {rows.source} is read without: name their column by --label-column, or "
            "leave it out"
        )


def _columns(data: Any, names: Sequence[str], rows: RawRows) -> dict[str, np.ndarray]:
    """Return the columns to slice by, a value for each row that was read."""
    found = read_columns(data, names) if names else {}
    return {name: np.array([values[row] for row in rows.row_numbers]) for name, values in found.items()}


class _Other:
    """The run that is compared with, and the rows as it reads them.

    Raises:
        RunError: If it is no finished run.
        DataError: If it reads other rows of the data, or does not know a label.
    """

    def __init__(
        self,
        run: str | Path,
        data: Any,
        rows: RawRows,
        text_columns: Sequence[str] | None,
        label_column: str | None,
        several: int,
    ):
        self.folder = RunFolder(run)
        self.record = self.folder.read_finished()
        self.rows = _read_as_trained(data, self.record, text_columns, label_column, False)
        self.labels = _encoded(self.rows, self.record)
        if self.labels.ndim != several:
            raise ConfigError(
                f"{run} gives one label a row where the other run gives several, or the other way round: "
                "compare runs of one kind"
            )
        if self.rows.row_numbers != rows.row_numbers:
            raise DataError(f"{rows.source}: {run} reads other rows of it: name --text-columns")

    def compared(
        self,
        scores: Scores,
        labels: np.ndarray,
        report: dict[str, Any],
        record: dict[str, Any],
        encoder: str | None,
    ) -> dict[str, Any]:
        """Return the verdict between the first run's scores and this one's, whose read of a test split is noted."""
        run, first = str(self.folder.path), report["run"]
        hashes = text_hashes(self.rows.texts)
        _note_read(self.folder, self.record, self.rows, hashes, f"compared by evaluate with {first}")
        shares_base = encoder is not None and self.record["encoder"] == record["encoder"]
        theirs = load_adapter(run, encoder=encoder if shares_base else None).scores(self.rows.texts)
        verdict = compare(
            is_exact(labels, scores.predictions),
            is_exact(self.labels, with_threshold(theirs, thresholds_of(self.record)).predictions),
            margin=record["recipe"]["evaluation"]["margin"] / 100,
            names=(first, run),
        )
        return {"run": run, "verdict": verdict.to_json()}


def _read_as_trained(
    data: Any,
    record: dict[str, Any],
    text_columns: Sequence[str] | None,
    label_column: str | None,
    unlabelled: bool,
) -> RawRows:
    """Read rows by the columns asked for, else by those the run was trained on, else by usual names.

    Where there are labels, rows with an empty text are left out.
    """
    trained, are_pairs = record["recipe"]["data"], record["data"].get("text_pairs", False)
    if are_pairs and isinstance(data, list):
        data = [as_pair(text) for text in data]
    named = text_columns_of(trained["text_columns"], trained.get("text_pair_column"))
    texts, label = columns_present(data, named, trained["label_column"])
    columns: dict[str, Any] = {"text_columns": text_columns or texts}
    need: LabelNeed = "never" if unlabelled else "optional"
    if not unlabelled:
        columns["label_column"] = label_column or label
        if thresholds_of(record) is not None:
            columns["label_column"] = labels_as_trained(data, trained, label_column)
        need = "optional" if label_column is None else "required"
    rows = read_rows(data, **columns, labels=need)
    check_pairs(rows.texts, are_pairs, rows.source, "the run")
    return (
        read_rows(data, **columns, labels="required")
        if need == "optional" and rows.labels is not None
        else rows
    )


def _encoded(rows: RawRows, record: dict[str, Any]) -> np.ndarray:
    """Return the labels of rows as a run numbers them, `[n]`."""
    return encode_rows(
        rows.labels or [],
        record["data"]["label_names"],
        known_values=record["data"]["label_values"],
        declared=rows.label_names,
        source=rows.source,
        row_numbers=rows.row_numbers,
    ).codes


def _warn_of_weights(record: dict[str, Any]) -> list[str]:
    """Say that probabilities are not those of the train rows' shares, where labels were weighted."""
    training = record["recipe"]["training"]
    names = [name for name in ("class_weights", "balanced_sampling") if training.get(name)]
    if not names:
        return []
    return [
        f"trained with {names[0]}: probabilities, and what is foretold by them, lean towards rare labels; a temperature does "
        "not undo that"
    ]


def _who_answers(record: dict[str, Any]) -> list[str]:
    """Say whose row to look at, where `predict` does not use the adapter."""
    recommended = (record["cross_validation"] or {}).get("recommended")
    if recommended is None or recommended["name"] == "adapter":
        return []
    return [f"`predict` answers by {recommended['name']}: {recommended['reason']}"]


def _warn_of_rows_seen(folder: RunFolder, split: str | None, hashes: Sequence[str]) -> list[str]:
    """Say where the figures speak of rows that the run has learnt or chosen by."""
    if split == "validation":
        return ["these are the run's validation rows: figures on rows that it chose by are optimistic"]
    if not folder.train_hashes.is_file():
        return []
    learnt = set(read_json(folder.train_hashes))
    n_seen = sum(text_hash[:HASH_LETTERS] in learnt for text_hash in hashes)
    if not n_seen:
        return []
    return [
        f"{n_seen:,} of {len(hashes):,} rows stand in the rows that the run was trained on: "
        "the figures are optimistic, for the baselines too"
    ]


def _destination(folder: RunFolder, rows: RawRows, ordered_sha256: str) -> Path:
    """Return the folder of an evaluation: named after its data, told apart from other data of that name."""
    plain = folder.evaluation / _name_of(rows.source)
    if (
        not (plain / "report.json").is_file()
        or read_json(plain / "report.json")["ordered_sha256"] == ordered_sha256
    ):
        return plain
    return plain.with_name(f"{plain.name}-{ordered_sha256[:8]}")


def _note_read(
    folder: RunFolder, record: dict[str, Any], rows: RawRows, hashes: Sequence[str], purpose: str
) -> dict[str, Any]:
    """Note a read of the test split's labels in the run; return what the report says of the split."""
    sha256 = sha256_of_hashes(hashes)
    known = {record["data"]["test_sha256"]: "test"} | {
        split["sha256"]: name for name, split in record["data"]["splits"].items() if name != "test"
    }
    split = known.get(sha256)
    if split == "test":
        read = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "purpose": purpose,
            "n": len(rows.texts),
        }
        check_writable(
            folder.path, "the read of its test rows must be noted there, so copy the run to where it can"
        )
        with folder.held(wait_s=NOTE_WAIT_S):  # another evaluation may note its own
            record = folder.update(test_reads=[*folder.read()["test_reads"], read])
    labelled = zip(hashes, rows.labels or [], strict=True)
    ordered = hashlib.sha256("\n".join(f"{text} {label}" for text, label in labelled).encode()).hexdigest()
    return {
        "split": split,
        "sha256": sha256,
        "ordered_sha256": ordered,
        "test_reads": record["test_reads"] if split == "test" else None,
    }


def _name_of(source: str) -> str:
    """Return a folder name for a data source: its file's stem, or the safe characters of its name.

    >>> _name_of("data/reuters-r8-test.tab")
    'reuters-r8-test'
    >>> _name_of("hub:ag_news:default:test")
    'hub-ag_news-default-test'
    """
    stem = Path(source).stem if "/" in source or "." in source else source
    return (
        "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem).strip("-") or "data"
    )
