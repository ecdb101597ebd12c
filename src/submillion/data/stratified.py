"""An order of labelled rows of which every beginning is a fair part."""

import numpy as np


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return an order of rows of which each beginning holds every label in its own share, and at least once.

    Args:
        labels: `[n]` int64.
        seed: Of the order within a label.

    >>> labels = np.array([0] * 6 + [1] * 2)
    >>> order = stratified_order(labels, seed=0)
    >>> labels[order].tolist()
    [0, 1, 0, 0, 0, 0, 1, 0]
    """
    place = np.empty(len(labels))
    generator = np.random.default_rng(seed)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
        place[rows[0]] = 0.0
    return np.lexsort((labels, place))
