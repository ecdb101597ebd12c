"""Figures on labelled rows: the adapter's, each with an interval, and the baselines' on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.alternatives import TOGETHER
from submillion.confusion import confusion_counts
from submillion.evaluation.calibration import Calibration, Tempered, tempered
from submillion.evaluation.confusions import TopConfusion, top_confusions
from submillion.evaluation.selective import Selective, selective
from submillion.evaluation.slices import Slices, slice_rows
from submillion.statistics import (
    DEFAULT_MARGIN,
    Interval,
    Verdict,
    balanced_accuracy_interval,
    compare,
    macro_f1_interval,
    matthews_interval,
    wilson_interval,
)
from submillion.temperature import probabilities_at

Array = np.ndarray[Any, np.dtype[Any]]

CHEAPER = {
    "majority": "no model at all",
    "tfidf_svm": "TF-IDF and a linear SVM, no encoder, seconds to fit",
    "probe_mean": "logistic regression on the frozen encoder's mean of tokens",
    "probe_first": "logistic regression on its first token",
}
"""What makes each baseline cheaper than an adapter."""


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one label; zero where its denominator is."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class BaselineFigures:
    """One baseline on the same rows, and the adapter against it."""

    name: str
    accuracy: Interval
    macro_f1: Interval
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return the baseline as it stands in ``report.json``."""
        return {
            "name": self.name,
            "accuracy": self.accuracy.to_json(),
            "macro_f1": self.macro_f1.to_json(),
            "verdict": self.verdict.to_json(),
        }


