"""Several labels a row: how they are written, read and numbered, and by which of them a row is divided.

A row's labels are a `LabelSet` as read, and a line of 0 and 1, `[n_labels]`, once they are numbered: whoever holds labels
of two dimensions holds those of a multi-label task.
"""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from submillion.data.columns import LabelNeed, clean_labels, find_label, is_missing
from submillion.data.labels import Encoded, Label, encode_labels
from submillion.data.opened import Columns, Opened, rows_phrase
from submillion.errors import DataError

N_LOOKED_AT = 256
"""Rows by which it is told how labels are written."""

MIN_INDICATORS = 3
"""A list of so many 0 and 1 holds one of them twice: it can be no list of two labels that are called so."""

NO_LABEL = "(no label)"
"""What messages call rows without any label."""


class LabelSet(tuple[Label, ...]):
    """The labels of one row, as written there; it may be empty."""


@dataclass(frozen=True)
class SeveralLabels:
    """Where the labels of rows stand that may have several; readers take it in place of a column's name.

    Attributes:
        column: Holds lists, or strings in which ``separator`` stands between labels; None: found by its usual names.
        separator: See ``column``; None: lists.
        columns: One a label, of 0 and 1, in place of ``column``; None: there is one column.
        n_indicators: The lists of ``column`` are lines of so many 0 and 1, one a label; None: they hold labels.
    """

    column: str | None = None
    separator: str | None = None
    columns: tuple[str, ...] | None = None
    n_indicators: int | None = None

    def stand_in(self, columns: Sequence[str]) -> bool:
        """Whether a source with these columns holds the labels where this says; True where it names none."""
        return all(name in columns for name in self.columns or ([self.column] if self.column else []))

    def laid_over(self, opened: Opened, need: LabelNeed) -> tuple[Opened, str | None]:
        """Return a source in which the labels stand in one column, and that column's name, None: by its usual names.

        Raises:
            DataError: If columns of 0 and 1 are missing: some of them, or all where labels are required.
        """
        if self.columns is not None:
            return self._in_one_column(opened, self.columns, need)
        column = self.column or opened.label_hint
        if self.n_indicators is None:
            return opened, column
        column = column or find_label(list(opened.columns), None, None, "optional", [])
        names = tuple(map(str, range(self.n_indicators)))
        if column is None or opened.label_names.get(column):
            return opened, column
        return replace(opened, label_names={**opened.label_names, column: names}, is_indexed=True), column

    def _in_one_column(
        self, opened: Opened, columns: tuple[str, ...], need: LabelNeed
    ) -> tuple[Opened, str | None]:
        missing = [name for name in columns if name not in opened.columns]
        if missing and need != "never" and (need == "required" or len(missing) < len(columns)):
            raise DataError(
                f"{opened.name}: there is no label column {', '.join(map(repr, missing))}: name those that are there by "
                f"--label-columns. Columns found: {', '.join(map(repr, opened.columns))}"
            )
        others = tuple(name for name in opened.columns if name not in columns)
        if missing or need == "never":
            return replace(opened, columns=others, label_hint=None), None
        joined = ", ".join(columns)

        def read(wanted: Sequence[str], chunk_rows: int) -> Iterator[Columns]:
            kept = [name for name in wanted if name != joined]
            if len(kept) == len(wanted):
                yield from opened.read(kept, chunk_rows)
                return
            for piece in opened.read([*kept, *columns], chunk_rows):
                yield {
                    **{name: piece[name] for name in kept},
                    joined: list(zip(*(piece[name] for name in columns), strict=True)),
                }

        names = {**opened.label_names, joined: columns}
        return replace(
            opened, columns=(*others, joined), read=read, label_names=names, is_indexed=True
        ), joined

    def clean(
        self,
        cells: list[Any],
        row_numbers: Sequence[int],
        *,
        column: str,
        source: str,
        is_optional: bool = False,
        **same: Any,
    ) -> list[LabelSet] | None:
        """Return each row's labels, or None where ``is_optional`` and all cells are empty; otherwise as `clean_labels`."""
        where = f"{source}: label column {column!r}"
        if is_optional and all(_is_empty(cell) for cell in cells):
            return None
        rows = [self._items(cell, number, where) for cell, number in zip(cells, row_numbers, strict=True)]
        numbers = [number for items, number in zip(rows, row_numbers, strict=True) for _ in items]
        flat = clean_labels(
            [item for items in rows for item in items], numbers, column=column, source=source, **same
        )
        labels = iter(flat or [])
        sets = [LabelSet(next(labels) for _ in items) for items in rows]
        if twice := [
            n for n, labels in zip(row_numbers, sets, strict=True) if len(set(labels)) < len(labels)
        ]:
            raise DataError(
                f"{where} holds a label twice in {rows_phrase(twice)} (rows are counted from 1): name each label once. Of "
                "0 and 1, one a label: write them in columns of their own and name these with --label-columns"
            )
        return sets

    def _items(self, cell: Any, number: int, where: str) -> Sequence[Any]:
        """Return the labels in one cell, uncleaned; of 0 and 1 the places of the 1."""
        items = self._listed(cell, number, where)
        n_places = len(self.columns) if self.columns is not None else self.n_indicators
        if n_places is None:
            return items
        numbers = [_bit(item) for item in items]
        if None in numbers or len(numbers) != n_places:
            raise DataError(
                f"{where} holds {_short(list(items))} in {rows_phrase([number])} (rows are counted from 1): "
                f"give {n_places} values of 0 or 1, one a label"
            )
        return [place for place, is_set in enumerate(numbers) if is_set]

    def _listed(self, cell: Any, number: int, where: str) -> Sequence[Any]:
        if isinstance(cell, str):
            text = cell.strip()
            if self.separator is not None:
                return [part.strip() for part in text.split(self.separator) if part.strip()]
            if not text:
                return []
            parsed = _parsed(text)
            if parsed is not None:
                return parsed
        elif is_list(cell):
            items = (
                cell.tolist() if hasattr(cell, "tolist") else sorted(cell) if isinstance(cell, set) else cell
            )
            return list(items)
        raise DataError(
            f"{where} holds {'nothing' if is_missing(cell) else _short(cell)} in {rows_phrase([number])} (rows are counted "
            "from 1), where lists of labels are read: give every row a list ([] for no label); say what stands between the "
            "labels of a string by --label-separator; or name columns of 0 and 1 by --label-columns"
        )


