"""Several models on the same rows: how far each is below the best, whichever that truly is."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from submillion.statistics.interval import check_level

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ToBest:
    """How far each of several models is below the best of them, by the same rows.

    Attributes:
        differences: accuracy - the highest, `[n_models]`; 0 for the highest.
        lows: Lower ends of accuracy - the best one's, whichever that truly is, `[n_models]`; at most 0.
        n: Rows.
        pairs: accuracy - accuracy of each pair, `[n_models, n_models]`.
        widths: How far below each of ``pairs`` its lower end is.
    """

    differences: FloatArray
    lows: FloatArray
    n: int
    pairs: FloatArray
    widths: FloatArray

    def rows_needed(self, model: int, margin: float) -> int | None:
        """Return how many rows would put a model's lower end above ``-margin`` if the accuracies stayed what they are.

        None: no number would, for the difference itself is no smaller than the margin.
        """
        room = margin + self.pairs[model]
        if room.min() <= 0:
            return None
        return ceil(self.n * float((self.widths[model] / room).max()) ** 2)


def differences_to_best(
    right: npt.ArrayLike, seed: int, n_resamples: int = 2000, level: float = 0.95
) -> ToBest:
    """Return each model's difference to the best one, with lower ends that hold for all models together.

    Hsu's multiple comparisons with the best (Hsu 1981, Annals of Statistics 9:1026; 1996, Multiple Comparisons, chapter
    4): which model is truly the best is not known, so each is taken for it in turn. If it is ``j``, the studentised errors
    of all differences to ``j`` stay within their largest one's quantile, by a bootstrap of the rows; a model's lower end is
    the lowest over all ``j``. That the best *by these rows* is the best is nowhere assumed: with lower ends
    that are drawn from each resample's own best, a model that is the best by these rows by luck counts as no worse than any.

    Args:
        right: Whether each model is right on each row, `[n_models, n]`; with several seeds the mean of them.
        seed: Seed of the bootstrap.
        n_resamples: Draws.
        level: Nominal simultaneous coverage.

    Raises:
        ValueError: If there is no model or no row.

    >>> rows = np.arange(4000)
    >>> found = differences_to_best(np.stack([rows % 10 > 0, rows % 10 > 1]), seed=0)
    >>> found.differences.round(3).tolist(), found.lows.round(2).tolist()
    ([0.0, -0.1], [0.0, -0.11])
    """
    check_level(level)
    values = np.asarray(right, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"right {values.shape}: need [n_models, n], both at least 1")
    n_models, n = values.shape
    means = values.mean(axis=1)
    generator = np.random.default_rng(seed)
    redrawn = np.empty((n_resamples, n_models))
    for start in range(0, n_resamples, 100):
        weights = generator.multinomial(n, np.full(n, 1 / n), size=min(100, n_resamples - start))
        redrawn[start : start + 100] = weights @ values.T / n
    pairs = means[:, None] - means[None, :]
    widths = np.empty_like(pairs)
    for best in range(n_models):
        errors = redrawn - redrawn[:, [best]] - pairs[:, best]
        spreads = errors.std(axis=0)
        studentised = np.divide(errors, spreads, out=np.zeros_like(errors), where=spreads > 1e-12)
        widths[:, best] = max(0.0, float(np.quantile(studentised.max(axis=1), level))) * spreads
    lows = np.minimum(0.0, (pairs - widths).min(axis=1))
    return ToBest(means - means.max(), lows, n, pairs, widths)
