"""What is gained by answering only where the model is sure: accuracy against coverage, and a threshold with a guarantee.

A threshold keeps the rows whose confidence, the largest probability, lies above it; 0 keeps them all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log
from typing import Any

import numpy as np

from submillion.statistics import exact_lower_bound

Array = np.ndarray[Any, np.dtype[Any]]

N_POINTS = 100
"""Most points of a curve."""

N_THRESHOLDS = 20
"""Thresholds tried for a wanted accuracy: those that keep 5, 10, ..., 100 % of the rows."""

LEVEL = 0.95
"""Confidence with which the wanted accuracy is reached."""


@dataclass(frozen=True)
class Curve:
    """Accuracy against coverage: the most confident rows first, rows of equal confidence together.

    Attributes:
        coverage: Share of rows kept, rising, `[n_points]`.
        accuracy: Share of those that are right, `[n_points]`.
        threshold: Confidence above which they lie, falling to 0, `[n_points]`.
    """

    coverage: Array
    accuracy: Array
    threshold: Array

    def to_json(self) -> dict[str, list[float]]:
        """Return the three columns."""
        return {name: getattr(self, name).tolist() for name in ("coverage", "accuracy", "threshold")}


@dataclass(frozen=True)
class Threshold:
    """The lowest of `N_THRESHOLDS` thresholds that is shown to reach a wanted accuracy; made by `threshold_for`.

    Attributes:
        wanted: The accuracy wanted on the rows kept.
        threshold: Rows with a confidence above it are kept; None where no threshold is shown to do.
        coverage: Share of these rows that it keeps.
        n_kept: How many those are.
        accuracy: Share of those that are right; what is guaranteed of other rows is ``wanted``.
        reason: Why there is no threshold; else None.
    """

    wanted: float
    threshold: float | None
    coverage: float | None
    n_kept: int
    accuracy: float | None
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the threshold with what is guaranteed of it."""
        return dict(vars(self)) | {
            "level": LEVEL,
            "guarantee": f"with {100 * LEVEL:g} % confidence over the draw of these rows, of new rows from the same source "
            f"with a confidence above the threshold at least {100 * self.wanted:g} % are right (Clopper-Pearson's lower "
            f"bound, corrected for the {N_THRESHOLDS} thresholds tried)",
        }


@dataclass(frozen=True)
class Selective:
    """Selective prediction on labelled rows; made by `selective`.

    Attributes:
        curve: Accuracy against coverage.
        area: Area under the risk-coverage curve, 0 to 1, lower is better: the mean, over the number of rows kept, of
            the share of them that are wrong (Geifman, Uziel and El-Yaniv 2019, arXiv:1805.08206).
        area_at_random: That of a confidence that says nothing: the share of rows that are wrong.
        area_at_best: That of a confidence that puts every row that is right before every wrong one.
        threshold: For the accuracy wanted; None where none was.
    """

    curve: Curve
    area: float
    area_at_random: float
    area_at_best: float
    threshold: Threshold | None

    def to_json(self) -> dict[str, Any]:
        """Return all of it as it stands in ``report.json``."""
        return {
            "curve": self.curve.to_json(),
            "area": self.area,
            "area_at_random": self.area_at_random,
            "area_at_best": self.area_at_best,
            "threshold": None if self.threshold is None else self.threshold.to_json(),
        }


def selective(right: Array, confidence: Array, wanted_accuracy: float | None = None) -> Selective:
    """Return what is gained by answering only the rows that the model is most sure of.

    Args:
        right: Whether each row is labelled rightly, `[n]` of bool, at least one.
        confidence: The largest probability of each row, `[n]`, above 0.
        wanted_accuracy: Ask for a threshold for it; a share between 0 and 1 exclusive.

    >>> found = selective(np.array([True, True, False]), np.array([0.9, 0.8, 0.6]))
    >>> found.curve.accuracy.round(2).tolist(), round(found.area, 3)
    ([1.0, 1.0, 0.67], 0.111)
    """
    return Selective(
        curve=accuracy_by_coverage(right, confidence),
        area=risk_area(right, confidence),
        area_at_random=float(1 - right.mean()),
        area_at_best=risk_area(right, 1.0 + right),
        threshold=None if wanted_accuracy is None else threshold_for(wanted_accuracy, right, confidence),
    )


def accuracy_by_coverage(right: Array, confidence: Array, n_points: int = N_POINTS) -> Curve:
    """Return accuracy against coverage at no more than ``n_points`` thresholds, about evenly spaced by coverage.

    Args:
        right: Whether each row is labelled rightly, `[n]` of bool, at least one.
        confidence: `[n]`, above 0.
        n_points: Most points.

    >>> accuracy_by_coverage(np.array([True, False, True]), np.array([0.9, 0.7, 0.7])).to_json()
    {'coverage': [0.3333333333333333, 1.0], 'accuracy': [1.0, 0.6666666666666666], 'threshold': [0.7, 0.0]}
    """
    kept, n_right, thresholds = _by_threshold(right, confidence)
    n = len(right)
    places = np.unique(np.searchsorted(kept, np.ceil(n * np.arange(1, n_points + 1) / n_points)))
    return Curve(kept[places] / n, n_right[places] / kept[places], thresholds[places])


