"""Whether rows unlike training could belong to the labels that training has: the sign of a class that it lacks.

A new topic of a known class lies near that class, and its rows are labelled in about the shares that training has. Rows of a
class that training lacks lie far from every class, and fall into the few labels that happen to be nearest. Neither confidence
nor the agreement of other models tells the two apart; see the family `class` of `benchmarks/shift.py`.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AnsweredRows:
    """Rows as the frozen encoder sees them, and the labels that the adapter gives them.

    Attributes:
        embeddings: The frozen encoder's, `[n, width]`.
        predictions: The adapter's labels, `[n]` int64.
    """

    embeddings: np.ndarray
    predictions: np.ndarray


def affinity_to_labels(
    known: AnsweredRows, labels: np.ndarray, new: AnsweredRows, unlike: np.ndarray
) -> float:
    """Return how near the unlike ones of new rows lie to the classes: 1 as near as known rows, 0 or less far from all.

    The cosine to the nearest class centre, seen from the mean of the centres, over that of known rows, each held against
    centres that leave it out; less the total variation between the labels that the model gives the new rows and those that it
    gives known ones, beyond what so few rows would show by chance. Both are means over the new rows by how likely each is an
    unlike one; what familiar rows bring in by that, whose affinity is taken to be 1, is taken out again, so that it hardly
    matters how many of the rows are unlike. It has no lower bound.

    Args:
        known: Rows that did not train, `m` of them.
        labels: Their true labels, `[m]` int64.
        new: Rows without labels, `n` of them.
        unlike: How likely each new row is an unlike one, `[n]`, 0 to 1, one above 0 at least.

    >>> rng = np.random.default_rng(0)
    >>> centres, labels = 4 * np.eye(4), np.arange(900) % 3
    >>> known = AnsweredRows(centres[labels] + rng.normal(size=(900, 4)), labels)
    >>> round(affinity_to_labels(known, labels, known, np.ones(900)), 2)
    1.0
    >>> of_the_fourth = AnsweredRows(centres[[3] * 300] + rng.normal(size=(300, 4)), np.zeros(300, dtype=int))
    >>> affinity_to_labels(known, labels, of_the_fourth, np.ones(300)) < 0.2
    True
    """
    weights = unlike / unlike.sum()
    of_unlike = float(weights @ unlike)  # of what is weighed, the share that is unlike
    centres = _Centres.of(known.embeddings, labels)
    near = (weights * centres.nearest(new.embeddings)).sum() / centres.nearest_of_own().mean()
    n_labels = int(max(known.predictions.max(), new.predictions.max())) + 1
    usual = np.bincount(known.predictions, minlength=n_labels) / len(labels)
    given = np.bincount(new.predictions, weights, minlength=n_labels)
    # The mean absolute deviation of a share drawn from so many rows is sqrt(2 / pi) of its standard deviation.
    by_chance = np.sqrt(2 / np.pi * usual * (1 - usual) * (np.square(weights).sum() + 1 / len(labels)))
    moved = 0.5 * (np.abs(given - usual).sum() - by_chance.sum())
    return float(1 - (1 - near + max(0.0, moved)) / of_unlike)


@dataclass(frozen=True)
class _Centres:
    """The mean of each label's rows, `[n_labels, width]`, and the `m` rows that they are means of."""

    centres: np.ndarray
    rows: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, labels: np.ndarray) -> "_Centres":
        """Return the centres of rows `[m, width]` with labels `[m]`."""
        present, places = np.unique(labels, return_inverse=True)
        centres = np.stack([rows[places == place].mean(axis=0) for place in range(len(present))])
        return cls(centres, rows, places)

    def nearest(self, rows: np.ndarray) -> np.ndarray:
        """Return each row's cosine to the centre that is nearest, `[n]`, seen from the mean of the centres."""
        return np.asarray(self._cosines(rows).max(axis=1))

    def nearest_of_own(self) -> np.ndarray:
        """Return the same of the centres' own rows, `[m]`, each left out of its label's centre; a label's only row has none there."""
        counts = np.bincount(self.places)[self.places]
        others = np.maximum(counts - 1, 1)[:, None]
        without = (self.centres[self.places] * counts[:, None] - self.rows) / others
        own = (self._directions(self.rows) * self._directions(without)).sum(axis=1)
        cosines = self._cosines(self.rows)
        cosines[np.arange(len(self.rows)), self.places] = np.where(counts > 1, own, -1.0)
        return np.asarray(cosines.max(axis=1))

    def _cosines(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._directions(rows) @ self._directions(self.centres).T)

    def _directions(self, rows: np.ndarray) -> np.ndarray:
        return _directions(rows - self.centres.mean(axis=0))


def _directions(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))
