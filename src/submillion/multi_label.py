"""Decisions where a row may have any number of labels: a threshold over the sigmoids of its scores, and their F1."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from submillion.errors import ConfigError

Array = np.ndarray[Any, np.dtype[Any]]

MULTI_LABEL = "multi_label_classification"
SINGLE_LABEL = "single_label_classification"

DEFAULT_THRESHOLD = 0.5
"""Without validation rows."""


def decide(scores: Array, threshold: float) -> Array:
    """Return which labels each row gets, 0 and 1, int64 `[n, n_labels]`: those whose sigmoid is at least the threshold.

    >>> decide(np.array([[2.0, -2.0], [-2.0, -np.inf]]), 0.5).tolist()
    [[1, 0], [0, 0]]
    """
    return np.asarray(expit(np.asarray(scores, dtype=np.float64)) >= threshold, dtype=np.int64)


def fit_threshold(scores: Array, labels: Array) -> float:
    """Return the one threshold, for all labels, with the highest micro F1 on these rows; of equals that nearest to 0.5.

    One for all, and not one a label: a label's own threshold rests on the few rows that have it, and what is gained on
    these is lost on others (`benchmarks/multi_label_thresholds.py`; Lipton et al. 2014, arXiv:1402.1892, section 6).

    Args:
        scores: `[n, n_labels]`, of rows that the model was not fitted on.
        labels: Theirs, 0 and 1 `[n, n_labels]`.

    >>> fit_threshold(np.array([[-1.0, -1.2], [-3.0, -0.8]]), np.array([[1, 0], [0, 1]])).__round__(2)
    0.25
    """
    sigmoids = expit(np.asarray(scores, dtype=np.float64)).ravel()
    order = np.argsort(-sigmoids, kind="stable")
    taken, right = sigmoids[order], np.cumsum(np.asarray(labels).ravel()[order])
    n_true = int(right[-1])
    if not n_true:
        return DEFAULT_THRESHOLD
    ends = np.flatnonzero(np.append(taken[1:] < taken[:-1], True) & (taken > 0))  # equal scores go together
    if not len(ends):
        return DEFAULT_THRESHOLD
    f1 = 2 * right[ends] / (ends + 1 + n_true)
    following = np.append(taken, 0.0)[ends + 1]
    middles = (taken[ends] + following) / 2  # halfway to the first that is not taken
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(middles[best[np.abs(middles[best] - DEFAULT_THRESHOLD).argmin()]])


def counts_of_rows(labels: Array, decisions: Array) -> tuple[Array, Array, Array]:
    """Return of each row and label whether it is rightly given, wrongly given, missed: three of bool `[n, n_labels]`."""
    true, given = np.asarray(labels) == 1, np.asarray(decisions) == 1
    return true & given, ~true & given, true & ~given


def f1_of(right: Array, wrong: Array, missed: Array) -> Array:
    """Return F1 from counts; 0 where nothing was right.

    >>> f1_of(np.array([2, 0]), np.array([1, 0]), np.array([1, 0])).round(3).tolist()
    [0.667, 0.0]
    """
    total = 2 * right + wrong + missed
    return np.asarray(2 * right / np.where(total > 0, total, 1))


def micro_f1(labels: Array, decisions: Array) -> float:
    """Return F1 over all decisions, as scikit-learn's ``f1_score(average="micro", zero_division=0)``.

    >>> round(micro_f1(np.array([[1, 0], [1, 1]]), np.array([[1, 1], [0, 1]])), 3)
    0.667
    """
    return float(f1_of(*(part.sum() for part in counts_of_rows(labels, decisions))))


def macro_f1_of_sets(labels: Array, decisions: Array) -> float:
    """Return the mean F1 over the labels that some row has; 0 where none has any.

    >>> macro_f1_of_sets(np.array([[1, 0, 0], [1, 1, 0]]), np.array([[1, 0, 0], [1, 0, 0]]))
    0.5
    """
    present = np.asarray(labels).any(axis=0)
    f1 = f1_of(*(part.sum(axis=0) for part in counts_of_rows(labels, decisions)))
    return float(f1[present].mean()) if present.any() else 0.0


def is_exact(labels: Array, decisions: Array) -> Array:
    """Return which rows have just the labels they were given, `[n]` of bool; of one label a row, which are right.

    >>> is_exact(np.array([[1, 0], [1, 1]]), np.array([[1, 1], [1, 1]])).tolist(), is_exact(np.array([2]), np.array([2])).tolist()
    ([False, True], [True])
    """
    same = np.asarray(labels) == np.asarray(decisions)
    return np.asarray(same if same.ndim == 1 else same.all(axis=1))


def thresholds_of(record: Mapping[str, Any]) -> Mapping[str, float] | None:
    """Return the thresholds that a run's `run.json` holds, by adapter and baselines; None where each row has one label.

    >>> thresholds_of({"thresholds": {"adapter": 0.4}}), thresholds_of({})
    ({'adapter': 0.4}, None)
    """
    thresholds: Mapping[str, float] | None = record.get("thresholds")
    return thresholds


def refuse(is_multi_label: bool, what: str, instead: str) -> None:
    """Refuse what is made for one label a row.

    Raises:
        ConfigError: Where rows may have several.
    """
    if is_multi_label:
        raise ConfigError(f"{what} is for one label a row, and these rows may have several: {instead}")