def risk_area(right: Array, confidence: Array) -> float:
    """Return the area under the risk-coverage curve; among rows of equal confidence the order counts as random.

    Args:
        right: Whether each row is labelled rightly, `[n]` of bool, at least one.
        confidence: `[n]`, above 0.

    >>> round(risk_area(np.array([True, False]), np.array([0.9, 0.8])), 3)  # none wrong of one, one of two
    0.25
    >>> risk_area(np.array([True, False]), np.array([0.9, 0.9]))
    0.5
    """
    kept, n_right, _ = _by_threshold(right, confidence)
    numbers = np.arange(1, len(right) + 1)
    n_wrong = np.interp(numbers, np.append(0, kept), np.append(0, kept - n_right))
    return float((n_wrong / numbers).mean())


def threshold_for(accuracy_wanted: float, right: Array, confidence: Array) -> Threshold:
    """Return the lowest threshold above which accuracy is shown to be at least the one wanted.

    The thresholds tried are set by the confidences alone, at fixed shares of the rows. Given the confidence at which
    one lies, the rows above it are drawn from all rows above it, so Clopper and Pearson's lower bound holds for each.
    They are tried from the highest down by the fallback procedure (Wiens 2003, Pharmaceutical Statistics 2:211): each
    has an equal part of the chance of an error, and one that is shown hands what it had on to the next. The chance that
    any is shown wrongly, whichever is then chosen, is at most ``1 - LEVEL``. One that keeps too few rows to be shown
    even if all are right is left out beforehand.

    Selection with guaranteed risk (Geifman and El-Yaniv 2017, arXiv:1705.08500) halves the range by what the labels
    show, and corrects for the halvings alone though the labels choose which thresholds they meet. Here no label moves a
    threshold.

    Args:
        accuracy_wanted: A share between 0 and 1 exclusive.
        right: Whether each row is labelled rightly, `[n]` of bool, at least one.
        confidence: `[n]`, above 0.

    Raises:
        ValueError: If the accuracy is out of its range.

    >>> found = threshold_for(0.9, np.arange(1000) % 20 > 0, np.linspace(0.4, 1, 1000))
    >>> found.threshold, found.coverage, found.accuracy
    (0.0, 1.0, 0.95)
    >>> threshold_for(0.99, np.full(100, True), np.linspace(0.4, 1, 100)).reason
    '100 rows, were all right, would not show 99 %: at least 299 are needed'
    """
    if not 0 < accuracy_wanted < 1:
        raise ValueError(f"accuracy_wanted={accuracy_wanted}: need a share between 0 and 1, both exclusive")
    n = len(right)
    needed = ceil(log(1 - LEVEL) / log(accuracy_wanted))
    tried = {threshold: above for threshold, above in _candidates(confidence) if above.sum() >= needed}
    if not tried:
        reason = f"{n:,} rows, were all right, would not show {100 * accuracy_wanted:g} %: at least {needed:,} are needed"
        return Threshold(accuracy_wanted, None, None, 0, None, reason)
    share = (1 - LEVEL) / len(tried)
    handed_on, shown, bounds = 0.0, None, []
    for threshold, above in tried.items():
        n_kept, n_right, miss = int(above.sum()), int(right[above].sum()), share + handed_on
        bounds.append((exact_lower_bound(n_right, n_kept, miss), n_kept, n_right))
        is_shown = bounds[-1][0] >= accuracy_wanted
        handed_on = miss if is_shown else 0.0
        if is_shown:
            shown = Threshold(accuracy_wanted, threshold, n_kept / n, n_kept, n_right / n_kept, None)
    return shown or Threshold(accuracy_wanted, None, None, 0, None, _why_none(accuracy_wanted, *max(bounds)))


def _candidates(confidence: Array) -> Iterator[tuple[float, Array]]:
    """Yield each threshold, the highest first, and which rows lie above it, `[n]` of bool."""
    descending = np.append(np.sort(confidence)[::-1], 0.0)
    for part in range(1, N_THRESHOLDS + 1):
        threshold = float(descending[ceil(len(confidence) * part / N_THRESHOLDS)])
        yield threshold, confidence > threshold


def _why_none(wanted: float, bound: float, n_kept: int, n_right: int) -> str:
    return (
        f"no threshold is shown to reach {100 * wanted:g} %: the highest lower bound is {100 * bound:.1f} %, on the "
        f"{n_kept:,} most confident rows, of which {100 * n_right / n_kept:.1f} % are right"
    )


def _by_threshold(right: Array, confidence: Array) -> tuple[Array, Array, Array]:
    """Return rows kept, how many of them are right, and the threshold, for each distinct set that one can keep."""
    order = np.argsort(-confidence, kind="stable")
    descending = np.append(confidence[order], 0.0)
    ends = np.flatnonzero(descending[1:] < descending[:-1])
    return ends + 1, np.cumsum(right[order])[ends], descending[ends + 1]
