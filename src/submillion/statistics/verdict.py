"""What the same rows say of two models, by a margin: one relation, one sentence, and the rows that would be needed."""

from dataclasses import asdict, dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Any, Literal

import numpy.typing as npt

from submillion.statistics.exact_tests import mcnemar_exact
from submillion.statistics.interval import Interval, check_level, check_share, z_of_level
from submillion.statistics.paired import checked_rights, paired_difference

Relation = Literal[
    "better by the margin", "better", "worse", "non-inferior", "equivalent", "cannot be told apart"
]

DEFAULT_MARGIN = 0.005
"""The difference in accuracy that a user would care about, unless told: 0.5 points."""

MIN_ROWS_FOR_MARGIN = 30
"""Below this many rows no claim is made that rests on the score interval's approximation alone."""


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

    >>> import numpy as np
    >>> same = np.arange(4000) % 10 > 0
    >>> compare(same, same).sentence
    'adapter and baseline are equivalent on 4,000 rows: +0.0 points (-0.1 to +0.1), within the margin of 0.5 points.'
    """
    check_share("margin", margin)
    difference = paired_difference(a_right, b_right, level)
    right_a, right_b = checked_rights(a_right, b_right)
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
    check_share("margin", margin)
    check_level(level)
    rate = max(discordant_rate, margin)
    z_power = NormalDist().inv_cdf(power)
    root = z_of_level(level) * sqrt(rate) + z_power * sqrt(rate - margin * margin)
    return ceil((root / margin) ** 2)


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
    has_zero = difference.low <= 0 <= difference.high
    if relation == "better by the margin":
        return f"{a} is better than {b} by more than {least} on {rows}: {shown}, {p}."
    if relation == "equivalent":
        text = f"{a} and {b} are equivalent on {rows}: {shown}, within the margin of {least}"
        return text + ("." if has_zero else f" (a difference, {p}, but too small to matter).")
    if relation == "better":
        return f"{a} is better than {b} on {rows}: {shown}, {p}; whether by {least} is open."
    if relation == "worse":
        return f"{a} is worse than {b} on {rows}: {shown}, {p}."
    which = "" if has_zero else " (the interval, which is approximate, leaves 0 out; the exact test does not)"
    if relation == "non-inferior":
        return f"{a} is not worse than {b} by {least} or more on {rows}: {shown}; whether it is better is open{which}."
    text = f"{a} and {b} cannot be told apart on {rows}: {shown}, {p}{which}. That is no reason to prefer either; "
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
