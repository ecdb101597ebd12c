"""Confusion matrices: counting them, the figures they give, and redrawing them class by class.

Nothing here states an interval; `submillion.statistics` does, from what is redrawn here.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

PRIOR_ROWS = 2.0
"""Pseudo-rows added to every class before redrawing; see `submillion.statistics.macro_f1_interval`."""


def confusion_counts(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_labels: int) -> IntArray:
    """Return the confusion matrix `[n_labels, n_labels]`, rows true, columns predicted.

    Raises:
        ValueError: If the two differ in length, are empty, or hold a label outside ``range(n_labels)``.

    >>> confusion_counts([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    true = np.asarray(labels, dtype=np.int64)
    predicted = np.asarray(predictions, dtype=np.int64)
    if true.ndim != 1 or true.shape != predicted.shape or true.size == 0:
        raise ValueError(
            f"labels {true.shape} and predictions {predicted.shape}: need two equal lengths >= 1"
        )
    both = np.concatenate([true, predicted])
    if both.min() < 0 or both.max() >= n_labels:
        raise ValueError(f"labels run from {both.min()} to {both.max()}, n_labels={n_labels}")
    flat = np.bincount(true * n_labels + predicted, minlength=n_labels * n_labels)
    return flat.reshape(n_labels, n_labels).astype(np.int64)


def macro_f1(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_labels: int) -> float:
    """Return the mean F1 over the classes that have at least one true row.

    A class without a true row has no F1 to speak of and is left out; rows predicted as that class still
    lower the recall of the classes they came from. Equals scikit-learn's ``f1_score(average="macro")``
    whenever every predicted class also has true rows.

    >>> round(macro_f1([0, 0, 1, 1], [0, 1, 1, 1], 3), 4)
    0.7333
    """
    return float(macro_f1_of_counts(confusion_counts(labels, predictions, n_labels).astype(np.float64)))


def macro_f1_of_counts(counts: FloatArray) -> FloatArray:
    """Return macro F1 over classes with true rows, for a stack of matrices `[..., k, k]`.

    >>> macro_f1_of_counts(np.array([[[9.0, 1.0], [1.0, 9.0]], [[5.0, 0.0], [0.0, 5.0]]])).round(2).tolist()
    [0.9, 1.0]
    """
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    total = true + predicted
    f1 = 2 * right / np.where(total > 0, total, 1.0)
    present = true > 0
    mean: FloatArray = np.asarray((f1 * present).sum(axis=-1) / present.sum(axis=-1))
    return mean


def balanced_accuracy_of_counts(counts: FloatArray) -> FloatArray:
    """Return the mean recall over classes with true rows, for a stack of matrices `[..., k, k]`.

    >>> balanced_accuracy_of_counts(np.array([[9.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])).round(2).tolist()
    0.7
    """
    true = counts.sum(axis=-1)
    present = true > 0
    recall = np.diagonal(counts, axis1=-2, axis2=-1) / np.where(present, true, 1.0)
    mean: FloatArray = np.asarray(recall.sum(axis=-1) / present.sum(axis=-1))
    return mean


def matthews_of_counts(counts: FloatArray) -> FloatArray:
    """Return Matthews' correlation for a stack of matrices `[..., k, k]`; 0 where all rows are, or are called, one class.

    The form for many classes is Gorodkin's (2004), Computational Biology and Chemistry 28:367.

    >>> matthews_of_counts(np.array([[[3.0, 1.0], [1.0, 3.0]], [[4.0, 0.0], [4.0, 0.0]]])).round(2).tolist()
    [0.5, 0.0]
    """
    shares = counts / counts.sum(axis=(-2, -1), keepdims=True)
    true, predicted = shares.sum(axis=-1), shares.sum(axis=-2)
    right = np.diagonal(shares, axis1=-2, axis2=-1).sum(axis=-1)
    spread = (1 - (true**2).sum(axis=-1)) * (1 - (predicted**2).sum(axis=-1))
    together = right - (true * predicted).sum(axis=-1)
    correlation: FloatArray = np.asarray(
        np.where(spread > 1e-15, together / np.sqrt(np.maximum(spread, 1e-15)), 0.0)
    )
    return np.clip(correlation, -1.0, 1.0)


def smoothed_rows(counts: FloatArray) -> FloatArray:
    """Return each class's prediction rates `[k, k]` after adding `PRIOR_ROWS` pseudo-rows to it.

    The pseudo-rows are right at the rate of the mean recall, and wrong in proportion to the other classes'
    sizes.

    >>> smoothed_rows(np.array([[8.0, 2.0], [0.0, 10.0]])).round(3).tolist()
    [[0.794, 0.206], [0.039, 0.961]]
    """
    n_labels = len(counts)
    true = counts.sum(axis=1)
    present = true > 0
    recall = np.diagonal(counts)[present] / true[present]
    right_rate = (recall.sum() + 0.5) / (present.sum() + 1)
    prior = np.tile(true + 1e-9, (n_labels, 1))  # a lone class still needs somewhere to go wrong
    np.fill_diagonal(prior, 0.0)
    wrong = np.maximum(prior.sum(axis=1, keepdims=True), 1e-300)
    prior *= (1 - right_rate) / wrong
    np.fill_diagonal(prior, right_rate)
    rows = counts + PRIOR_ROWS * prior
    normalised: FloatArray = rows / rows.sum(axis=1, keepdims=True)
    return normalised


def redraw_figure(
    figure: Callable[[FloatArray], FloatArray],
    true: IntArray,
    rows: FloatArray,
    n_resamples: int,
    seed: int,
    fixed_class_sizes: bool,
) -> FloatArray:
    """Return a figure of each of ``n_resamples`` redrawn matrices, in blocks of bounded memory.

    Args:
        figure: Of a stack of matrices `[n, k, k]`, such as `macro_f1_of_counts`.
        true: True rows of each class `[k]`.
        rows: Prediction rates of each class `[k, k]`, rows summing to 1.
        n_resamples: Redrawn matrices.
        seed: Seed of the resampling.
        fixed_class_sizes: Keep ``true`` as it is; else redraw it too, from its own shares.
    """
    rng = np.random.default_rng(seed)
    n_labels = len(true)
    block = max(1, min(n_resamples, 4_000_000 // n_labels**2))
    drawn = []
    for start in range(0, n_resamples, block):
        size = (min(block, n_resamples - start), n_labels)
        sizes = true
        if not fixed_class_sizes:
            drawn_sizes = rng.multinomial(true.sum(), true / true.sum(), size=size[0])
            sizes = np.maximum(
                drawn_sizes, true > 0
            )  # the figure speaks of the classes seen: none may vanish
        drawn.append(figure(rng.multinomial(sizes, rows, size=size).astype(np.float64)))
    return np.concatenate(drawn)
