"""Every interval, paired test and sample-size statement in the project.

No other package computes an interval or a p-value: whoever reports a figure takes it from here, with the
phrase that says what it covers. Nothing here covers a new training seed, for nothing here has seen one.

Coverage of each interval is simulated, in ``tests/unit/test_statistics.py`` (93.5 to 96.5 % at nominal 95 %) and in
``tests/unit/evaluation/test_intervals.py``.
"""

from submillion.statistics.best import ToBest, differences_to_best
from submillion.statistics.exact_tests import fisher_exact, holm, mcnemar_exact
from submillion.statistics.interval import Interval, percent
from submillion.statistics.means import mean_interval
from submillion.statistics.paired import paired_difference
from submillion.statistics.proportions import (
    exact_interval,
    exact_lower_bound,
    share_or_none,
    wilson_interval,
)
from submillion.statistics.resampled import balanced_accuracy_interval, macro_f1_interval, matthews_interval
from submillion.statistics.several_labels import f1_interval, f1_of_sets_interval
from submillion.statistics.verdict import (
    DEFAULT_MARGIN,
    MIN_ROWS_FOR_MARGIN,
    Relation,
    Verdict,
    compare,
    rows_needed,
)

__all__ = [
    "DEFAULT_MARGIN",
    "MIN_ROWS_FOR_MARGIN",
    "Interval",
    "Relation",
    "ToBest",
    "Verdict",
    "balanced_accuracy_interval",
    "compare",
    "differences_to_best",
    "exact_interval",
    "exact_lower_bound",
    "f1_interval",
    "f1_of_sets_interval",
    "fisher_exact",
    "holm",
    "macro_f1_interval",
    "matthews_interval",
    "mcnemar_exact",
    "mean_interval",
    "paired_difference",
    "percent",
    "rows_needed",
    "share_or_none",
    "wilson_interval",
]
