"""One number that turns scores into probabilities: a temperature (Guo et al. 2017, arXiv:1706.04599, section 4.2)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

LOWEST, HIGHEST = 0.01, 100.0


def fit_temperature(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the temperature by which ``softmax(scores / temperature)`` has the lowest log loss, within 0.01 and 100.

    A row's label counts ``(n + 1) / (n + 2)`` and the other labels share the rest (Platt 1999, Probabilistic outputs for
    support vector machines, section 2.2): else a few rows that are all right would make every answer certain.

    Args:
        scores: Scores `[n, n_labels]` of rows that the model was not fitted on, finite for their labels.
        labels: Their labels `[n]`.

    >>> scores = np.array([[3.0, 0.0], [0.0, 3.0], [3.0, 0.0], [0.0, 3.0]])
    >>> round(fit_temperature(scores, [0, 1, 0, 0]), 2)  # of two more rows one right, four of six: log 2 = 3 / temperature
    4.33
    """
    scores = np.asarray(scores, dtype=np.float64)
    shares = platt_shares(scores, labels)
    found = minimize_scalar(
        lambda log_temperature: log_loss(scores / np.exp(log_temperature), shares),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
    )
    return float(np.exp(found.x))


def platt_shares(scores: np.ndarray, labels: npt.ArrayLike) -> np.ndarray:
    """Return what each label of each row counts, `[n, n_labels]`: see `fit_temperature`.

    Args:
        scores: `[n, n_labels]`; a label that cannot be given (-inf) counts nothing.
        labels: Labels `[n]`.

    >>> platt_shares(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -np.inf]]), [0, 1]).tolist()
    [[0.75, 0.125, 0.125], [0.25, 0.75, 0.0]]
    """
    n_rows = len(scores)
    others = np.isfinite(scores)
    others[np.arange(n_rows), labels] = False
    shares = others / ((n_rows + 2) * np.maximum(others.sum(axis=1, keepdims=True), 1))
    shares[np.arange(n_rows), labels] = (n_rows + 1) / (n_rows + 2)
    return np.asarray(shares)


def log_loss(scores: np.ndarray, shares: np.ndarray) -> float:
    """Return the mean log loss of ``softmax(scores)`` where each label of a row counts its share; both `[n, n_labels]`."""
    log_probabilities = np.where(shares > 0, log_softmax(scores, axis=1), 0)
    return -float((shares * log_probabilities).sum(axis=1).mean())


def probabilities_at(scores: npt.ArrayLike, temperature: float | None) -> np.ndarray:
    """Return the softmax of scores over a temperature, `[n, n_labels]` float64; None stands for 1.

    >>> probabilities_at(np.array([[0.0, 0.0]]), 3.0).tolist()
    [[0.5, 0.5]]
    """
    if temperature is not None and not 0 < temperature < np.inf:
        raise ValueError(f"temperature={temperature}: need a number above 0")
    return np.asarray(softmax(np.asarray(scores, dtype=np.float64) / (temperature or 1.0), axis=1))


def tempered_log_loss(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the log loss at the temperature that `fit_temperature` finds for the same rows.

    By it models compare that are not yet calibrated: few steps leave one underconfident, many the reverse (refinement; Berta et
    al. 2025, arXiv:2501.19195). Finer than accuracy where rows are few: each row counts by how far it is from its border.

    Args:
        scores: Scores `[n, n_labels]`, finite for the rows' labels.
        labels: Their labels `[n]`.

    >>> sure = np.array([[30.0, 0.0], [0.0, 30.0], [30.0, 0.0], [0.0, 30.0]])
    >>> bool(np.isclose(tempered_log_loss(sure, [0, 1, 0, 0]), tempered_log_loss(sure / 10, [0, 1, 0, 0]), atol=1e-6))
    True
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    log_probabilities = log_softmax(scores / fit_temperature(scores, labels), axis=1)
    return -float(log_probabilities[np.arange(len(labels)), labels].mean())


def fit_temperatures(scores: Mapping[str, np.ndarray], labels: npt.ArrayLike) -> dict[str, float]:
    """Return a temperature for each name; none where a label of the rows cannot be given (its score is -inf)."""
    labels = np.asarray(labels)
    rows = np.arange(len(labels))
    return {
        name: fit_temperature(values, labels)
        for name, values in scores.items()
        if values.shape[1] > labels.max() and np.isfinite(values[rows, labels]).all()
    }


def temperature_of(record: Mapping[str, Any], name: str) -> float | None:
    """Return the temperature that a run's `run.json` holds for what can answer; None where it holds none.

    >>> temperature_of({"temperatures": {"adapter": 1.3}}, "adapter"), temperature_of({}, "adapter")
    (1.3, None)
    """
    temperatures: Mapping[str, float] = record.get("temperatures") or {}
    return temperatures.get(name)
