"""The accuracy to expect on rows without labels, from how sure the model is of them.

Average thresholded confidence (Garg et al. 2022, arXiv:2201.04234, section 4, with the largest probability as the score): on
rows with labels, the threshold is found above which as many rows lie as are right; the share of new rows above it is the
accuracy to expect. It was taken before eleven others by the development families of `benchmarks/shift.py`, and the constants
below were set there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.evaluation.unlike import MIN_ROWS, Unlike
from submillion.statistics import Interval

EXTRAPOLATION = 0.03
"""How far the estimate is taken to be off, beyond sampling, on rows that are all unlike training; a mixture counts by its share."""

CONTRADICTION = 0.12
"""On the unlike rows, mean confidence and the estimate lay at most 0.1 apart; farther, the two contradict each other."""

LEAST_UNLIKE = 0.05
"""So large a share of unlike rows, whatever they are, is enough to give no estimate where the two contradict each other."""

NEAREST_NOVEL = 0.5
"""Below so much affinity of the unlike rows to the labels they may be of a class that training lacks: in development rows of a new
topic had 0.56 or more, those of a missing class 0.43 or less wherever a quarter of the rows or more were of it."""

LEVEL, Z = 0.9, 1.645
"""Nominal coverage, and the standard errors to either side that it takes."""

N_RESAMPLES = 200

ASSUMPTION = (
    "the labels mean on these rows what they mean in training, and the model is as often right at a confidence as it is on "
    "the run's held-back rows; rows of a class that training lacks break it"
)
_COVERS = (
    "these rows: the draw of the held-back rows and, by the share unlike training, what the method was off by"
)


@dataclass(frozen=True)
class Part:
    """An estimate for the familiar or for the unlike rows; None where they are too few."""

    name: str
    share: float
    accuracy: Interval | None


@dataclass(frozen=True)
class Expected:
    """The accuracy to expect; made by `expect`.

    Attributes:
        accuracy: With its interval; None where the rows do not support one.
        refused: Why not; else None.
        parts: The same for the familiar and for the unlike rows.
        if_unlike_are_wrong: The accuracy where no unlike row belongs to a label of the model; None where nothing is known.
            What a few rows of a class that training lacks do to it, no method here sees.
        affinity: Of the unlike rows to the labels, see `affinity_to_labels`; None where it is not known.
    """

    accuracy: Interval | None
    refused: str | None
    parts: tuple[Part, ...]
    if_unlike_are_wrong: float | None = None
    affinity: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return ``estimated_accuracy`` and ``parts`` as they stand in ``report.json``."""
        figure = self.accuracy.to_json() if self.accuracy else {"value": None, "low": None, "high": None}
        return {
            "estimated_accuracy": figure
            | {
                "assumption": ASSUMPTION,
                "method": "average thresholded confidence",
                "refused": self.refused,
                "if_unlike_are_wrong": self.if_unlike_are_wrong,
                "affinity": self.affinity,
            },
            "parts": [
                {
                    "name": part.name,
                    "share": part.share,
                    "estimated_accuracy": part.accuracy.to_json() if part.accuracy else None,
                }
                for part in self.parts
            ],
        }


def expect(
    known: np.ndarray,
    right: np.ndarray,
    new: np.ndarray,
    unlike: Unlike | None,
    seed: int,
    affinity: float | None = None,
) -> Expected:
    """Return the accuracy to expect on new rows.

    Args:
        known: Confidence, the largest probability, on labelled rows that did not train, `[m]`.
        right: Whether each of those is labelled rightly, `[m]` of bool.
        new: Confidence on the new rows, `[n]`.
        unlike: How far these are unlike the known ones; None: not known.
        seed: Seed of the resampling.
        affinity: Of the unlike rows to the labels; None: not known, and nothing is refused for it.
    """
    if min(len(known), len(new)) < MIN_ROWS:
        reason = f"{len(known):,} labelled rows were held back and {len(new):,} are new: at least {MIN_ROWS} of each are needed"
        return Expected(None, reason, ())
    if unlike is None:
        return Expected(None, "it is not known how far the rows are unlike training", ())
    everywhere = np.ones(len(new))
    found = {
        name: _interval(known, right, new, weights, share, seed)
        for name, weights, share in (
            ("all", everywhere, unlike.share.value),
            ("familiar", 1 - unlike.scores, 0.0),
            ("unlike", unlike.scores, 1.0),
        )
    }
    parts = (
        Part("familiar", 1 - unlike.share.value, found["familiar"]),
        Part("unlike", unlike.share.value, found["unlike"]),
    )
    familiar = found["familiar"].value if found["familiar"] else float(right.mean())
    worst = (1 - unlike.share.value) * familiar
    refused = _contradiction(found["unlike"], new, unlike) or _novelty(unlike, affinity)
    if refused is not None:
        return Expected(None, refused, (parts[0], Part("unlike", unlike.share.value, None)), worst, affinity)
    return Expected(found["all"], None, parts, worst, affinity)


def above_threshold(known: np.ndarray, right: np.ndarray, new: np.ndarray, weights: np.ndarray) -> float:
    """Return the share of new rows, weighted, above the confidence above which as many known rows lie as are right.

    >>> known, right = np.array([0.5, 0.7, 0.8, 0.9]), np.array([False, True, True, True])
    >>> above_threshold(known, right, np.array([0.6, 0.95]), np.ones(2))
    0.5
    """
    n_wrong = int((~right).sum())
    threshold = np.sort(known)[n_wrong] if n_wrong < len(known) else np.inf
    return float(weights[new >= threshold].sum() / weights.sum())


def _interval(
    known: np.ndarray, right: np.ndarray, new: np.ndarray, weights: np.ndarray, share: float, seed: int
) -> Interval | None:
    """Return the estimate; None for a part that holds too few rows."""
    if weights.sum() < MIN_ROWS / 2:
        return None
    rng = np.random.default_rng(seed)
    value = above_threshold(known, right, new, weights)
    drawn = []
    for _ in range(N_RESAMPLES):
        old, fresh = rng.integers(len(known), size=len(known)), rng.integers(len(new), size=len(new))
        drawn.append(above_threshold(known[old], right[old], new[fresh], weights[fresh]))
    half = float(np.hypot(Z * np.std(drawn), share * EXTRAPOLATION))
    return Interval(value, max(0.0, value - half), min(1.0, value + half), _COVERS, LEVEL)


def _contradiction(estimate: Interval | None, new: np.ndarray, unlike: Unlike) -> str | None:
    """Return why nothing can be said of rows so unlike; None where something can."""
    if estimate is None or unlike.at_least < LEAST_UNLIKE:
        return None
    confidence = float((new * unlike.scores).sum() / unlike.scores.sum())
    if abs(confidence - estimate.value) <= CONTRADICTION:
        return None
    return (
        f"{100 * unlike.share.value:.0f} % of the rows are unlike training, and what the model says of them contradicts itself: "
        f"mean confidence {100 * confidence:.0f} %, as many as {100 * (1 - estimate.value):.0f} % below the confidence of right "
        "rows. They may belong to no label of the model: label a few of them"
    )


def _novelty(unlike: Unlike, affinity: float | None) -> str | None:
    """Return why rows so far from every label support no estimate; None where they do."""
    if affinity is None or affinity >= NEAREST_NOVEL or unlike.at_least < LEAST_UNLIKE:
        return None
    return (
        f"{100 * unlike.share.value:.0f} % of the rows are unlike training and far from every label of it (affinity "
        f"{affinity:.2f}, below {NEAREST_NOVEL}): they may be of a class that training lacks. Label a few of them"
    )
