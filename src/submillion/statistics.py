"""Every interval, paired test and sample-size statement in the project.

No other module computes an interval or a p-value: whoever reports a figure takes it from here, with the
phrase that says what it covers. Nothing here covers a new training seed, for nothing here has seen one.

Coverage of each interval is simulated, in ``tests/unit/test_statistics.py`` (93.5 to 96.5 % at nominal 95 %) and in
``tests/unit/evaluation/test_intervals.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Any, Literal

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
from submillion.multi_label import counts_of_rows

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

Relation = Literal[
    "better by the margin", "better", "worse", "non-inferior", "equivalent", "cannot be told apart"
]

DEFAULT_MARGIN = 0.005
"""The difference in accuracy that a user would care about, unless told: 0.5 points."""

MIN_ROWS_FOR_MARGIN = 30
"""Below this many rows no claim is made that rests on the score interval's approximation alone."""

_COVERS_ROWS = "rows drawn anew from the same source; not a new training seed"
_COVERS_SAME_SIZES = (
    "rows drawn anew from the same source, with as many rows of each class; not a new training seed"
)
_COVERS_DIFFERENCE = (
    "rows drawn anew from the same source, for these two models; not a new training seed of either"
)


def percent(figure: Mapping[str, float]) -> str:
    """Return a share with its interval, as records keep them, in percent.

    >>> percent({"value": 0.942, "low": 0.931, "high": 0.951})
    '94.2 (93.1 to 95.1)'
    """
    return f"{100 * figure['value']:.1f} ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})"


@dataclass(frozen=True)
class Interval:
    """A figure, the interval around it, and what that interval covers.

    Attributes:
        value: The figure itself, a share (0.942, not 94.2).
        low: Lower end, never above ``value``.
        high: Upper end, never below ``value``.
        covers: One phrase: which repetition of the experiment the interval speaks of.
        level: Nominal coverage.
    """

    value: float
    low: float
    high: float
    covers: str
    level: float = 0.95

    def to_json(self) -> dict[str, float | str]:
        """Return the figure as it stands in ``report.json``.

        >>> sorted(Interval(0.9, 0.8, 0.95, "new rows").to_json())
        ['covers', 'high', 'level', 'low', 'value']
        """
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "level": self.level,
            "covers": self.covers,
        }

    def percent(self) -> str:
        """Return a share in percent, one decimal.

        >>> Interval(0.942, 0.931, 0.951, "new rows").percent()
        '94.2 % (93.1 to 95.1)'
        """
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"

    def points(self) -> str:
        """Return a difference of shares in percentage points, signed.

        >>> Interval(0.028, 0.019, 0.037, "new rows").points()
        '+2.8 points (+1.9 to +3.7)'
        """
        return f"{_points(self.value)} points ({_points(self.low)} to {_points(self.high)})"


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return a proportion with Wilson's score interval.

    Wilson (1927), JASA 22:209; recommended over Wald's and the exact interval by Brown, Cai and DasGupta
    (2001), Statistical Science 16:101, section 4.

    Args:
        successes: Rows that are right, 0 to ``n`` inclusive.
        n: Rows in all, at least 1.
        level: Nominal coverage, between 0 and 1 exclusive.

    Raises:
        ValueError: If a count or the level is out of its range.

    >>> wilson_interval(81, 263).percent()
    '30.8 % (25.5 to 36.6)'
    """
    _check_level(level)
    _check_counts(successes, n)
    from scipy.stats import binomtest

    value = successes / n
    ends = binomtest(successes, n).proportion_ci(confidence_level=level, method="wilson")
    return Interval(value, min(float(ends.low), value), max(float(ends.high), value), _COVERS_ROWS, level)


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
    _check_level(level)
    n = counts.sum()
    value = float(figure(counts))
    rows = smoothed_rows(counts)
    smoothed = float(figure(rows * counts.sum(axis=1, keepdims=True)))
    sizes = counts.sum(axis=1).astype(np.int64)
    redrawn = redraw_figure(figure, sizes, rows, n_resamples, seed, fixed_class_sizes)

    covers = _COVERS_SAME_SIZES if fixed_class_sizes else _COVERS_ROWS
    return _on_logit_scale(value, smoothed, redrawn, lowest, n, covers, level)


def _on_logit_scale(
    value: float, smoothed: float, redrawn: FloatArray, lowest: float, n: float, covers: str, level: float
) -> Interval:
    """Return ``logit(value - bias) +- z * se``, transformed back, for a figure from ``lowest`` to 1 of ``n`` rows."""
    span = 1.0 - lowest
    inside = 0.5 / n  # the logit's ends lie at infinity: stay half a row inside
    centre, at = (
        float(np.clip((point - lowest) / span, inside, 1 - inside))
        for point in (value - (redrawn.mean() - smoothed), smoothed)
    )
    spread = _z(level) * float(redrawn.std()) / span / (at * (1 - at))
    logit = np.log(centre / (1 - centre))
    low, high = (lowest + span * float(1 / (1 + np.exp(-(logit + side * spread)))) for side in (-1, 1))
    return Interval(
        value,
        lowest if value == lowest else min(low, value),
        1.0 if value == 1 else max(high, value),
        covers,
        level,
    )


def share_or_none(successes: int, n: int) -> Interval | None:
    """Return a proportion with Wilson's interval; None of no rows."""
    return wilson_interval(successes, n) if n else None


