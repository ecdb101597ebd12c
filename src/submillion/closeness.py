"""Rows whose label bf16 could turn: how far it moves logits, measured once a run, and which rows lie closer than that."""

from collections.abc import Sequence

import numpy as np
from scipy.special import logit

from submillion.model.build import Classifier
from submillion.scoring import score

N_MEASURED = 128
"""Train rows on which the shift is measured."""

SAFETY = 2.0
"""A row counts as close up to so many times the largest shift that was measured."""


def measure_shift(
    narrow: Classifier,
    exact: Classifier,
    rows: Sequence[Sequence[int]],
    batch_size: int,
    *,
    is_single: bool = True,
) -> float:
    """Return the largest change of the difference of two logits between two numerics of one classifier.

    Where rows may have several labels: of a logit, for each is decided alone.

    Args:
        narrow: As it predicts, in bf16.
        exact: The same in fp32.
        rows: Token numbers of rows; `N_MEASURED` of them, evenly spread, are scored by both.
        batch_size: Most rows a batch.
        is_single: Whether each row has one label.
    """
    chosen = [rows[int(row)] for row in np.linspace(0, len(rows) - 1, min(N_MEASURED, len(rows)))]
    moved = score(narrow, chosen, batch_size).logits - score(exact, chosen, batch_size).logits
    return float(np.ptp(moved, axis=1).max() if is_single else np.abs(moved).max())


def close_rows(logits: np.ndarray, shift: float, threshold: float | None = None) -> np.ndarray:
    """Return which rows of logits `[n, n_labels]`, at least two labels, could have another label in fp32.

    Args:
        logits: Of the rows.
        shift: What `measure_shift` found.
        threshold: Where rows may have several labels: the sigmoid from which on a label is given.

    >>> close_rows(np.array([[0.0, 5.0], [1.0, 1.05]]), shift=0.04)
    array([1])
    >>> close_rows(np.array([[0.01, 5.0], [1.0, 1.05]]), shift=0.04, threshold=0.5)
    array([0])
    """
    if threshold is not None:
        return np.flatnonzero((np.abs(logits - logit(threshold)) <= SAFETY * shift).any(axis=1))
    ordered = np.sort(logits, axis=1)
    return np.flatnonzero(ordered[:, -1] - ordered[:, -2] <= SAFETY * shift)
