"""Figures on rows that may have several labels: of all decisions, of each label, and the baselines' on the same rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import csv

from submillion.data import RawRows
from submillion.evaluation.labelled import CHEAPER
from submillion.multi_label import MULTI_LABEL, counts_of_rows, decide, is_exact, refuse
from submillion.reference import Look
from submillion.run import written_atomically
from submillion.scoring import MultiLabelScores, Scores, write_scores
from submillion.statistics import (
    Interval,
    compare,
    f1_interval,
    f1_of_sets_interval,
    share_or_none,
    wilson_interval,
)

LEFT_OUT = (
    "what is made for one label a row is left out: confusions, temperature and reliability, answering only where it is "
    "sure, slices, the accuracy to expect without labels and the share unlike training"
)


def evaluate_multi_label(
    labels: np.ndarray,
    scores: Scores,
    label_names: Sequence[str],
    baselines: Mapping[str, np.ndarray],
    thresholds: Mapping[str, float],
    *,
    margin: float,
    seed: int,
) -> dict[str, Any]:
    """Return the report of labelled rows, ready for JSON.

    Args:
        labels: 0 and 1 `[n, n_labels]`.
        scores: The adapter's.
        label_names: One a label.
        baselines: Name -> scores `[n, n_labels]` on the same rows.
        thresholds: Of the adapter and of each baseline.
        margin: The difference in exact-match accuracy that would matter, as a share.
        seed: Of the resampling.
    """
    decisions = decide(scores.logits, thresholds["adapter"])
    adapter_right = is_exact(labels, decisions)
    rivals = []
    for name, values in baselines.items():
        theirs = decide(values, thresholds[name])
        verdict = compare(adapter_right, is_exact(labels, theirs), margin, ("adapter", name))
        rivals.append({"name": name, "verdict": verdict.to_json(), **_figures(labels, theirs, seed)})
    return {
        "n": len(labels),
        "problem_type": MULTI_LABEL,
        **_figures(labels, decisions, seed),
        "threshold": thresholds["adapter"],
        "labels_per_row": {
            "true": float(labels.sum(axis=1).mean()),
            "given": float(decisions.sum(axis=1).mean()),
        },
        "per_class": _per_label(labels, decisions, label_names),
        "label_names": list(label_names),
        "baselines": [{**each, "threshold": thresholds[each["name"]]} for each in rivals],
        "advice": _advice(rivals, margin),
        "left_out": LEFT_OUT,
        "notes": _notes(labels, label_names),
    }


def _figures(labels: np.ndarray, decisions: np.ndarray, seed: int) -> dict[str, Any]:
    exact = is_exact(labels, decisions)
    figures = {
        "accuracy": wilson_interval(int(exact.sum()), len(exact)),
        "micro_f1": f1_of_sets_interval(labels, decisions, "micro", seed),
        "macro_f1": f1_of_sets_interval(labels, decisions, "macro", seed),
    }
    return {name: figure.to_json() for name, figure in figures.items()}


def _per_label(labels: np.ndarray, decisions: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    right, wrong, missed = (part.sum(axis=0).tolist() for part in counts_of_rows(labels, decisions))

    def ready(figure: Interval | None) -> dict[str, Any] | None:
        return None if figure is None else dict(figure.to_json())

    return [
        {
            "label": name,
            "precision": ready(share_or_none(r, r + w)),
            "recall": ready(share_or_none(r, r + m)),
            "f1": ready(f1_interval(r, w, m)),
            "support": r + m,
        }
        for name, r, w, m in zip(names, right, wrong, missed, strict=True)
    ]


def _advice(rivals: Sequence[Mapping[str, Any]], margin: float) -> str | None:
    """Return what would be cheaper, where the adapter is not better by the margin."""
    close = [each["name"] for each in rivals if each["verdict"]["relation"] != "better by the margin"]
    if not close:
        return None
    named = ", ".join(name + (f" ({CHEAPER[name]})" if name in CHEAPER else "") for name in close)
    return (
        f"On these rows the adapter is not shown to be better by {100 * margin:g} points of exact match than what is "
        f"cheaper: {named}."
    )


def _notes(labels: np.ndarray, names: Sequence[str]) -> list[str]:
    notes = [
        "accuracy is exact match: the share of rows whose labels are all given and no other; F1 counts each decision"
    ]
    absent = [
        name
        for name, is_there in zip(names, np.asarray(labels.any(axis=0)).tolist(), strict=True)
        if not is_there
    ]
    if absent:
        shown = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        notes.append(f"no row has {shown}: left out of macro F1, which is the mean over the other labels")
    if n_without := int((~labels.any(axis=1)).sum()):
        notes.append(f"{n_without:,} of {len(labels):,} rows have no label")
    return notes


def with_threshold(scores: Scores, thresholds: Mapping[str, float] | None) -> Scores:
    """Return an adapter's scores as they decide: by the threshold where rows may have several labels."""
    if thresholds is None:
        return scores
    return MultiLabelScores(scores.logits, scores.embeddings, thresholds["adapter"])


def check_several(rows: RawRows, slices: Sequence[str], wanted_accuracy: float | None, corrupt: bool) -> None:
    """Refuse what is made for one label a row.

    Raises:
        ConfigError: See above.
    """
    refuse(bool(slices), "slices", "leave it out")
    refuse(corrupt, "corrupt", "leave it out")
    refuse(wanted_accuracy is not None, "wanted_accuracy", "leave it out")
    refuse(
        rows.labels is None,
        "what is foretold of rows without labels",
        f"{rows.source} is read without any; name their column by --label-column, or label texts by `submillion predict`",
    )


def report_of_rows(labels: np.ndarray, scores: Scores, look: Look, record: dict[str, Any]) -> dict[str, Any]:
    """Return the report of rows that may have several labels."""
    return evaluate_multi_label(
        labels,
        scores,
        record["data"]["label_names"],
        look.scores,
        record["thresholds"],
        margin=record["recipe"]["evaluation"]["margin"] / 100,
        seed=record["recipe"]["seed"],
    )


def keep_rows(
    destination: Path, rows: RawRows, labels: np.ndarray, scores: Scores, look: Look, record: dict[str, Any]
) -> None:
    """Write the scored rows, and a line for each to look at, where rows may have several labels."""
    numbers, names = np.asarray(rows.row_numbers), record["data"]["label_names"]
    theirs = {name: decide(values, record["thresholds"][name]) for name, values in look.scores.items()}
    write_scores(destination / "predictions.parquet", numbers, labels, scores, theirs)

    def joined(matrix: np.ndarray) -> list[str]:
        return ["|".join(names[label] for label in np.flatnonzero(row).tolist()) for row in matrix]

    table = pyarrow.table(
        {"row": numbers + 1, "labels": joined(labels), "predicted": joined(scores.predictions)}
    )
    with written_atomically(destination / "rows.csv") as temporary:
        csv.write_csv(table, temporary)
