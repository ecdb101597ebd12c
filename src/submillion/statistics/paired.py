"""The difference of two models' accuracies on the same rows, with its interval."""

from math import sqrt

import numpy as np
import numpy.typing as npt

from submillion.statistics.interval import COVERS_DIFFERENCE, Interval, check_level, z_of_level

BoolArray = npt.NDArray[np.bool_]


def paired_difference(a_right: npt.ArrayLike, b_right: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Return accuracy(a) - accuracy(b) on the same rows, with Tango's score interval.

    Tango (1998), Statistics in Medicine 17:891, section 3: the differences that a score test, with the
    nuisance parameter at its restricted maximum likelihood, would not reject.

    Args:
        a_right: Whether model a is right, `[n]` of bool.
        b_right: The same rows for model b.
        level: Nominal coverage.

    Raises:
        ValueError: If the two differ in length, are empty or not boolean.

    >>> a = np.array([True] * 43 + [False]); b = np.array([True] * 44)
    >>> paired_difference(a, b, level=0.90).points()
    '-2.3 points (-9.6 to +3.7)'
    """
    check_level(level)
    right_a, right_b = checked_rights(a_right, b_right)
    n = right_a.size
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    value = (only_a - only_b) / n
    low = _tango_low(only_a, only_b, n, z_of_level(level))
    high = -_tango_low(only_b, only_a, n, z_of_level(level))
    return Interval(value, min(low, value), max(high, value), COVERS_DIFFERENCE, level)


def checked_rights(a_right: npt.ArrayLike, b_right: npt.ArrayLike) -> tuple[BoolArray, BoolArray]:
    """Return two models' rights `[n]` as arrays; raise ValueError unless both are bool, of one length, not empty."""
    a, b = np.asarray(a_right), np.asarray(b_right)
    if a.dtype != np.bool_ or b.dtype != np.bool_:
        raise ValueError(f"need arrays of bool (prediction == label), got {a.dtype} and {b.dtype}")
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(f"a_right {a.shape} and b_right {b.shape}: need two equal lengths >= 1")
    return a, b


def _tango_low(only_a: int, only_b: int, n: int, z: float) -> float:
    """Return the lower end of Tango's interval; the upper one is that of the swapped counts, negated."""
    if only_b == n:
        return -1.0

    def excess(delta: float) -> float:
        # The score statistic's numerator minus z times its denominator (Tango 1998, equations 8 to 10),
        # undivided, for the denominator is zero at -1 and 1.
        b = (2 * n - only_a + only_b) * delta - only_a - only_b
        c = -only_b * delta * (1 - delta)
        q = (sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        return only_a - only_b - n * delta - z * sqrt(max(n * (2 * q + delta * (1 - delta)), 0.0))

    from scipy.optimize import brentq

    # Just below the estimate: at it the variance may vanish (no or only discordant rows), a false root.
    return float(brentq(excess, -1.0, (only_a - only_b) / n - 1e-9, xtol=1e-12))
