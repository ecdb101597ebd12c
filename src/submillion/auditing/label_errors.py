"""Labels that are likely wrong, by confident learning on probabilities that no row had a part in.

Northcutt, Jiang and Chuang (2021), Confident learning, JAIR 70:1373; the package cleanlab, by its authors.
"""

import warnings
from collections.abc import Callable

import numpy as np

from submillion.auditing.finding import Finding
from submillion.temperature import fit_temperature, probabilities_at

N_FOLDS = 5

LEAST_ROWS = 10
"""A label of fewer rows is not judged: a classifier hardly knows it."""

ONE_SIDED = 1.645
"""Standard errors below which 95 % of a normal distribution's mass lies."""

OutOfFold = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes rows to fit on and rows to score, both as places; returns scores `[n, n_labels]` of the latter."""


def out_of_fold(
    score: OutOfFold, codes: np.ndarray, groups: np.ndarray, n_labels: int, seed: int
) -> np.ndarray:
    """Return probabilities of each row by a classifier that saw neither the row nor what is nearly the same, `[n, n_labels]`.

    One temperature, fitted on the same scores, turns them into probabilities.

    Args:
        score: Fits on some rows and scores others.
        codes: Class numbers `[n]`.
        groups: Rows that share one stay in one fold, `[n]`.
        n_labels: Labels in all.
        seed: Seed of the folds.
    """
    folds = assign_folds(codes, groups, seed)
    scores = np.zeros((len(codes), n_labels))
    for fold in np.unique(folds):
        inside = folds == fold
        scores[inside] = score(np.flatnonzero(~inside), np.flatnonzero(inside))
    # A label that had no row to fit on scores minus infinity: as unlikely as any, but finite.
    lowest = np.where(np.isfinite(scores), scores, np.inf).min(axis=1, keepdims=True)
    scores = np.where(np.isfinite(scores), scores, lowest)
    return probabilities_at(scores, fit_temperature(scores, codes))


def assign_folds(codes: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return a fold for each row, `[n]`: every label spread over all, groups whole.

    scikit-learn's `StratifiedGroupKFold` weighs every group against every fold, one by one.

    >>> assign_folds(np.array([0, 0, 1, 1, 0]), np.array([7, 7, 8, 9, 4]), seed=0).tolist()
    [1, 1, 2, 3, 0]
    """
    _, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(codes[first][order], kind="stable")]
    fold_of = np.empty(len(first), dtype=np.int64)
    fold_of[order] = np.arange(len(first)) % min(N_FOLDS, max(2, len(first)))
    return np.asarray(fold_of[group_of])


def recall_over_chance(codes: np.ndarray, probabilities: np.ndarray) -> tuple[float, float, bool]:
    """Return the mean over labels of the recall, what chance would give, and whether the first is shown to be higher.

    By one-sided 95 % of a normal approximation. A classifier that is no better than chance has nothing to say of a label.

    >>> recall_over_chance(np.array([0, 1, 0, 1]), np.array([[0.4, 0.6], [0.6, 0.4], [0.4, 0.6], [0.6, 0.4]]))
    (0.0, 0.5, False)
    """
    n_rows = np.bincount(codes)
    recalls = np.bincount(codes, probabilities.argmax(axis=1) == codes) / n_rows
    error = np.sqrt((recalls * (1 - recalls) / n_rows).sum()) / len(n_rows)
    mean, chance = float(recalls.mean()), 1 / len(n_rows)
    return mean, chance, bool(mean - ONE_SIDED * error > chance)


def find_label_errors(codes: np.ndarray, probabilities: np.ndarray) -> list[Finding]:
    """Return rows whose label is likely wrong, places counted among the rows given.

    Args:
        codes: Class numbers `[n]`; every label has a row.
        probabilities: By a classifier that did not see the row, `[n, n_labels]`.
    """
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings():  # of labels with a single row, which are not judged anyway
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        is_wrong = find_label_issues(codes, probabilities, filter_by=FILTER, n_jobs=1)
    is_wrong &= np.bincount(codes)[codes] >= LEAST_ROWS
    suggested = probabilities.argmax(axis=1)
    given = probabilities[np.arange(len(codes)), codes]
    return [
        Finding(place, "label error", float(1 - given[place]), int(suggested[place]))
        for place in np.flatnonzero(is_wrong & (suggested != codes)).tolist()
    ]


FILTER = "both"
"""cleanlab's way to choose: rows that both of its prunings find. `benchmarks/audit.py` shows what the others find."""