LabelColumn = str | SeveralLabels | None
"""Where labels stand: a column's name, None: found by its usual names; or where several a row do."""


def is_list(cell: Any) -> bool:
    """Whether a cell holds several values, or a text that is written as a list.

    >>> is_list(["a"]), is_list("['a', 'b']"), is_list("a")
    (True, True, False)
    """
    if isinstance(cell, str):
        return cell[:1] == "[" and cell[-1:] == "]"
    return hasattr(cell, "__len__") and not isinstance(cell, bytes | dict)


def looked_at(source: Opened, several: SeveralLabels) -> SeveralLabels:
    """Return how labels are written, once the first rows of the source are seen."""
    if several.columns is not None or several.separator is not None:
        return several
    column = (
        several.column or source.label_hint or find_label(list(source.columns), None, None, "optional", [])
    )
    if column is None or column not in source.columns:
        return several
    lines = [line for cell in first_cells(source, column) if (line := _line(cell)) is not None]
    lengths = {len(line) for line in lines}
    if (
        len(lengths) != 1
        or min(lengths) < MIN_INDICATORS
        or any(_bit(x) is None for line in lines for x in line)
    ):
        return several
    return replace(several, column=column, n_indicators=lengths.pop())


def first_cells(source: Opened, column: str) -> list[Any]:
    """Return the first cells of a column, at most `N_LOOKED_AT`."""
    for piece in source.read([column], N_LOOKED_AT):
        return piece[column][:N_LOOKED_AT]
    return []


def encode_rows(labels: Sequence[Any], *arguments: Any, **named: Any) -> Encoded:
    """Number the labels of rows, one or several a row; of several the codes are 0 and 1, int64 `[n, n_labels]`.

    Arguments and errors are those of `encode_labels`.

    >>> encode_rows([LabelSet(["b", "a"]), LabelSet(), LabelSet(["b"])]).codes.tolist()
    [[1, 1], [0, 0], [0, 1]]
    """
    if not labels or not isinstance(labels[0], LabelSet):
        return encode_labels(labels, *arguments, **named)
    rows = np.repeat(np.arange(len(labels)), [len(of_row) for of_row in labels])
    if (numbers := named.pop("row_numbers", None)) is not None:
        named["row_numbers"] = [numbers[row] for row in rows.tolist()]
    flat = encode_labels([label for of_row in labels for label in of_row], *arguments, **named)
    codes = np.zeros((len(labels), len(flat.names)), dtype=np.int64)
    codes[rows, flat.codes] = 1
    return Encoded(codes, flat.names, flat.values)