def f1_interval(right: int, wrong: int, missed: int, level: float = 0.95) -> Interval | None:
    """Return the F1 of one label with an interval; None where the label is neither there nor given.

    F1 is ``2 q / (1 + q)`` for ``q = right / (right + wrong + missed)``, which among the rows where the label is there or
    given is a proportion: the ends are those of its Wilson interval.

    >>> f1_interval(8, 1, 1).percent()
    '88.9 % (65.8 to 97.1)'
    """
    n = right + wrong + missed
    if not n:
        return None
    q = wilson_interval(right, n, level)
    value, low, high = (2 * end / (1 + end) for end in (q.value, q.low, q.high))
    return Interval(value, low, high, _COVERS_ROWS, level)


def f1_of_sets_interval(
    labels: npt.ArrayLike,
    decisions: npt.ArrayLike,
    average: Literal["micro", "macro"],
    seed: int,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return micro or macro F1 of rows that may have several labels, with a bootstrap interval over rows.

    Whole rows are redrawn, for a row's decisions hang together. As in `macro_f1_interval` two pseudo-decisions, redrawn
    too, keep a perfect figure or a label of one row from never varying: of micro F1 in all, of macro F1 for each label;
    they are right at the rate of all decisions that a label is there or given. They shape spread and bias only. Near 1 that
    is too narrow: the interval is at least as wide as `f1_interval`'s of all decisions together. Macro F1 is the mean over
    the labels that some row has.

    Simulated (six labels on 5 to 50 % of the rows, 60 and 200 rows, decisions of a row wrong together, `tests/unit/
    test_multi_label_decisions.py`) it covers 93.5 to 97.5 % at a nominal 95, but 87 % for macro F1 about 0.8 on 60 rows,
    three of them with the rarest label.

    Args:
        labels: 0 and 1 `[n, n_labels]`.
        decisions: The same, as predicted.
        average: Which of the two.
        seed: Seed of the resampling.
        n_resamples: Redrawn sets of rows.
        level: Nominal coverage.
    """
    _check_level(level)
    right, wrong, missed = counts_of_rows(np.asarray(labels), np.asarray(decisions))
    if average == "macro":
        present = right.any(axis=0) | missed.any(axis=0)
        right, wrong, missed = right[:, present], wrong[:, present], missed[:, present]
    hit, miss = right.astype(np.float32), wrong.astype(np.float32) + missed
    if average == "micro":
        hit, miss = hit.sum(axis=1, keepdims=True), miss.sum(axis=1, keepdims=True)
    n = len(hit)
    if not hit.shape[1] or not hit.sum() + miss.sum():
        return Interval(0.0, 0.0, 1.0, _COVERS_ROWS, level)
    rate = float((hit.sum() + 0.5) / (hit.sum() + miss.sum() + 1))

    def figure(hits: npt.NDArray[Any], misses: npt.NDArray[Any]) -> FloatArray:
        total = 2 * hits + misses
        return np.asarray((2 * hits / np.where(total > 0, total, 1)).mean(axis=-1), dtype=np.float64)

    rng, redrawn = np.random.default_rng(seed), []
    block = max(1, min(n_resamples, 4_000_000 // n))
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float32)
        lucky = rng.binomial(2, rate, size=(size, hit.shape[1]))
        redrawn.append(figure(weights @ hit + lucky, weights @ miss + 2 - lucky))
    value = float(figure(hit.sum(axis=0), miss.sum(axis=0)))
    smoothed = float(figure(hit.sum(axis=0) + 2 * rate, miss.sum(axis=0) + 2 * (1 - rate)))
    drawn = _on_logit_scale(value, smoothed, np.concatenate(redrawn), 0.0, n, _COVERS_ROWS, level)
    # Near 1 too few rows go wrong to be redrawn: as for independent decisions the interval is at least so wide.
    pooled = f1_interval(int(hit.sum()), int(miss.sum()), 0, level) or drawn
    low, high = value - (pooled.value - pooled.low), value + (pooled.high - pooled.value)
    return Interval(
        value, max(0.0, min(drawn.low, low)), min(1.0, max(drawn.high, high)), _COVERS_ROWS, level
    )


def mean_interval(values: npt.ArrayLike, lowest: float, highest: float, level: float = 0.95) -> Interval:
    """Return the mean of one figure a row, such as a loss, with an interval that minds its skew.

    Student's interval after Hall's cubic transformation (1992), JRSS B 54:221, which takes the skewness of the mean away.
    Of log losses and Brier scores with accuracies from 77 to 95 % it covers 94.5 to 96 % from 300 rows on and 95 to 98 %
    on 100, where the plain interval covers 86 to 94, and the percentile bootstrap little more. No interval sees a rare
    great loss of which the rows hold none.

    Args:
        values: One figure a row `[n]`, each from ``lowest`` to ``highest``.
        lowest: What no figure falls below.
        highest: What no figure exceeds. One row alone gives an interval from ``lowest`` to it.
        level: Nominal coverage.

    Raises:
        ValueError: If there are no rows, or a figure is out of its range.

    >>> interval = mean_interval([0.1, 0.2, 0.1, 0.4], 0.0, 2.0)
    >>> round(interval.low, 2), round(interval.value, 2), round(interval.high, 2)
    (0.04, 0.2, 1.08)
    """
    _check_level(level)
    figures = np.asarray(values, dtype=np.float64)
    if figures.ndim != 1 or figures.size == 0 or not (lowest <= figures.min() <= figures.max() <= highest):
        raise ValueError(
            f"values {figures.shape}: need one figure a row, each from {lowest:g} to {highest:g}"
        )
    from scipy.stats import t

    n, value = figures.size, float(figures.mean())
    if n == 1:
        return Interval(value, lowest, highest, _COVERS_ROWS, level)
    deviations = figures - value
    spread = float(figures.std(ddof=1))
    skewness = float((deviations**3).mean()) / max(float(figures.std()) ** 3, 1e-300)
    quantile = float(t.ppf(0.5 + level / 2, n - 1)) / sqrt(n)
    low, high = (value - spread * _unskewed(end, skewness, n) for end in (quantile, -quantile))
    return Interval(value, max(lowest, min(low, value)), min(highest, max(high, value)), _COVERS_ROWS, level)


def _unskewed(quantile: float, skewness: float, n: int) -> float:
    """Return the inverse of Hall's cubic transformation, with a = 1/3 and b = 1/6."""
    if abs(skewness) < 1e-9:
        return quantile
    return 3 / skewness * float(np.cbrt(1 + skewness * (quantile - skewness / (6 * n))) - 1)


def exact_interval(successes: int, n: int, level: float = 0.95, n_together: int = 1) -> Interval:
    """Return a proportion with an interval that holds for several proportions at once, whatever their dependence.

    Clopper and Pearson's (1934), Biometrika 26:404, at Bonferroni's level. At such levels Wilson's misses too often: an
    accuracy of 98 % on 50 rows in 1.8 % of cases at a nominal 0.25.

    Args:
        successes: Rows that are right, 0 to ``n`` inclusive.
        n: Rows in all, at least 1.
        level: Least coverage, of all of them together.
        n_together: How many such intervals are looked at.

    >>> exact_interval(15, 148).percent(), exact_interval(15, 148, n_together=10).percent()
    ('10.1 % (5.8 to 16.2)', '10.1 % (4.4 to 19.0)')
    """
    _check_level(level)
    _check_counts(successes, n)
    miss = (1 - level) / n_together
    low, high = exact_lower_bound(successes, n, miss / 2), 1 - exact_lower_bound(n - successes, n, miss / 2)
    return Interval(successes / n, low, high, _together(n_together), level)


def exact_lower_bound(successes: int, n: int, miss: float) -> float:
    """Return the lower bound of a proportion that lies above it with a chance of at most ``miss``, as `exact_interval`'s.

    >>> round(exact_lower_bound(59, 59, miss=0.05), 3)  # the rule of three
    0.95
    """
    _check_share("miss", miss)
    _check_counts(successes, n)
    from scipy.stats import beta

    return float(beta.ppf(miss, successes, n - successes + 1)) if successes else 0.0


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
        _check_counts(successes, rows)
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
    _check_level(level)
    right_a, right_b = _paired(a_right, b_right)
    n = right_a.size
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    value = (only_a - only_b) / n
    low = _tango_low(only_a, only_b, n, _z(level))
    high = -_tango_low(only_b, only_a, n, _z(level))
    return Interval(value, min(low, value), max(high, value), _COVERS_DIFFERENCE, level)


@dataclass(frozen=True)
class Verdict:
    """What the same rows say of two models; made by `compare`, which defines every ``relation``.

    Attributes:
        names: What the sentence calls a and b.
        n: Rows compared.
        only_a_right: Discordant rows that a has right.
        only_b_right: Discordant rows that b has right.
        difference: accuracy(a) - accuracy(b), with its interval.
        p_value: Exact McNemar, two-sided.
        margin: The difference that matters, a share.
        relation: Of a to b.
        is_non_inferior: Whether a loss of ``margin`` or more is excluded, whatever the relation.
        rows_needed: Rows for 80 % power at the margin; only where they cannot be told apart.
        sentence: All of it in plain English.
    """

    names: tuple[str, str]
    n: int
    only_a_right: int
    only_b_right: int
    difference: Interval
    p_value: float
    margin: float
    relation: Relation
    is_non_inferior: bool
    rows_needed: int | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as it stands in ``report.json`` and ``run.json``."""
        return asdict(self) | {"names": list(self.names), "difference": self.difference.to_json()}


def compare(
    a_right: npt.ArrayLike,
    b_right: npt.ArrayLike,
    margin: float = DEFAULT_MARGIN,
    names: tuple[str, str] = ("adapter", "baseline"),
    level: float = 0.95,
) -> Verdict:
    """Compare two models on the same rows, by a margin.

    With ``low`` and ``high`` the ends of `paired_difference` and ``p`` the exact McNemar test, both at
    ``level``, exactly one relation holds, the first of these that applies:

    1. ``better by the margin``: low > margin, and p <= 1 - level.
    2. ``equivalent``: -margin < low and high < margin. It may hold together with a difference from zero
       (p small): a difference too small to matter, which the sentence then says.
    3. ``better``: low > 0 and p <= 1 - level (whether by the margin is open, for high >= margin).
    4. ``worse``: high < 0 and p <= 1 - level (a loss of the margin is not excluded, for low <= -margin).
    5. ``non-inferior``: low > -margin. A loss that matters is excluded, nothing else is known.
    6. ``cannot be told apart``: all else. No reason to prefer either; ``rows_needed`` says how many rows
       would do.

    2 and 5 rest on the interval's approximation alone, so they need `MIN_ROWS_FOR_MARGIN` rows.
    ``is_non_inferior`` (low > -margin, and so many rows) may hold beside 1, 2, 3 and 5, never 4 or 6.

    Args:
        a_right: Whether model a is right, `[n]` of bool.
        b_right: The same rows for model b.
        margin: The difference in accuracy that matters, a share between 0 and 1 exclusive.
        names: What the sentence calls them.
        level: Nominal coverage of the interval; 1 - level is the test's size.

    Raises:
        ValueError: If the rows do not match or the margin is out of its range.

    >>> same = np.arange(4000) % 10 > 0
    >>> compare(same, same).sentence
    'adapter and baseline are equivalent on 4,000 rows: +0.0 points (-0.1 to +0.1), within the margin of 0.5 points.'
    """
    _check_share("margin", margin)
    difference = paired_difference(a_right, b_right, level)
    right_a, right_b = _paired(a_right, b_right)
    n, only_a, only_b = right_a.size, int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p_value = mcnemar_exact(only_a, only_b)
    relation = _relation(difference, p_value, margin, n)
    needed = None
    if relation == "cannot be told apart":
        needed = rows_needed((only_a + only_b) / n, margin, level)
    return Verdict(
        names=names,
        n=n,
        only_a_right=only_a,
        only_b_right=only_b,
        difference=difference,
        p_value=p_value,
        margin=margin,
        relation=relation,
        is_non_inferior=difference.low > -margin and n >= MIN_ROWS_FOR_MARGIN,
        rows_needed=needed,
        sentence=_sentence(relation, names, n, difference, p_value, margin, needed or 0),
    )


def rows_needed(
    discordant_rate: float, margin: float = DEFAULT_MARGIN, level: float = 0.95, power: float = 0.8
) -> int:
    """Return how many rows show a true difference of ``margin`` with probability ``power``.

    Connor (1987), Biometrics 43:207, for McNemar's test.

    Args:
        discordant_rate: Share of rows that exactly one of the two has right; raised to ``margin`` where it
            is lower, for two models cannot differ by more than they disagree.
        margin: The true difference to be shown.
        level: 1 - the test's two-sided size.
        power: Probability of showing it.

    >>> rows_needed(0.06, margin=0.005)
    18835
    >>> rows_needed(0.06, margin=0.02)
    1175
    """
    _check_share("margin", margin)
    _check_level(level)
    rate = max(discordant_rate, margin)
    z_power = NormalDist().inv_cdf(power)
    root = _z(level) * sqrt(rate) + z_power * sqrt(rate - margin * margin)
    return ceil((root / margin) ** 2)


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
    _check_level(level)
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


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
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


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def _together(n_intervals: int) -> str:
    return _COVERS_ROWS if n_intervals == 1 else f"{_COVERS_ROWS}; all {n_intervals} such figures at once"


def _check_counts(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes={successes}, n={n}: need n >= 1 and 0 <= successes <= n")


def _check_level(level: float) -> None:
    _check_share("level", level)


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}={value}: need a share between 0 and 1, both exclusive")


def _paired(a_right: npt.ArrayLike, b_right: npt.ArrayLike) -> tuple[BoolArray, BoolArray]:
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


def _relation(difference: Interval, p_value: float, margin: float, n: int) -> Relation:
    is_significant = p_value <= 1 - difference.level + 1e-12
    is_non_inferior = difference.low > -margin and n >= MIN_ROWS_FOR_MARGIN
    if difference.low > margin and is_significant:
        return "better by the margin"
    if is_non_inferior and difference.high < margin:
        return "equivalent"
    if difference.low > 0 and is_significant:
        return "better"
    if difference.high < 0 and is_significant:
        return "worse"
    return "non-inferior" if is_non_inferior else "cannot be told apart"


def _points(share: float) -> str:
    rounded = round(100 * share, 1) + 0.0  # no "-0.0"
    return f"{rounded:+.1f}"


def _sentence(
    relation: Relation,
    names: tuple[str, str],
    n: int,
    difference: Interval,
    p_value: float,
    margin: float,
    needed: int,
) -> str:
    a, b = names
    rows = f"{n:,} row" + ("s" if n != 1 else "")
    shown = difference.points()
    least = f"{margin * 100:g} points"
    p = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    if relation == "better by the margin":
        return f"{a} is better than {b} by more than {least} on {rows}: {shown}, {p}."
    if relation == "equivalent":
        text = f"{a} and {b} are equivalent on {rows}: {shown}, within the margin of {least}"
        zero = not difference.low <= 0 <= difference.high
        return text + (f" (a difference, {p}, but too small to matter)." if zero else ".")
    if relation == "better":
        return f"{a} is better than {b} on {rows}: {shown}, {p}; whether by {least} is open."
    if relation == "worse":
        return f"{a} is worse than {b} on {rows}: {shown}, {p}."
    if relation == "non-inferior":
        return (
            f"{a} is not worse than {b} by {least} or more on {rows}: {shown}; whether it is better is open."
        )
    text = f"{a} and {b} cannot be told apart on {rows}: {shown}, {p}. That is no reason to prefer either; "
    if needed <= n:
        return text + f"the difference may lie near the margin of {least}, and more rows would settle it."
    return (
        text + f"about {_round_up(needed):,} rows would show a difference of {least} in four cases of five."
    )


def _round_up(n: int) -> int:
    """Return ``n`` rounded up to two digits that count.

    >>> _round_up(18835), _round_up(1175), _round_up(42)
    (19000, 1200, 42)
    """
    unit = int(10 ** max(len(str(n)) - 2, 0))
    return ceil(n / unit) * unit
