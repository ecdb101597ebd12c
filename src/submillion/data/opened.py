"""What every kind of source is turned into before rows are read from it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from submillion.errors import DataError, one_line

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Opened:
    """A source whose columns are known and whose rows are still to be read.

    Attributes:
        name: How messages call the source.
        columns: Its columns, in its own order.
        read: Yields the named columns in pieces of at most so many rows; no other column is parsed.
        label_names: Class names, in declared order, of the columns that declare them.
        is_indexed: The declared columns hold positions in their names (a Hugging Face ``ClassLabel``),
            not the names themselves.
        text_hint: Columns that the source itself marks as text.
        label_hint: Column that the source itself marks as the class.
        missing_labels: Strings that stand for "no label".
        has_integer_labels: The form of the file says that labels are integers.
        remarks: How the source had to be read, where a user might not expect it; one sentence each.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[Sequence[str], int], Iterator[Columns]]
    label_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_indexed: bool = False
    text_hint: tuple[str, ...] | None = None
    label_hint: str | None = None
    missing_labels: frozenset[str] = frozenset({""})
    has_integer_labels: bool = False
    remarks: tuple[str, ...] = ()


def columns_of(piece: Any, name: str) -> Columns:
    """Return the cells of a piece of an Arrow table as Python values.

    Args:
        piece: A ``pyarrow.Table`` or ``RecordBatch``.
        name: How messages call the source.

    Raises:
        DataError: If a cell is no UTF-8, or no value that Python can hold.
    """
    columns: Columns = {}
    for column, cells in zip(piece.schema.names, piece.columns, strict=True):
        try:
            cells.validate(full=True)  # lengths that lie would be read from memory that is not theirs
            columns[column] = cells.to_pylist()
        except (ValueError, OverflowError) as error:
            why = "is not UTF-8" if "UTF8" in str(error) else f"cannot be read ({one_line(error)})"
            raise DataError(
                f"{name}: a value in column {column!r} {why}: write the file again from its source"
            ) from None
    return columns


def rows_phrase(row_numbers: Sequence[int]) -> str:
    """Name rows as a user counts them, from 1: the first, and how many others.

    >>> rows_phrase([2, 7, 9])
    'row 3 and 2 others'
    >>> rows_phrase([0, 4])
    'row 1 and 1 other'
    >>> rows_phrase([0])
    'row 1'
    """
    first, others = min(row_numbers) + 1, len(row_numbers) - 1
    return f"row {first}" + (f" and {others:,} other{'s' * (others > 1)}" if others else "")


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "row"), plural(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"