def strata(labels: np.ndarray) -> np.ndarray:
    """Return what each row counts for where rows are divided or counted by label, `[n]` int64.

    Its label; of several, the one that fewest rows have, the lowest of equals; ``n_labels`` for a row without any. So the
    rows of a rare label are divided among the splits in its own right, and those of common ones by what else they hold
    (the first step of Sechidis et al. 2011, iterative stratification, which knows neither equal texts nor an order that
    does not depend on the rows').

    Args:
        labels: `[n]`, or 0 and 1 `[n, n_labels]`.

    >>> strata(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]])).tolist()
    [1, 0, 3, 2]
    """
    if labels.ndim == 1:
        return labels
    rarest_first = np.argsort(labels.sum(axis=0), kind="stable")
    rarest = rarest_first[labels[:, rarest_first].argmax(axis=1)]
    return np.asarray(np.where(labels.any(axis=1), rarest, labels.shape[1]), dtype=np.int64)


def stratum_names(labels: np.ndarray, names: Sequence[str]) -> tuple[str, ...]:
    """Return what messages call each of the `strata`."""
    return tuple(names) if labels.ndim == 1 else (*names, NO_LABEL)


def label_counts(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """Return how many rows have each label, `[n_labels]`.

    >>> label_counts(np.array([0, 2, 2]), 3).tolist(), label_counts(np.array([[1, 1], [0, 1]]), 2).tolist()
    ([1, 0, 2], [1, 2])
    """
    counts = np.bincount(labels, minlength=n_labels) if labels.ndim == 1 else labels.sum(axis=0)
    return np.asarray(counts, dtype=np.int64)


def row_keys(labels: np.ndarray) -> list[Any]:
    """Return one value a row, equal where the labels are."""
    return labels.tolist() if labels.ndim == 1 else [row.tobytes() for row in labels.astype(np.int8)]


def said_of_sets(labels: np.ndarray, source: str) -> list[str]:
    """Return what to say of rows that may have several labels; nothing where each has one."""
    if labels.ndim == 1:
        return []
    n_without = int((~labels.any(axis=1)).sum())
    return [
        f"{source}: several labels a row: {labels.shape[1]} labels, {labels.sum(axis=1).mean():.2f} a row, {n_without:,} of "
        f"{len(labels):,} rows without any. A row is divided among the splits by the rarest of its labels."
    ]


def _is_empty(cell: Any) -> bool:
    """Whether nothing is written in a cell; an empty list is: no label."""
    if isinstance(cell, tuple):  # a line of columns
        return all(_is_empty(part) for part in cell)
    return is_missing(cell) or (isinstance(cell, str) and not cell.strip())


def _line(cell: Any) -> Sequence[Any] | None:
    if isinstance(cell, str):
        return _parsed(cell.strip())
    return list(cell) if is_list(cell) else None


def _bit(item: Any) -> bool | None:
    """Return whether an item is 1; None where it is neither 1 nor 0.

    >>> [_bit(item) for item in (1, "0", 1.0, True, "yes", 2)]
    [True, False, True, True, None, None]
    """
    if isinstance(item, str):
        return {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}.get(
            item.strip().casefold()
        )
    if is_missing(item):
        return None
    return bool(item) if item in (0, 1) else None


def _parsed(text: str) -> list[Any] | None:
    """Return the list that a text writes, in JSON or Python; None where it writes none.

    Python would join two strings with nothing between them: a comma has to stand there.

    >>> _parsed('["a", "b"]'), _parsed("['a']"), _parsed("['a' 'b']"), _parsed("a, b")
    (['a', 'b'], ['a'], None, None)
    """
    if text[:1] != "[" or re.search(r"""['"]\s*['"]""", text.replace("''", "").replace('""', "")):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, list) else None
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
