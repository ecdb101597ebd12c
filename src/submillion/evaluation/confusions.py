"""Which label is most often taken for which, and the rows that show it best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

N_PAIRS = 10
"""Most pairs named."""

N_ROWS = 3
"""Most rows shown for a pair."""


@dataclass(frozen=True)
class TopConfusion:
    """One label taken for another.

    Attributes:
        true: The label that the rows have.
        predicted: The label that they were given.
        n: How many.
        rows: Positions of some of them, counted from 0, the most confident first.
    """

    true: int
    predicted: int
    n: int
    rows: tuple[int, ...]

    def to_json(self, label_names: Sequence[str]) -> dict[str, Any]:
        """Return the pair by its labels' names."""
        return {
            "true": label_names[self.true],
            "predicted": label_names[self.predicted],
            "n": self.n,
            "rows": list(self.rows),
        }


def top_confusions(
    labels: Array, probabilities: Array, n_pairs: int = N_PAIRS, n_rows: int = N_ROWS
) -> tuple[TopConfusion, ...]:
    """Return the most frequent pairs of true and predicted label that differ, the most frequent first.

    Args:
        labels: True labels `[n]`.
        probabilities: `[n, n_labels]`; the largest one's label is the prediction, its value the confidence.
        n_pairs: Most pairs; of equally frequent ones those of the lower labels.
        n_rows: Most rows a pair; of equally confident ones the earlier.

    >>> top_confusions(np.array([0, 0, 1]), np.array([[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]]))
    (TopConfusion(true=0, predicted=1, n=2, rows=(1, 0)),)
    """
    n_labels = probabilities.shape[1]
    predictions, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    pairs = labels[wrong] * n_labels + predictions[wrong]
    named, counts = np.unique(pairs, return_counts=True)
    return tuple(
        TopConfusion(
            true=int(named[place] // n_labels),
            predicted=int(named[place] % n_labels),
            n=int(counts[place]),
            rows=tuple(int(row) for row in wrong[pairs == named[place]][:n_rows]),
        )
        for place in np.argsort(-counts, kind="stable")[:n_pairs]
    )