@dataclass(frozen=True)
class LabelledReport:
    """Everything said of one set of labelled rows; made by `evaluate_labelled`.

    Attributes:
        n: Rows.
        accuracy: Share of rows labelled rightly.
        balanced_accuracy: Mean recall over the labels that have rows here.
        macro_f1: Mean F1 over them.
        matthews: Matthews' correlation, -1 to 1.
        per_class: One a label, in the order of the label names.
        label_names: The labels.
        confusion: `[n_labels, n_labels]` counts, rows true, columns predicted.
        confusions: The most frequent pairs of true and predicted label that differ.
        reliability: Of the adapter's probabilities, before and after a temperature.
        selective: What is gained by answering only where the adapter is sure, by its probabilities after the temperature
            where there is one.
        slices: Accuracy by slice of the rows; None where nothing was given to slice by.
        baselines: In the order given.
        advice: What would be cheaper, where the adapter is not better by the margin; else None.
        notes: What a reader must know of these rows, such as labels without any.
    """

    n: int
    accuracy: Interval
    balanced_accuracy: Interval
    macro_f1: Interval
    matthews: Interval
    per_class: tuple[ClassFigures, ...]
    label_names: tuple[str, ...]
    confusion: Array
    confusions: tuple[TopConfusion, ...]
    reliability: Tempered
    selective: Selective
    slices: Slices | None
    baselines: tuple[BaselineFigures, ...]
    advice: str | None
    notes: tuple[str, ...]

    @property
    def calibration(self) -> Calibration:
        """How far the adapter's probabilities, at the run's temperature where there is one, can be taken at their word."""
        return (self.reliability.after or self.reliability.before).calibration

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``evaluate --json`` prints it."""
        return {
            "n": self.n,
            "accuracy": self.accuracy.to_json(),
            "balanced_accuracy": self.balanced_accuracy.to_json(),
            "macro_f1": self.macro_f1.to_json(),
            "matthews": self.matthews.to_json(),
            "per_class": [dict(vars(figures)) for figures in self.per_class],
            "confusion": {"label_names": list(self.label_names), "matrix": self.confusion.tolist()},
            "confusions": [pair.to_json(self.label_names) for pair in self.confusions],
            "calibration": self.calibration.to_json(),
            "reliability": self.reliability.to_json(),
            "selective": self.selective.to_json(),
            "slices": None if self.slices is None else self.slices.to_json(),
            "baselines": [baseline.to_json() for baseline in self.baselines],
            "advice": self.advice,
            "notes": list(self.notes),
        }


def evaluate_labelled(
    labels: Array,
    logits: Array,
    label_names: Sequence[str],
    baseline_predictions: Mapping[str, Array],
    margin: float = DEFAULT_MARGIN,
    seed: int = 0,
    *,
    temperature: float | None = None,
    word_counts: Array | None = None,
    columns: Mapping[str, Array] | None = None,
    wanted_accuracy: float | None = None,
) -> LabelledReport:
    """Turn scored labelled rows into a report.

    Args:
        labels: True labels `[n]`, of ``range(len(label_names))``; some may be absent.
        logits: The adapter's logits `[n, n_labels]`.
        label_names: The labels' names.
        baseline_predictions: Name -> predicted labels `[n]`, on the same rows in the same order.
        margin: The difference in accuracy that matters, a share.
        seed: Seed of the bootstrap and of the draws for the calibration error.
        temperature: What the logits are divided by to be calibrated; above 0, and fitted on other rows.
        word_counts: Number of words of each text `[n]`, to slice by.
        columns: Name -> values `[n]`, text or numbers, to slice by.
        wanted_accuracy: Ask for the confidence above which at least this share is right; between 0 and 1 exclusive.

    Raises:
        ValueError: If shapes do not fit, there are no rows, a logit is not finite, or the temperature or the wanted
            accuracy is out of its range.

    >>> report = evaluate_labelled(np.array([0, 1]), np.array([[2.0, 0.0], [0.0, 2.0]]), ["no", "yes"], {})
    >>> report.accuracy.percent()
    '100.0 % (34.2 to 100.0)'
    """
    labels, logits = _checked(labels, logits, len(label_names))
    n, n_labels = logits.shape
    predictions = logits.argmax(axis=1)
    confusion = confusion_counts(labels, predictions, n_labels)
    right = predictions == labels
    probabilities = probabilities_at(logits, temperature)
    baselines = tuple(
        _baseline(name, labels, np.asarray(theirs), right, n_labels, margin, seed)
        for name, theirs in baseline_predictions.items()
    )
    is_sliced = word_counts is not None or bool(columns)
    return LabelledReport(
        n=n,
        accuracy=wilson_interval(int(right.sum()), n),
        balanced_accuracy=balanced_accuracy_interval(labels, predictions, n_labels, seed),
        macro_f1=macro_f1_interval(labels, predictions, n_labels, seed),
        matthews=matthews_interval(labels, predictions, n_labels, seed),
        per_class=_per_class(labels, predictions, label_names),
        label_names=tuple(label_names),
        confusion=confusion,
        confusions=top_confusions(labels, probabilities),
        reliability=tempered(labels, logits, temperature, seed),
        selective=selective(right, probabilities.max(axis=1), wanted_accuracy),
        slices=slice_rows(right, word_counts, columns or {}) if is_sliced else None,
        baselines=baselines,
        advice=_advice(baselines, margin),
        notes=_notes(confusion, label_names),
    )


def _checked(labels: Array, logits: Array, n_labels: int) -> tuple[Array, Array]:
    """Return labels `[n]` as int64 and logits `[n, n_labels]` as float64, finite."""
    labels = np.asarray(labels, dtype=np.int64)
    logits = np.asarray(logits, dtype=np.float64)
    n = len(labels)
    if logits.shape != (n, n_labels):
        raise ValueError(f"logits have shape {logits.shape}: need ({n}, {n_labels}), rows by labels")
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{(~np.isfinite(logits)).any(axis=1).sum()} of {n} rows have logits that are not finite"
        )
    return labels, logits


def _per_class(labels: Array, predictions: Array, label_names: Sequence[str]) -> tuple[ClassFigures, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    figures = precision_recall_fscore_support(
        labels, predictions, labels=np.arange(len(label_names)), zero_division=0
    )
    return tuple(
        ClassFigures(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(label_names, *figures, strict=True)
    )


def _baseline(
    name: str,
    labels: Array,
    predictions: Array,
    adapter_right: Array,
    n_labels: int,
    margin: float,
    seed: int,
) -> BaselineFigures:
    right = predictions == labels
    return BaselineFigures(
        name=name,
        accuracy=wilson_interval(int(right.sum()), len(labels)),
        macro_f1=macro_f1_interval(labels, predictions, n_labels, seed),
        verdict=compare(adapter_right, right, margin, ("adapter", name)),
    )


def _advice(baselines: Sequence[BaselineFigures], margin: float) -> str | None:
    """Return what would be cheaper, where the adapter is not better by the margin."""
    cheaper = [each for each in baselines if each.name != TOGETHER]
    rivals = [each for each in cheaper if each.verdict.relation != "better by the margin"]
    if not rivals:
        return None
    named = ", ".join(
        each.name + (f" ({CHEAPER[each.name]})" if each.name in CHEAPER else "") for each in rivals
    )
    return f"On these rows the adapter is not shown to be better by {100 * margin:g} points than what is cheaper: {named}."


def _notes(confusion: Array, label_names: Sequence[str]) -> tuple[str, ...]:
    absent = [name for name, support in zip(label_names, confusion.sum(axis=1), strict=True) if not support]
    if not absent:
        return ()
    shown = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
    return (f"no row of {shown}: left out of macro F1, which is the mean over the other labels",)
