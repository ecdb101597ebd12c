"""Bootstrap intervals of figures of a confusion matrix: macro F1, balanced accuracy, Matthews' correlation."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from submillion.confusion import (
    balanced_accuracy_of_counts,
    confusion_counts,
    macro_f1_of_counts,
    matthews_of_counts,
    redraw_figure,
    smoothed_rows,
)
from submillion.statistics.interval import COVERS_ROWS, COVERS_SAME_SIZES, Interval, check_level, z_of_level

FloatArray = npt.NDArray[np.float64]


def macro_f1_interval(
    labels: npt.ArrayLike,
    predictions: npt.ArrayLike,
    n_labels: int,
    seed: int,
    n_resamples: int = 1000,
    level: float = 0.95,
    fixed_class_sizes: bool = False,
) -> Interval:
    """Return macro F1 with a smoothed, bias-corrected bootstrap interval on the logit scale.

    Resampling is by true class: each class's row of the confusion matrix is redrawn from a multinomial
    (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 10). Three corrections hold
    its coverage, simulated with the class sizes of Reuters R8 and R52:

    - Class sizes are redrawn too, for rows drawn anew do not come with the same sizes; holding them covered
      85 % at a nominal 95. With ``fixed_class_sizes`` (a test split stratified by design) they are held:
      the stratified bootstrap in the narrow sense.
    - Smoothing. A class of one row never varies when redrawn from itself, and a perfect score never does
      at all (57 % on R52's sizes). So each class gets two pseudo-rows, right at the rate of the mean recall,
      wrong in proportion to the other classes' sizes (after Agresti and Coull 1998, The American
      Statistician 52:119). They shape spread and bias only; ``value`` is the plain macro F1.
    - Bias and skew. The interval is ``logit(value - bias) +- z * se``, transformed back.

    Classes without a true row are left out, as in `submillion.confusion.macro_f1`.

    Args:
        labels: True labels `[n]`.
        predictions: Predicted labels `[n]`.
        n_labels: Classes in all.
        seed: Seed of the resampling; the same seed gives the same interval.
        n_resamples: Redrawn matrices.
        level: Nominal coverage.
        fixed_class_sizes: Whether rows drawn anew would come with exactly these class sizes.

    >>> macro_f1_interval([0, 1] * 50, [0, 1] * 45 + [1, 1] * 5, 2, seed=0).percent()
    '95.0 % (88.7 to 97.9)'
    """
    counts = confusion_counts(labels, predictions, n_labels).astype(np.float64)
    return _redrawn_interval(macro_f1_of_counts, counts, 0.0, seed, n_resamples, level, fixed_class_sizes)


def balanced_accuracy_interval(
    labels: npt.ArrayLike,
    predictions: npt.ArrayLike,
    n_labels: int,
    seed: int,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return balanced accuracy, the mean recall over the classes with true rows, with an interval.

    The interval is made as `macro_f1_interval`'s, and the arguments are its own.

    >>> balanced_accuracy_interval([0, 1] * 50, [0, 1] * 45 + [1, 1] * 5, 2, seed=0).percent()
    '95.0 % (89.0 to 97.8)'
    """
    counts = confusion_counts(labels, predictions, n_labels).astype(np.float64)
    return _redrawn_interval(balanced_accuracy_of_counts, counts, 0.0, seed, n_resamples, level, False)


def matthews_interval(
    labels: npt.ArrayLike,
    predictions: npt.ArrayLike,
    n_labels: int,
    seed: int,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return Matthews' correlation, -1 to 1, with an interval.

    The interval is made as `macro_f1_interval`'s, on Fisher's z scale (the logit of ``(1 + value) / 2``), and the
    arguments are its own.

    >>> interval = matthews_interval([0, 1] * 50, [0, 1] * 45 + [1, 1] * 5, 2, seed=0)
    >>> round(interval.value, 3), interval.low < interval.value < interval.high
    (0.905, True)
    """
    counts = confusion_counts(labels, predictions, n_labels).astype(np.float64)
    return _redrawn_interval(matthews_of_counts, counts, -1.0, seed, n_resamples, level, False)


def _redrawn_interval(
    figure: Callable[[FloatArray], FloatArray],
    counts: FloatArray,
    lowest: float,
    seed: int,
    n_resamples: int,
    level: float,
    fixed_class_sizes: bool,
) -> Interval:
    """Return a figure of a confusion matrix, from ``lowest`` to 1, with `macro_f1_interval`'s kind of interval."""
    check_level(level)
    n = counts.sum()
    value = float(figure(counts))
    rows = smoothed_rows(counts)
    smoothed = float(figure(rows * counts.sum(axis=1, keepdims=True)))
    sizes = counts.sum(axis=1).astype(np.int64)
    redrawn = redraw_figure(figure, sizes, rows, n_resamples, seed, fixed_class_sizes)

    covers = COVERS_SAME_SIZES if fixed_class_sizes else COVERS_ROWS
    return on_logit_scale(value, smoothed, redrawn, lowest, n, covers, level)


def on_logit_scale(
    value: float, smoothed: float, redrawn: FloatArray, lowest: float, n: float, covers: str, level: float
) -> Interval:
    """Return ``logit(value - bias) +- z * se``, transformed back, for a figure from ``lowest`` to 1 of ``n`` rows."""
    span = 1.0 - lowest
    inside = 0.5 / n  # the logit's ends lie at infinity: stay half a row inside
    centre, at = (
        float(np.clip((point - lowest) / span, inside, 1 - inside))
        for point in (value - (redrawn.mean() - smoothed), smoothed)
    )
    spread = z_of_level(level) * float(redrawn.std()) / span / (at * (1 - at))
    logit = np.log(centre / (1 - centre))
    low, high = (lowest + span * float(1 / (1 + np.exp(-(logit + side * spread)))) for side in (-1, 1))
    return Interval(
        value,
        lowest if value == lowest else min(low, value),
        1.0 if value == 1 else max(high, value),
        covers,
        level,
    )
