"""Evaluate a run on labelled rows: the only way to the labels of a test split."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from submillion.baselines import load_baselines
from submillion.data import RawRows, encode_labels, read_rows
from submillion.data.duplicates import split_sha256, text_hashes
from submillion.evaluation.labelled import evaluate_labelled
from submillion.evaluation.plots import plot_confusion
from submillion.prediction import Predictor, load_predictor
from submillion.run import RunFolder, write_json
from submillion.scoring import write_scores
from submillion.statistics import compare


def evaluate_run(
    run: str | Path,
    data: Any,
    *,
    against: str | Path | None = None,
    output: str | Path | None = None,
    text_columns: Sequence[str] | None = None,
    label_column: str | None = None,
    encoder: str | None = None,
) -> dict[str, Any]:
    """Score labelled rows with a run, its baselines and, where asked, another run; keep and return the report.

    The test split of the run is recognised by the sha256 of its normalised texts, and each read of its labels
    is noted in the run.

    Args:
        run: A finished run folder.
        data: Labelled rows: a file, a folder, `hub:NAME`, or rows in memory.
        against: A second finished run, compared row by row.
        output: Where the report goes; default: a folder in the run, named after the data.
        text_columns: Where the text stands; default: found by its usual names.
        label_column: Where the label stands; default: found by its usual names.
        encoder: The folder or hub id of the run's base, where it now lies elsewhere.

    Raises:
        RunError: If a folder is no finished run.
        DataError: If the data cannot be read, or hold a label that the run does not know.
    """
    folder = RunFolder(run)
    record = folder.read_finished()
    other = None if against is None else RunFolder(against).read_finished()
    rows = read_rows(data, text_columns=text_columns, label_column=label_column, labels="required")
    names = record["data"]["label_names"]
    labels = encode_labels(
        rows.labels or [],
        names,
        known_values=record["data"]["label_values"],
        declared=rows.label_names,
        source=rows.source,
        row_numbers=rows.row_numbers,
    ).codes
    margin = record["recipe"]["evaluation"]["margin"] / 100
    predictor = load_predictor(run, encoder=encoder)
    scores = predictor.scores(rows.texts)
    baselines = load_baselines(folder.baselines)
    predictions = baselines.predict(rows.texts, predictor.frozen_embeddings(rows.texts))
    report = evaluate_labelled(
        labels, scores.logits, names, predictions, margin=margin, seed=record["recipe"]["seed"]
    ).to_json()
    report = {"run": str(run), "data": rows.source, **report, "notes": [*report["notes"], *rows.notes]}
    if against is not None and other is not None:
        theirs = _labels_of(load_predictor(against), rows)
        verdict = compare(
            scores.predictions == labels,
            theirs == np.asarray([names[label] for label in labels]),
            margin=margin,
            names=(str(run), str(against)),
        )
        report["against"] = {"run": str(against), "verdict": verdict.to_json()}
    report |= _note_read(
        folder, record, rows, "evaluate" if against is None else f"evaluate against {against}"
    )
    if other is not None:
        _note_read(RunFolder(str(against)), other, rows, f"compared by evaluate with {run}")
    destination = Path(output) if output is not None else folder.evaluation / _name_of(rows.source)
    write_json(destination / "report.json", report)
    write_scores(
        destination / "predictions.parquet", np.asarray(rows.row_numbers), labels, scores, predictions
    )
    plot_confusion(report["confusion"]["matrix"], names, destination / "confusion.png")
    return report | {"output": str(destination)}


def _labels_of(predictor: Predictor, rows: RawRows) -> np.ndarray:
    return np.asarray(predictor.predict(rows.texts))


def _note_read(folder: RunFolder, record: dict[str, Any], rows: RawRows, purpose: str) -> dict[str, Any]:
    """Note a read of the test split's labels in the run; return what the report says of the split."""
    sha256 = split_sha256(rows.texts)
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
        record = folder.update(test_reads=[*folder.read()["test_reads"], read])
    ordered = hashlib.sha256("".join(text_hashes(rows.texts)).encode()).hexdigest()
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
