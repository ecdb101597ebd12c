"""Where the model does worse than on the other rows: by length of text, and by any column of the data."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.statistics import Interval, exact_interval, fisher_exact, holm

Array = np.ndarray[Any, np.dtype[Any]]

LENGTH = "number of words"
"""What the slices by length of text are called."""

MISSING = "(missing)"
"""The slice of rows that have no value in a column."""

MOST_VALUES = 20
"""Most values of a column that are looked at, the most frequent ones."""

MOST_NUMBERS = 10
"""Most distinct numbers that count as values each; more are cut into quartiles."""

LEAST_ROWS = 20
"""A slice of fewer rows is left out."""

LEVEL = 0.95


@dataclass(frozen=True)
class Slice:
    """The rows that share a value, against all other rows.

    Attributes:
        column: What the rows are sliced by.
        value: What these have there; a range for a quartile.
        n: Rows.
        accuracy: With an interval that holds for all slices together.
        accuracy_of_rest: On all other rows.
        p_value: Fisher's exact test against those, two-sided, adjusted by Holm for all slices.
    """

    column: str
    value: str
    n: int
    accuracy: Interval
    accuracy_of_rest: float
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether the difference is more than chance, for as many slices as were looked at."""
        return self.p_value <= 1 - LEVEL

    def to_json(self) -> dict[str, Any]:
        """Return the slice as it stands in ``report.json``."""
        return {
            "column": self.column,
            "value": self.value,
            "n": self.n,
            "accuracy": self.accuracy.to_json(),
            "accuracy_of_rest": self.accuracy_of_rest,
            "p_value": self.p_value,
            "differs": self.differs,
        }


@dataclass(frozen=True)
class Slices:
    """All slices looked at; made by `slice_rows`.

    Attributes:
        found: The worst first.
        n_too_small: Slices left out for having fewer than `LEAST_ROWS` rows.
        n_beyond: Values left out beyond the `MOST_VALUES` most frequent of their column.
        without_rest: Columns left out for having one value in all rows.
    """

    found: tuple[Slice, ...]
    n_too_small: int
    n_beyond: int
    without_rest: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the slices with what was left out and what the p-values are."""
        return {
            "found": [each.to_json() for each in self.found],
            "n_looked_at": len(self.found),
            "n_too_small": self.n_too_small,
            "n_beyond": self.n_beyond,
            "without_rest": list(self.without_rest),
            "note": "p_value: Fisher's exact test against all other rows, two-sided, adjusted by Holm for all "
            f"{len(self.found)} slices: with no difference anywhere, some slice differs in at most 5 % of data sets",
        }


def slice_rows(right: Array, word_counts: Array | None, columns: Mapping[str, Array]) -> Slices:
    """Return accuracy by slice, the lowest first, each against all other rows.

    Intervals and p-values are corrected for how many slices there are. That many is known before any label is
    looked at, for it depends on the columns alone.

    Args:
        right: Whether each row is labelled rightly, `[n]` of bool.
        word_counts: Number of words of each text, `[n]`; None leaves it out.
        columns: Name -> values `[n]`, text or numbers, some of them missing.

    Raises:
        ValueError: If a column has not one value a row.

    >>> found = slice_rows(np.arange(200) % 4 > 0, None, {"from": np.repeat(["web", "mail"], 100)})
    >>> [(each.value, each.accuracy.value, each.differs) for each in found.found]
    [('web', 0.75, False), ('mail', 0.75, False)]
    """
    given = ({} if word_counts is None else {LENGTH: word_counts}) | dict(columns)
    members: list[tuple[str, str, Array]] = []
    n_too_small, n_beyond, without_rest = 0, 0, []
    for column, values in given.items():
        values = np.asarray(values)
        if values.shape != right.shape:
            raise ValueError(
                f"column {column!r} has shape {values.shape}: need {right.shape}, one value a row"
            )
        names = name_values(values)
        counts = Counter(names.tolist()).most_common()
        if len(counts) == 1:
            without_rest.append(column)
            continue
        n_beyond += len(counts[MOST_VALUES:])
        large = [value for value, n in counts[:MOST_VALUES] if n >= LEAST_ROWS]
        n_too_small += len(counts[:MOST_VALUES]) - len(large)
        members += [(column, value, names == value) for value in large]
    found = _tested(right, members)
    return Slices(found, n_too_small, n_beyond, tuple(without_rest))


def name_values(values: Array) -> Array:
    """Return the name of each row's slice, `[n]` of text: its value, or its quartile among many numbers.

    >>> name_values(np.array([1, 2, 1])).tolist()
    ['1', '2', '1']
    >>> name_values(np.arange(12)).tolist()[::3]
    ['0 to 2', '3 to 5', '6 to 8', '9 to 11']
    >>> name_values(np.array(["a", None], dtype=object)).tolist()
    ['a', '(missing)']
    """
    from pandas import isna

    missing = np.asarray(isna(values), dtype=np.bool_)
    present = values[~missing].tolist()
    names = np.full(len(values), MISSING, dtype=object)
    if present and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        names[~missing] = _name_numbers(np.asarray(present, dtype=np.float64))
    else:
        names[~missing] = [str(value) for value in present]
    return names


def _name_numbers(numbers: Array) -> list[str]:
    if len(np.unique(numbers)) <= MOST_NUMBERS:
        return [f"{number:.10g}" for number in numbers]
    edges = np.quantile(numbers, [0.25, 0.5, 0.75], method="inverted_cdf")
    quartiles = np.searchsorted(edges, numbers)
    ends = {
        quartile: (numbers[quartiles == quartile].min(), numbers[quartiles == quartile].max())
        for quartile in np.unique(quartiles)
    }
    return [f"{ends[quartile][0]:.10g} to {ends[quartile][1]:.10g}" for quartile in quartiles]


def _tested(right: Array, members: list[tuple[str, str, Array]]) -> tuple[Slice, ...]:
    """Return a slice for each column, value and the rows that have it, the lowest accuracy first."""
    n_all, right_all = len(right), int(right.sum())
    sizes = [(int(right[rows].sum()), int(rows.sum())) for _, _, rows in members]
    p_values = holm([fisher_exact((hits, right_all - hits), (n, n_all - n)) for hits, n in sizes])
    slices = [
        Slice(
            column=column,
            value=value,
            n=n,
            accuracy=exact_interval(hits, n, LEVEL, len(members)),
            accuracy_of_rest=(right_all - hits) / (n_all - n),
            p_value=float(p_value),
        )
        for (column, value, _), (hits, n), p_value in zip(members, sizes, p_values, strict=True)
    ]
    return tuple(sorted(slices, key=lambda each: (each.accuracy.value, each.p_value)))
