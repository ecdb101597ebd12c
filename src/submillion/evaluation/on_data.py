"""Evaluate a run on rows, labelled or not: the only way to the labels of a test split."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from submillion.baselines import Baselines, load_baselines
from submillion.data import RawRows
from submillion.data.duplicates import text_hashes
from submillion.data.words import count_words
from submillion.disk import check_not_read, check_writable
from submillion.evaluation.against import Other
from submillion.evaluation.compared import compared_with
from submillion.evaluation.corrupt import evaluate_corrupted
from submillion.evaluation.keeping import WRITTEN, keep_scored_rows, kept
from submillion.evaluation.label_reads import note_read
from submillion.evaluation.labelled import LabelledReport, evaluate_labelled
from submillion.evaluation.multi_label import check_several, keep_rows, report_of_rows, with_threshold
from submillion.evaluation.notes import (
    rows_seen,
    say_who_answers,
    warn_of_no_labels,
    warn_of_rows_seen,
    warn_of_weights,
)
from submillion.evaluation.options import Options
from submillion.evaluation.plots import plot_confusion
from submillion.evaluation.reading import check_unlabelled, columns_of, encoded, read_as_trained
from submillion.evaluation.unlabelled import foresee
from submillion.multi_label import thresholds_of
from submillion.prediction import load_adapter
from submillion.prediction.answering import Adapter
from submillion.reference import Look
from submillion.run import RunFolder
from submillion.scoring import Scores
from submillion.temperature import temperature_of

NO_LABEL = -1
"""In `predictions.parquet`, of rows without labels."""


def evaluate_run(run: str | Path, data: Any, options: Options) -> dict[str, Any]:
    """Score rows with a run; keep and return the report.

    What can be said without labels is said of all rows: the accuracy to expect, and the share unlike training. Labelled
    rows are also measured, beside the run's baselines and, where asked, another run. The test split of the run is
    recognised by the sha256 of its normalised texts, and each read of its labels is noted in the run.

    Args:
        run: A finished run folder.
        data: Rows: a file, a folder, `hub:NAME`, or rows in memory.
        options: What is asked for besides.

    Raises:
        RunError: If a folder is no finished run.
        DataError: If the data cannot be read, or hold a label that the run does not know.
        ConfigError: If what is asked needs labels, and there are none.
    """
    folder = RunFolder(run)
    record = folder.read_finished()
    check_writable(Path(options.output or folder.evaluation), "name another folder by --output")
    if options.output is not None:
        check_not_read(Path(options.output), WRITTEN, [data])
    rows = read_as_trained(data, record, options.text_columns, options.label_column, options.unlabelled)
    if thresholds_of(record) is not None:
        check_several(rows, options.slices, options.wanted_accuracy, options.corrupt)
    if rows.labels is None:
        check_unlabelled(rows, options)
        return _evaluate_unlabelled(folder, record, rows, options)
    report = {"run": str(run), "data": rows.source}
    return _evaluate_labelled(folder, record, data, rows, options, report)


def _evaluate_labelled(
    folder: RunFolder,
    record: dict[str, Any],
    data: Any,
    rows: RawRows,
    options: Options,
    report: dict[str, Any],
) -> dict[str, Any]:
    """Report on rows with labels, in ``report``."""
    labels = encoded(rows, record)
    other = None if options.against is None else Other(options.against, data, rows, options, labels.ndim)
    columns = columns_of(data, options.slices, rows)
    hashes = text_hashes(rows.texts)
    report |= note_read(folder, record, rows, hashes, _purpose(options))
    adapter = load_adapter(folder.path, encoder=options.encoder)
    are_seen = rows_seen(folder, hashes)
    scores, look, baselines = _scored(folder, rows, adapter, are_seen)
    thresholds = thresholds_of(record)
    seen = warn_of_rows_seen(report["split"], are_seen)
    if thresholds is not None:
        scores = with_threshold(scores, thresholds)
        report |= report_of_rows(labels, scores, look, record)
        report["notes"] += [*rows.notes, *seen]
    else:
        measured = _measured(record, rows, labels, scores, look, columns, options)
        foreseen, unlike = foresee(folder, record, rows.texts, scores, look, baselines)
        report |= measured.to_json() | foreseen
        report["notes"] = [
            *measured.notes,
            *rows.notes,
            *seen,
            *warn_of_weights(record),
            *say_who_answers(record),
        ]
    if options.corrupt:
        predict = partial(_predictions, adapter, baselines)
        seed = record["recipe"]["seed"]
        report["corrupt"] = evaluate_corrupted(rows.texts, labels, predict, seed, options.say)
    if other is not None:
        report["against"] = other.compared(scores, labels, report, record, options.encoder)
    with kept(folder, report, rows, options) as place:
        if thresholds is not None:
            keep_rows(place, rows, labels, scores, look, record)
        else:
            plot_confusion(
                report["confusion"]["matrix"], record["data"]["label_names"], place / "confusion.png"
            )
            keep_scored_rows(place, rows, labels, scores, look, unlike, record)
    return report


def _purpose(options: Options) -> str:
    """Return what a read of the labels is noted to be for."""
    purpose = "evaluate" if options.against is None else f"evaluate against {options.against}"
    return f"{purpose}, with corrupted texts" if options.corrupt else purpose


def _measured(
    record: dict[str, Any],
    rows: RawRows,
    labels: np.ndarray,
    scores: Scores,
    look: Look,
    columns: dict[str, np.ndarray],
    options: Options,
) -> LabelledReport:
    """Return the figures of rows that have one label each."""
    return evaluate_labelled(
        labels,
        scores.logits,
        record["data"]["label_names"],
        compared_with(record, scores.logits, look.predictions, look.scores),
        margin=record["recipe"]["evaluation"]["margin"] / 100,
        seed=record["recipe"]["seed"],
        temperature=temperature_of(record, "adapter"),
        word_counts=np.array([count_words(text) for text in rows.texts]),
        columns=columns,
        wanted_accuracy=options.wanted_accuracy,
    )


def _evaluate_unlabelled(
    folder: RunFolder,
    record: dict[str, Any],
    rows: RawRows,
    options: Options,
) -> dict[str, Any]:
    """Report on rows without labels."""
    hashes = text_hashes(rows.texts)
    seen = rows_seen(folder, hashes)
    scores, look, baselines = _scored(folder, rows, load_adapter(folder.path, encoder=options.encoder), seen)
    foreseen, unlike = foresee(folder, record, rows.texts, scores, look, baselines)
    ordered = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    report = {
        "run": str(folder.path),
        "data": rows.source,
        "n": len(rows.texts),
        "ordered_sha256": ordered,
        **foreseen,
        "notes": [
            *warn_of_no_labels(rows, options.unlabelled),
            *rows.notes,
            *warn_of_rows_seen(None, seen),
            *warn_of_weights(record),
            *say_who_answers(record),
        ],
    }
    with kept(folder, report, rows, options) as place:
        keep_scored_rows(place, rows, np.full(len(rows.texts), NO_LABEL), scores, look, unlike, record)
    return report


def _scored(
    folder: RunFolder, rows: RawRows, adapter: Adapter, seen: np.ndarray
) -> tuple[Scores, Look, Baselines]:
    """Return the adapter's scores, how the rows look, and the baselines."""
    scores, embeddings = adapter.scores_and_embeddings(rows.texts)
    baselines = load_baselines(folder.baselines)
    return scores, Look.of(rows.texts, embeddings, baselines, are_train=False, seen=seen), baselines


def _predictions(adapter: Adapter, baselines: Baselines, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the labels that the adapter, and the baseline that needs no encoder, give to texts."""
    of_tfidf = baselines["tfidf_svm"].scores(texts, {}).argmax(axis=1)
    return {"adapter": adapter.scores(texts).predictions, "tfidf_svm": of_tfidf}
