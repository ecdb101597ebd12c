"""What share of new rows is unlike the known ones, with an interval, and how unlike each row is.

A linear classifier learns to tell new rows from known ones, cross-fitted, on the frozen encoder's embeddings (near-perfect on a
change of topic: Uppaal et al. 2023, arXiv:2305.13282) and the look of the texts' surface. Where few new rows lie among many
known ones, their ratio bounds the share of new rows that could be known ones: mixture proportion estimation by the best bin
(Garg et al. 2021, arXiv:2111.00980, algorithm 1), with a bound that needs no assumption on the unlike rows.
"""

import math
from dataclasses import dataclass

import numpy as np

from submillion.reference import Look
from submillion.statistics import Interval

N_FOLDS = 5
C = 0.01
"""Inverse strength of the classifier's penalty, on columns of mean 0 and deviation 1."""

LIMIT = 10.0
"""Columns are cut at so many deviations: a sign that training never had must not outweigh all else."""

LEVEL = 0.95
N_RESAMPLES = 200

Z = 1.96
"""Standard errors to either side that the level takes."""

TOO_LOW = 0.09
"""How far too low the share is taken to be, beyond sampling, for unlike rows may look like known ones: in steps of 0.01 the
least with which intervals hold the truth in 95 % of the development cells of `benchmarks/shift.py`."""

MIN_ROWS = 100
"""With fewer known or new rows no share is stated, and no accuracy foretold."""

_COVERS = "new rows drawn anew from the same mixture, and what the method was off by"


@dataclass(frozen=True)
class Unlike:
    """How far new rows are unlike known ones.

    Attributes:
        share: Of new rows that are unlike, with its interval.
        at_least: The share that is unlike whatever the unlike rows are (95 %).
        scores: How likely each new row is one of the unlike ones, `[n]`, 0 to 1.
        separation: Area under the ROC curve between known and new rows: 0.5 where nothing tells them apart.
    """

    share: Interval
    at_least: float
    scores: np.ndarray
    separation: float


def columns_of(look: Look) -> np.ndarray:
    """Return what the classifier sees of each row, `[n, width + 8]`."""
    return np.concatenate([look.frozen, look.surface], axis=1)


def find_unlike(known: np.ndarray, new: np.ndarray, seed: int) -> Unlike:
    """Return how far new rows are unlike known ones.

    Args:
        known: Columns of known rows `[m, d]`, none of which the columns were fitted on.
        new: The same of new rows `[n, d]`.
        seed: Seed of folds and resampling.

    Raises:
        ValueError: If either has fewer than `MIN_ROWS` rows.
    """
    from sklearn.metrics import roc_auc_score

    if min(len(known), len(new)) < MIN_ROWS:
        raise ValueError(f"{len(known)} known and {len(new)} new rows: need at least {MIN_ROWS} of each")
    of_known, of_new = cross_fitted(known, new, seed)
    familiar, most = best_bin(of_known, of_new)
    origin = np.r_[np.zeros(len(known)), np.ones(len(new))]
    return Unlike(
        share=share_unlike(of_known, of_new, seed),
        at_least=max(0.0, 1 - most),
        scores=np.clip(1 - familiar / np.exp(np.clip(of_new, -20, 20)), 0, 1),
        separation=float(roc_auc_score(origin, np.r_[of_known, of_new])),
    )


def share_unlike(known: np.ndarray, new: np.ndarray, seed: int) -> Interval:
    """Return the share of new rows that could not be known ones, by `best_bin`, with its interval.

    Of what it comes to on rows drawn anew the spread alone is taken: in the mean that lies above it.

    Args:
        known: Scores of known rows `[m]`, high for what looks new.
        new: The same of new rows `[n]`.
        seed: Seed of the resampling.
    """
    rng = np.random.default_rng(seed)
    redrawn = [
        1 - best_bin(rng.choice(known, len(known)), rng.choice(new, len(new)))[0] for _ in range(N_RESAMPLES)
    ]
    share, half = 1 - best_bin(known, new)[0], Z * float(np.std(redrawn))
    return Interval(
        share, max(0.0, share - half), min(1.0, share + math.hypot(half, TOO_LOW)), _COVERS, LEVEL
    )


def best_bin(
    known: np.ndarray, new: np.ndarray, delta: float = 1 - LEVEL, gamma: float = 0.01
) -> tuple[float, float]:
    """Return the share of new rows that could be known ones: the estimate, and the most it could be at ``1 - delta``.

    Of the bins below each threshold the one is taken whose upper bound on ``share of new / share of known`` is lowest.

    Args:
        known: Scores of known rows `[m]`, high for what looks new.
        new: The same of new rows `[n]`.
        delta: Probability that the bound fails.
        gamma: Weight of the bound's second term, as in algorithm 1.

    >>> rng = np.random.default_rng(0)
    >>> known, new = rng.normal(size=2000), np.r_[rng.normal(size=700), rng.normal(8, 1, size=300)]
    >>> [round(share, 2) for share in best_bin(known, new)]
    [0.68, 0.77]
    """
    thresholds = np.concatenate([known, new])
    of_known = np.searchsorted(np.sort(known), thresholds, side="right") / len(known)
    of_new = np.searchsorted(np.sort(new), thresholds, side="right") / len(new)
    deviation = np.sqrt(np.log(4 / delta) / 2 / len(new)) + np.sqrt(np.log(4 / delta) / 2 / len(known))
    in_bin = of_known > 0
    ratio = of_new[in_bin] / of_known[in_bin]
    bound = ratio + (1 + gamma) * deviation / of_known[in_bin]
    best = int(np.argmin(bound))
    return min(1.0, float(ratio[best])), min(1.0, float(bound[best]))


def cross_fitted(known: np.ndarray, new: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the log of the density of new over known rows at each row, `[m]` and `[n]`, by a classifier that left it out.

    Args:
        known: Columns of known rows `[m, d]`.
        new: The same of new rows `[n, d]`.
        seed: Seed of the folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    mean, deviation = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-6)
    rows = np.clip((np.concatenate([known, new]) - mean) / deviation, -LIMIT, LIMIT)
    origin = np.r_[np.zeros(len(known)), np.ones(len(new))]
    ratios = np.empty(len(rows))
    for fitted, left_out in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(rows, origin):
        classifier = LogisticRegression(C=C, max_iter=1000, class_weight="balanced")
        classifier.fit(rows[fitted], origin[fitted])
        ratios[left_out] = classifier.decision_function(rows[left_out])
    return ratios[: len(known)], ratios[len(known) :]
