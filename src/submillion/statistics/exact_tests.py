"""Exact tests, and p-values of several of them adjusted."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from submillion.statistics.interval import check_counts


def fisher_exact(right: tuple[int, int], n: tuple[int, int]) -> float:
    """Return the two-sided p-value of Fisher's exact test of one accuracy on two sets of other rows.

    Fisher (1935), The Logic of Inductive Inference, JRSS 98:39. Given the totals its size never exceeds the nominal one.

    Args:
        right: Rows that are right in either set.
        n: Rows of either set, each at least 1.

    >>> round(fisher_exact((30, 180), (40, 200)), 4)
    0.016
    """
    from scipy.stats import fisher_exact as test

    for successes, rows in zip(right, n, strict=True):
        check_counts(successes, rows)
    return float(test([[right[0], n[0] - right[0]], [right[1], n[1] - right[1]]]).pvalue)


def mcnemar_exact(only_a_right: int, only_b_right: int) -> float:
    """Return the two-sided p-value of the exact McNemar test.

    The rows that one model has right and the other wrong fall either way with probability 1/2 if the two
    are equally accurate (McNemar 1947, Psychometrika 12:153; exact: a sign test on them).

    >>> mcnemar_exact(0, 0)
    1.0
    >>> round(mcnemar_exact(12, 3), 4)
    0.0352
    """
    if only_a_right + only_b_right == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_a_right, only_a_right + only_b_right, 0.5).pvalue)


def holm(p_values: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return Holm's adjusted p-values, in the order given.

    Holm (1979), Scandinavian Journal of Statistics 6:65: the chance of one false finding among all stays
    within the size, whatever their dependence.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
