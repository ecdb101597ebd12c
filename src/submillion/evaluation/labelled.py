"""Figures on labelled rows: the adapter's, each with an interval, and the baselines' on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from submillion.confusion import confusion_counts
from submillion.statistics import (
    DEFAULT_MARGIN,
    Interval,
    Verdict,
    compare,
    macro_f1_interval,
    wilson_interval,
)

Array = np.ndarray[Any, np.dtype[Any]]

N_BINS = 15
"""Bins of the expected calibration error, as in Guo et al. (2017), arXiv:1706.04599, section 2."""

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
class Calibration:
    """How far the probabilities can be taken at their word.

    Attributes:
        log_loss: Mean negative log probability of the true label, in nats.
        brier: Mean squared distance of the probabilities from the truth, summed over labels, 0 to 2
            (Brier 1950).
        expected_calibration_error: Mean gap between confidence and accuracy over bins with equally many
            rows. Biased upward: a perfectly calibrated model scores up to ``0.4 * sqrt(n_bins / n)``.
        n_bins: Bins used; fewer than `N_BINS` only where there are fewer rows.
    """

    log_loss: float
    brier: float
    expected_calibration_error: float
    n_bins: int

    def to_json(self) -> dict[str, Any]:
        """Return the figures, with what the last one must not be taken for."""
        return {
            "log_loss": self.log_loss,
            "brier": self.brier,
            "expected_calibration_error": self.expected_calibration_error,
            "n_bins": self.n_bins,
            "note": "expected_calibration_error: bins of equal mass, biased upward at small n",
        }


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
        macro_f1: Mean F1 over the labels that have rows here.
        per_class: One a label, in the order of the label names.
        label_names: The labels.
        confusion: `[n_labels, n_labels]` counts, rows true, columns predicted.
        calibration: Of the adapter's probabilities.
        baselines: In the order given.
        advice: What would be cheaper, where the adapter is not better by the margin; else None.
        notes: What a reader must know of these rows, such as labels without any.
    """

    n: int
    accuracy: Interval
    macro_f1: Interval
    per_class: tuple[ClassFigures, ...]
    label_names: tuple[str, ...]
    confusion: Array
    calibration: Calibration
    baselines: tuple[BaselineFigures, ...]
    advice: str | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``evaluate --json`` prints it."""
        return {
            "n": self.n,
            "accuracy": self.accuracy.to_json(),
            "macro_f1": self.macro_f1.to_json(),
            "per_class": [dict(vars(figures)) for figures in self.per_class],
            "confusion": {"label_names": list(self.label_names), "matrix": self.confusion.tolist()},
            "calibration": self.calibration.to_json(),
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
) -> LabelledReport:
    """Turn scored labelled rows into a report.

    Args:
        labels: True labels `[n]`, of ``range(len(label_names))``; some may be absent.
        logits: The adapter's logits `[n, n_labels]`.
        label_names: The labels' names.
        baseline_predictions: Name -> predicted labels `[n]`, on the same rows in the same order.
        margin: The difference in accuracy that matters, a share.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: If shapes do not fit, there are no rows, or a logit is not finite.

    >>> report = evaluate_labelled(np.array([0, 1]), np.array([[2.0, 0.0], [0.0, 2.0]]), ["no", "yes"], {})
    >>> report.accuracy.percent()
    '100.0 % (34.2 to 100.0)'
    """
    labels = np.asarray(labels, dtype=np.int64)
    logits = np.asarray(logits, dtype=np.float64)
    n, n_labels = len(labels), len(label_names)
    if logits.shape != (n, n_labels):
        raise ValueError(f"logits have shape {logits.shape}: need ({n}, {n_labels}), rows by labels")
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{(~np.isfinite(logits)).any(axis=1).sum()} of {n} rows have logits that are not finite"
        )
    predictions = logits.argmax(axis=1)
    confusion = confusion_counts(labels, predictions, n_labels)
    right = predictions == labels
    baselines = tuple(
        _baseline(name, labels, np.asarray(theirs), right, n_labels, margin, seed)
        for name, theirs in baseline_predictions.items()
    )
    return LabelledReport(
        n=n,
        accuracy=wilson_interval(int(right.sum()), n),
        macro_f1=macro_f1_interval(labels, predictions, n_labels, seed),
        per_class=_per_class(labels, predictions, label_names),
        label_names=tuple(label_names),
        confusion=confusion,
        calibration=calibration(labels, softmax(logits.astype(np.float64), axis=1)),
        baselines=baselines,
        advice=_advice(baselines, margin),
        notes=_notes(confusion, label_names),
    )


def calibration(labels: Array, probabilities: Array) -> Calibration:
    """Return log loss, Brier score and expected calibration error.

    Args:
        labels: True labels `[n]`.
        probabilities: `[n, n_labels]`, each row summing to 1.

    >>> round(calibration(np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]])).brier, 3)
    0.17
    """
    from sklearn.metrics import log_loss

    n, n_labels = probabilities.shape
    truth = np.eye(n_labels)[labels]
    n_bins = min(N_BINS, n)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.array_split(np.argsort(confidence, kind="stable"), n_bins)
    gaps = [abs(float(confidence[rows].mean() - right[rows].mean())) * len(rows) for rows in bins]
    return Calibration(
        log_loss=float(log_loss(labels, probabilities, labels=np.arange(n_labels))),
        brier=float(((probabilities - truth) ** 2).sum(axis=1).mean()),
        expected_calibration_error=sum(gaps) / n,
        n_bins=n_bins,
    )


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
    rivals = [each for each in baselines if each.verdict.relation != "better by the margin"]
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
