"""Evaluate a run on labelled rows: the only way to the labels of a test split."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from submillion.baselines import load_baselines
from submillion.data import RawRows, encode_labels, read_rows
from submillion.data.duplicates import HASH_LETTERS, split_sha256, text_hashes
from submillion.data.read import columns_present
from submillion.errors import DataError
from submillion.evaluation.labelled import evaluate_labelled
from submillion.evaluation.plots import plot_confusion
from submillion.prediction import load_adapter
from submillion.run import RunFolder, read_json, write_json
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
        text_columns: Where the text stands; default: where it stood in training, else by its usual names.
        label_column: Where the label stands; default: where it stood in training, else by its usual names.
        encoder: The folder or hub id of the run's base, where it now lies elsewhere.

    Raises:
        RunError: If a folder is no finished run.
        DataError: If the data cannot be read, or hold a label that the run does not know.
    """
    folder = RunFolder(run)
    record = folder.read_finished()
    other = None if against is None else RunFolder(against).read_finished()
    rows = _read_as_trained(data, record, text_columns, label_column)
    labels = _encoded(rows, record)
    if other is not None:
        other_rows = _read_as_trained(data, other, text_columns, label_column)
        other_labels = _encoded(other_rows, other)
        if other_rows.row_numbers != rows.row_numbers:
            raise DataError(f"{rows.source}: {run} and {against} read other rows of it: name --text-columns")
    report: dict[str, Any] = {"run": str(run), "data": rows.source}
    report |= _note_read(
        folder, record, rows, "evaluate" if against is None else f"evaluate against {against}"
    )
    scores, embeddings = load_adapter(run, encoder=encoder).scores_and_embeddings(rows.texts)
    predictions = load_baselines(folder.baselines).predict(rows.texts, embeddings)
    margin = record["recipe"]["evaluation"]["margin"] / 100
    names = record["data"]["label_names"]
    labelled = evaluate_labelled(
        labels, scores.logits, names, predictions, margin=margin, seed=record["recipe"]["seed"]
    )
    report |= labelled.to_json()
    report["notes"] = [
        *labelled.notes,
        *rows.notes,
        *_warn_of_rows_seen(folder, report["split"], rows),
        *_who_answers(record),
    ]
    if against is not None and other is not None:
        _note_read(RunFolder(against), other, other_rows, f"compared by evaluate with {run}")
        shares_base = encoder is not None and other["encoder"] == record["encoder"]
        theirs = load_adapter(against, encoder=encoder if shares_base else None).scores(other_rows.texts)
        verdict = compare(
            scores.predictions == labels,
            theirs.predictions == other_labels,
            margin=margin,
            names=(str(run), str(against)),
        )
        report["against"] = {"run": str(against), "verdict": verdict.to_json()}
    destination = _destination(folder, rows, report["ordered_sha256"]) if output is None else Path(output)
    write_scores(
        destination / "predictions.parquet", np.asarray(rows.row_numbers), labels, scores, predictions
    )
    plot_confusion(report["confusion"]["matrix"], names, destination / "confusion.png")
    write_json(destination / "report.json", report)  # last: what reads an evaluation looks for it
    return report | {"output": str(destination)}


def _read_as_trained(
    data: Any,
    record: dict[str, Any],
    text_columns: Sequence[str] | None,
    label_column: str | None,
) -> RawRows:
    """Read labelled rows by the columns asked for, else by those the run was trained on, else by usual names."""
    trained = record["recipe"]["data"]
    texts, label = columns_present(data, trained["text_columns"], trained["label_column"])
    return read_rows(
        data,
        text_columns=text_columns or texts,
        label_column=label_column or label,
        labels="required",
    )


def _encoded(rows: RawRows, record: dict[str, Any]) -> np.ndarray:
    """Return the labels of rows as a run numbers them, `[n]`."""
    return encode_labels(
        rows.labels or [],
        record["data"]["label_names"],
        known_values=record["data"]["label_values"],
        declared=rows.label_names,
        source=rows.source,
        row_numbers=rows.row_numbers,
    ).codes


def _who_answers(record: dict[str, Any]) -> list[str]:
    """Say whose row to look at, where `predict` does not use the adapter."""
    recommended = (record["cross_validation"] or {}).get("recommended")
    if recommended is None or recommended["name"] == "adapter":
        return []
    return [f"`predict` answers by {recommended['name']}: {recommended['reason']}"]


def _warn_of_rows_seen(folder: RunFolder, split: str | None, rows: RawRows) -> list[str]:
    """Say where the figures speak of rows that the run has learnt or chosen by."""
    if split == "validation":
        return ["these are the run's validation rows: figures on rows that it chose by are optimistic"]
    if not folder.train_hashes.is_file():
        return []
    learnt = set(read_json(folder.train_hashes))
    n_seen = sum(text_hash[:HASH_LETTERS] in learnt for text_hash in text_hashes(rows.texts))
    if not n_seen:
        return []
    return [
        f"{n_seen:,} of {len(rows.texts):,} rows stand in the rows that the run was trained on: "
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
    labelled = zip(text_hashes(rows.texts), rows.labels or [], strict=True)
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
