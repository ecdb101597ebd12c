"""How far probabilities can be taken at their word, before and after a temperature."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.statistics import Interval, mean_interval, wilson_interval
from submillion.temperature import probabilities_at

Array = np.ndarray[Any, np.dtype[Any]]

N_BINS = 15
"""Bins of the expected calibration error, as in Guo et al. (2017), arXiv:1706.04599, section 2."""

N_DRAWS = 200
"""Sets of rows drawn to see the calibration error of a model that is calibrated perfectly."""

LEAST_PROBABILITY = float(np.finfo(np.float64).eps)
"""What a probability of 0 counts as, so that its logarithm is finite; scikit-learn's ``log_loss`` does the same."""


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities can be taken at their word.

    Attributes:
        log_loss_interval: Mean negative log probability of the true label, in nats.
        brier_interval: Mean squared distance of the probabilities from the truth, summed over labels, 0 to 2
            (Brier 1950).
        expected_calibration_error: Mean gap between confidence and accuracy over bins with equally many
            rows. Biased upward: a perfectly calibrated model scores up to ``0.4 * sqrt(n_bins / n)``; see
            `Reliability.if_calibrated`.
        n_bins: Bins used; fewer than `N_BINS` only where there are fewer rows.
    """

    log_loss_interval: Interval
    brier_interval: Interval
    expected_calibration_error: float
    n_bins: int

    @property
    def log_loss(self) -> float:
        """The log loss itself."""
        return self.log_loss_interval.value

    @property
    def brier(self) -> float:
        """The Brier score itself."""
        return self.brier_interval.value

    def to_json(self) -> dict[str, Any]:
        """Return the figures, with what the expected calibration error must not be taken for."""
        return {
            "log_loss": self.log_loss,
            "log_loss_interval": self.log_loss_interval.to_json(),
            "brier": self.brier,
            "brier_interval": self.brier_interval.to_json(),
            "expected_calibration_error": self.expected_calibration_error,
            "n_bins": self.n_bins,
            "note": "expected_calibration_error: bins of equal mass, biased upward at small n",
        }


@dataclass(frozen=True)
class Bin:
    """One point of a reliability diagram: ``confidence`` is the mean of the bin's ``n`` rows."""

    confidence: float
    accuracy: Interval
    n: int

    def to_json(self) -> dict[str, float]:
        """Return the point, with the ends of the accuracy's Wilson interval."""
        return {
            "confidence": self.confidence,
            "accuracy": self.accuracy.value,
            "low": self.accuracy.low,
            "high": self.accuracy.high,
            "n": self.n,
        }


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram and what its calibration error is worth; made by `reliability`.

    Attributes:
        calibration: Of the same probabilities.
        if_calibrated: The expected calibration error that a model with these confidences would show on so many
            rows, on average, were it calibrated perfectly: the part of the error that is chance.
        if_calibrated_high: What only 5 % of such sets of rows exceed: an error above it is more than chance.
        bins: Of equal mass, the least confident first.
    """

    calibration: Calibration
    if_calibrated: float
    if_calibrated_high: float
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the diagram's data beside the calibration figures."""
        return self.calibration.to_json() | {
            "if_calibrated": self.if_calibrated,
            "if_calibrated_high": self.if_calibrated_high,
            "note": "if_calibrated: the expected_calibration_error that a perfectly calibrated model would show on "
            f"these rows, by {N_DRAWS} draws; 5 % of the draws lie above if_calibrated_high",
            "bins": [each.to_json() for each in self.bins],
        }


@dataclass(frozen=True)
class Tempered:
    """Reliability before and after the logits are divided by a temperature; ``after`` is None without one."""

    before: Reliability
    temperature: float | None
    after: Reliability | None

    def to_json(self) -> dict[str, Any]:
        """Return both sides as they stand in ``report.json``."""
        return {
            "before": self.before.to_json(),
            "temperature": self.temperature,
            "after": None if self.after is None else self.after.to_json(),
        }


