"""The rows of an audit: several splits side by side. Labels of a test split are not read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from submillion.data import RawRows, encode_labels, read_rows
from submillion.data.label_form import labels_in
from submillion.data.look_alike import said_of_look_alikes
from submillion.data.multi_label import SeveralLabels
from submillion.data.opened import plural
from submillion.data.pairs import check_pairs, hold_pairs
from submillion.data.standard_input import ONE_SET, STANDARD_INPUT, is_standard_input
from submillion.errors import ConfigError
from submillion.terminal import on_one_line

UNREAD = -1
"""The class number of rows whose label was not read, or that have none."""

_PRECIOUS = {"test": 2, "validation": 1}
"""Of a text that stands in several splits, the row of the most precious stays: test, validation, then any other."""


@dataclass(frozen=True)
class Split:
    """A split as it was named.

    Attributes:
        name: Of the split.
        source: How messages call its file.
        n_rows: Rows.
        is_locked: Whether it is a test split, whose labels are not read.
        has_labels: Whether its labels were read.
    """

    name: str
    source: str
    n_rows: int
    is_locked: bool
    has_labels: bool

    @property
    def precedence(self) -> int:
        """How much it matters that its rows stay, 0 to 2."""
        return 2 if self.is_locked else _PRECIOUS.get(self.name, 0)


@dataclass(frozen=True)
class AuditedRows:
    """All rows, split after split.

    Attributes:
        splits: The splits, in the order of their rows.
        texts: One a row.
        codes: Class number of each row, `UNREAD` where there is none, `[n]` int64.
        split_of: Index into ``splits`` of each row, `[n]` int64.
        row_numbers: Zero-based position of each row in its file, `[n]` int64.
        names: Name of each class, on one line.
        notes: What was repaired or not read, one sentence each.
    """

    splits: tuple[Split, ...]
    texts: list[str]
    codes: np.ndarray
    split_of: np.ndarray
    row_numbers: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


def read_splits(
    sources: Sequence[tuple[str, Any]], text_columns: Sequence[str] | None, label_column: str | None
) -> AuditedRows:
    """Read the rows of an audit.

    Args:
        sources: Name and source of each split, at least one; a name that holds the word ``test`` locks its labels.
        text_columns: As in `read_rows`.
        label_column: As in `read_rows`.

    Raises:
        ConfigError: If two sources are standard input.
        DataError: If a source cannot be read, or some of its rows have a label and some none.
    """
    if sum(is_standard_input(source) for _, source in sources) > 1:
        raise ConfigError(f"{STANDARD_INPUT!r} is named more than once: {ONE_SET}")
    read, splits, notes = list[RawRows](), list[Split](), list[str]()
    for name, source in sources:
        rows, split, note = _read_split(name, source, text_columns, label_column)
        if read:
            check_pairs(rows.texts, hold_pairs(read[0].texts), rows.source, read[0].source)
        read.append(rows)
        splits.append(split)
        notes += [*rows.notes, *([f"{rows.source}: {note}"] if note else [])]
    labelled = [rows for rows in read if rows.labels is not None]
    codes, names = np.empty(0, dtype=np.int64), tuple[str, ...]()
    if labelled:
        encoded = encode_labels(
            [label for rows in labelled for label in rows.labels or ()],
            declared=labelled[0].label_names,
            declared_values=labelled[0].label_values,
            source=", ".join(rows.source for rows in labelled),
        )
        codes, names = encoded.codes, encoded.names
        notes += said_of_look_alikes(names, ", ".join(rows.source for rows in labelled))
    has_label = np.repeat([split.has_labels for split in splits], [split.n_rows for split in splits])
    every = np.full(len(has_label), UNREAD, dtype=np.int64)
    every[has_label] = codes
    return AuditedRows(
        splits=tuple(splits),
        texts=[text for rows in read for text in rows.texts],
        codes=every,
        split_of=np.repeat(np.arange(len(splits)), [split.n_rows for split in splits]),
        row_numbers=np.array([number for rows in read for number in rows.row_numbers], dtype=np.int64),
        names=tuple(map(on_one_line, names)),
        notes=tuple(map(on_one_line, notes)),
    )


def _read_split(
    name: str, source: Any, text_columns: Sequence[str] | None, label_column: str | None
) -> tuple[RawRows, Split, str]:
    """Read one split; return its rows, what it is, and what is to be known of its labels, empty where they were read."""
    is_locked = is_test(name)
    need: Any = "never" if is_locked else "optional" if label_column is None else "required"
    has_sets = not is_locked and isinstance(
        labels_in(
            source,
            problem_type=None,
            label_column=label_column,
            label_columns=None,
            label_separator=None,
            labels=need,
        ),
        SeveralLabels,
    )
    if has_sets:
        need = "never"
    rows = read_rows(source, text_columns=text_columns, label_column=label_column, labels=need)
    has_labels = rows.labels is not None
    note = ""
    if is_locked:
        note = f"{plural(len(rows.texts), 'row')} of a test split, whose labels were not read."
    elif has_sets:
        note = "rows may have several labels, which an audit does not look at; the rest is looked at."
    elif not has_labels:
        note = "no labels were found, so none was looked at; name their column by --label-column."
    split = Split(on_one_line(name), on_one_line(rows.source), len(rows.texts), is_locked, has_labels)
    return rows, split, note


def name_splits(data: Sequence[Any], validation: Any, test: Any) -> list[tuple[str, Any]]:
    """Return the name of each split: ``train`` where one file stands alone, else the stem of each file.

    Raises:
        ConfigError: If there is nothing to audit.

    >>> name_splits(["a/rows.csv"], None, "held.csv")
    [('train', 'a/rows.csv'), ('test', 'held.csv')]
    >>> name_splits(["a/x.csv", "b/x.csv", "my-test.csv"], None, None)
    [('x', 'a/x.csv'), ('x 2', 'b/x.csv'), ('my-test', 'my-test.csv')]
    """
    if not data:
        raise ConfigError("there is nothing to audit: name a file of rows")
    named: list[tuple[str, Any]] = []
    wanted = [
        ("train" if len(data) == 1 and not is_test(_stem(each)) else _stem(each), each) for each in data
    ]
    wanted += [
        (name, each) for name, each in (("validation", validation), ("test", test)) if each is not None
    ]
    for name, each in wanted:
        taken = {other for other, _ in named}
        number = next(
            n for n in range(1, len(wanted) + 1) if (name if n == 1 else f"{name} {n}") not in taken
        )
        named.append((name if number == 1 else f"{name} {number}", each))
    return named


def is_test(name: str) -> bool:
    """Whether a split's name says that it is a test split.

    >>> is_test("my-test_2"), is_test("contest"), is_test("TEST")
    (True, False, True)
    """
    return "test" in re.split(r"[^a-z]+", name.casefold())


def _stem(source: Any) -> str:
    """Return what a source is called by its file, ``train`` for one that is none."""
    if not isinstance(source, str | PathLike):
        return "train"
    name = str(source)
    return (
        name.rsplit(":", 1)[-1]
        if name.startswith("hub:")
        else Path(name).stem.removesuffix(".csv") or "train"
    )