def tempered(labels: Array, logits: Array, temperature: float | None, seed: int) -> Tempered:
    """Return reliability before and, where there is a temperature, after it.

    Args:
        labels: True labels `[n]`.
        logits: `[n, n_labels]`, finite.
        temperature: What the logits are divided by; above 0, and fitted on other rows.
        seed: Seed of the draws.

    Raises:
        ValueError: If the temperature is not above 0.

    >>> both = tempered(np.array([0, 1]), np.array([[2.0, 0.0], [2.0, 0.0]]), 2.0, seed=0)
    >>> round(both.before.bins[0].confidence, 2), round(both.after.bins[0].confidence, 2)
    (0.88, 0.73)
    """
    before = reliability(labels, probabilities_at(logits, None), seed)
    if temperature is None:
        return Tempered(before, None, None)
    return Tempered(before, temperature, reliability(labels, probabilities_at(logits, temperature), seed))


def calibration(labels: Array, probabilities: Array) -> Calibration:
    """Return log loss, Brier score and expected calibration error.

    Args:
        labels: True labels `[n]`.
        probabilities: `[n, n_labels]`, each row summing to 1.

    >>> round(calibration(np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]])).brier, 3)
    0.17
    """
    n, n_labels = probabilities.shape
    losses = -np.log(np.clip(probabilities[np.arange(n), labels], LEAST_PROBABILITY, 1.0))
    distances = ((probabilities - np.eye(n_labels)[labels]) ** 2).sum(axis=1)
    confidence, right, starts = _binned(labels, probabilities)
    return Calibration(
        log_loss_interval=mean_interval(losses, 0.0, -np.log(LEAST_PROBABILITY)),
        brier_interval=mean_interval(np.clip(distances, 0.0, 2.0), 0.0, 2.0),
        expected_calibration_error=_calibration_error(confidence, right, starts),
        n_bins=len(starts),
    )


def reliability(labels: Array, probabilities: Array, seed: int) -> Reliability:
    """Return the data of a reliability diagram, and the calibration error that chance alone would show.

    Args:
        labels: True labels `[n]`.
        probabilities: `[n, n_labels]`, each row summing to 1.
        seed: Seed of the draws.

    >>> found = reliability(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), seed=0)
    >>> [(each.confidence, each.accuracy.value, each.n) for each in found.bins]
    [(0.6, 0.0, 1), (0.9, 1.0, 1)]
    """
    confidence, right, starts = _binned(labels, probabilities)
    rng = np.random.default_rng(seed)
    by_chance = [
        _calibration_error(confidence, rng.random(len(confidence)) < confidence, starts)
        for _ in range(N_DRAWS)
    ]
    parts = zip(np.split(confidence, starts[1:]), np.split(right, starts[1:]), strict=True)
    return Reliability(
        calibration=calibration(labels, probabilities),
        if_calibrated=float(np.mean(by_chance)),
        if_calibrated_high=float(np.quantile(by_chance, 0.95)),
        bins=tuple(
            Bin(float(sure.mean()), wilson_interval(int(hits.sum()), len(hits)), len(hits))
            for sure, hits in parts
        ),
    )


def _binned(labels: Array, probabilities: Array) -> tuple[Array, Array, Array]:
    """Return confidence and whether right, both `[n]` by rising confidence, and where each bin of equal mass starts."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    sizes = [len(part) for part in np.array_split(order, min(N_BINS, len(order)))]
    right = (probabilities.argmax(axis=1) == labels)[order]
    return confidence[order], right, np.concatenate([[0], np.cumsum(sizes)[:-1]])


def _calibration_error(confidence: Array, right: Array, starts: Array) -> float:
    """Return the expected calibration error over bins of sorted rows."""
    gaps = np.add.reduceat(confidence - right, starts)
    return float(np.abs(gaps).sum()) / len(confidence)
