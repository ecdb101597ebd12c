"""Labels as class numbers, in an order that never depends on the order of rows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from submillion.data.look_alike import look_alike, written_out
from submillion.data.opened import plural, rows_phrase
from submillion.errors import ConfigError, DataError
from submillion.shortened import by_its_ends

Label = str | int

REGRESSION = (
    "a regression task, and only classification is done. Put the numbers into classes (low, medium, high), or name "
    "another column with --label-column"
)
"""What labels are that measure, and what to do."""

_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")

MOST_NUMBERS = 20
"""Classes that are numbered, and not named, with few rows each: up to so many are never taken for a measurement."""


@dataclass(frozen=True)
class Encoded:
    """Class numbers and what they stand for.

    Attributes:
        codes: Index into ``names`` of each row; int64, shape ``[n_rows]``. Of rows that may have several: 0 and 1, shape
            ``[n_rows, n_labels]``.
        names: Name of each class.
        values: The value that the data holds for each class: integers stay integers.
    """

    codes: np.ndarray
    names: tuple[str, ...]
    values: tuple[Label, ...]


def encode_labels(
    labels: Sequence[Label],
    known: Sequence[str] | None = None,
    *,
    known_values: Sequence[Label] | None = None,
    declared: tuple[str, ...] | None = None,
    declared_values: tuple[Label, ...] | None = None,
    names: Sequence[str] | None = None,
    source: str = "labels",
    row_numbers: Sequence[int] | None = None,
) -> Encoded:
    """Number the classes.

    Declared names keep their order; integers, and strings that are all integers, sort by number; other
    strings sort as strings. A mixture of integers and strings that are no integers is taken as strings.

    Args:
        labels: One label a row.
        known: Names of the training rows' classes, for a further split; its labels may be names or values:
            values where each of them is one, names where each of them is one. Where ``declared`` is given
            they are names (a star rating's names ``1`` to ``5`` may have the values 0 to 4).
        known_values: What the training rows hold for each of them; None: the names.
        declared: Class names that the source declares, in its order.
        declared_values: What the source stores for each of them, if not the names.
        names: The user's names for integer labels, in increasing order of the integers.
        source: How messages call the source.
        row_numbers: Zero-based number of each row in the source, for messages.

    Raises:
        DataError: If a label is unknown or may mean two classes, if labels are all numbers but not all
            integers or nearly all different, or there is a single class.
        ConfigError: If ``names`` do not fit the labels.

    >>> encoded = encode_labels(["10", "9", "10"])
    >>> encoded.codes.tolist(), encoded.names, encoded.values
    ([1, 0, 1], ('9', '10'), (9, 10))
    """
    rows = range(len(labels)) if row_numbers is None else row_numbers
    if known is not None:
        values = tuple(known if known_values is None else known_values)
        return _encode_as_known(labels, tuple(known), values, source, rows, declared is not None)
    if declared is None:
        values, of_row = _distinct_values(labels, source, rows)
        class_names = tuple(str(value) for value in values)
    else:
        values, class_names = declared if declared_values is None else declared_values, declared
        of_row = {label: str(label) for label in set(labels)}
    if len(of_row) < 2 or len(set(of_row.values())) < 2:
        only = f"is only one class, {next(iter(of_row))!r}" if of_row else "are no labels"
        raise DataError(f"{source}: there {only}; a classifier needs rows of at least two classes")
    if names is not None:
        class_names = _renamed(class_names, values, names, source)
    position = {value: i for i, value in enumerate(declared if declared is not None else values)}
    codes = np.fromiter((position[of_row[label]] for label in labels), dtype=np.int64, count=len(labels))
    return Encoded(codes, class_names, values)


def _distinct_values(
    labels: Sequence[Label], source: str, rows: Sequence[int]
) -> tuple[tuple[Label, ...], dict[Label, Label]]:
    """Return the sorted class values, and the value of each distinct label."""
    distinct = set(labels)
    integers: dict[Label, Label] = {
        label: number for label in distinct if (number := _integer(label)) is not None
    }
    if len(integers) == len(distinct):
        _refuse_measurements(set(integers.values()), len(labels), source)
        return tuple(sorted(set(integers.values()), key=int)), integers
    if all(_is_number(label) for label in distinct):
        odd = [row for row, label in zip(rows, labels, strict=True) if _is_fraction(label)]
        if odd:
            raise DataError(
                f"{source}: the labels are numbers, but not all integers ({rows_phrase(odd)}, rows counted from 1; "
                f"{plural(len(distinct), 'different one')}): {REGRESSION}"
            )
    as_strings: dict[Label, Label] = {label: str(label) for label in distinct}
    return tuple(sorted(set(as_strings.values()), key=str)), as_strings


def _refuse_measurements(numbers: set[Label], n_rows: int, source: str) -> None:
    """Refuse integers that are nearly all different: prices, ages, row numbers.

    Raises:
        DataError: If there are more than `MOST_NUMBERS`, for fewer than two rows each.
    """
    if len(numbers) <= MOST_NUMBERS or 2 * len(numbers) <= n_rows:
        return
    raise DataError(
        f"{source}: the labels are {len(numbers):,} different numbers in {n_rows:,} rows, from {min(numbers, key=int)} "
        f"to {max(numbers, key=int)}: {REGRESSION}; if they are classes, write them as words such as class_7"
    )


def _integer(label: Label) -> int | None:
    """Read an integer in its plain form (``7``, ``-1``, ``7.0``); ``07`` and ``+1`` stay strings."""
    if isinstance(label, int):
        return label
    if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", label):
        return int(label)
    if re.fullmatch(r"(0|-?[1-9][0-9]{0,17})\.0", label):
        return int(label[:-2])
    return None


def _is_number(label: Label) -> bool:
    return isinstance(label, int) or _NUMBER.fullmatch(label) is not None


def _is_fraction(label: Label) -> bool:
    return isinstance(label, str) and float(label) % 1 != 0


def _renamed(
    class_names: tuple[str, ...], values: tuple[Label, ...], names: Sequence[str], source: str
) -> tuple[str, ...]:
    names = tuple(names)
    if names == class_names:
        return class_names
    if not all(isinstance(value, int) for value in values):
        raise ConfigError(
            f"label_names={list(names)} is only for integer labels; {source} holds names already: "
            f"{_some(class_names)}"
        )
    if len(names) != len(values):
        raise ConfigError(
            f"label_names has {len(names)} names, but {source} holds {len(values)} labels: {_some(values)}; "
            "give one name a label, in increasing order of the labels"
        )
    if len(set(names)) < len(names):
        raise ConfigError(f"label_names={list(names)} holds a name twice; each class needs its own")
    return names


def _encode_as_known(
    labels: Sequence[Label],
    names: tuple[str, ...],
    values: tuple[Label, ...],
    source: str,
    rows: Sequence[int],
    are_names: bool,
) -> Encoded:
    as_values, as_names = _readings(set(labels), names, values)
    all_values, all_names = None not in as_values.values(), None not in as_names.values()
    odd = sorted(str(label) for label in as_values if as_values[label] != as_names[label])
    if odd and all_values and all_names and not are_names:
        raise DataError(
            f"{source}: label {_some(odd)} may be a name or a stored value, and means another class as each: the "
            f"training rows have {_some(names)}, stored as {_some(values)}. Write names that are no numbers"
        )
    read_as_names = are_names or (all_names and not all_values)
    first, second = (as_names, as_values) if read_as_names else (as_values, as_names)
    of_label = {label: second[label] if code is None else code for label, code in first.items()}
    unknown = [(row, label) for row, label in zip(rows, labels, strict=True) if of_label[label] is None]
    if unknown:
        kinds = sorted({str(label) for _, label in unknown})
        stored = "" if tuple(map(str, values)) == names else f", stored as {_some(values)}"
        if alike := [group for group in look_alike([*kinds, *names]) if not set(names).issuperset(group)]:
            stored += f" ({written_out(alike[0])} only look alike)"
        raise DataError(
            f"{source}: unknown label{'s' * (len(kinds) > 1)} {_some(kinds)} in {rows_phrase([row for row, _ in unknown])} (rows are "
            f"counted from 1); the training rows have {_some(names)}{stored}. Mend these labels, or add such "
            "rows to train"
        )
    return Encoded(np.array([of_label[label] for label in labels], dtype=np.int64), names, values)


def _readings(
    distinct: set[Label], names: tuple[str, ...], values: tuple[Label, ...]
) -> tuple[dict[Label, int | None], dict[Label, int | None]]:
    """Return the class of each label, read as a stored value and read as a name."""
    by_name: dict[Label, int] = {name: i for i, name in enumerate(names)}
    by_value: dict[Label, int] = {value: i for i, value in enumerate(values)}

    def as_value(label: Label) -> int | None:
        number = _integer(label)
        plain = by_value.get(label, by_value.get(str(label)))
        return by_value.get(number) if plain is None and number is not None else plain

    return {x: as_value(x) for x in distinct}, {x: by_name.get(str(x)) for x in distinct}


def _some(items: Sequence[Label], most: int = 20) -> str:
    shown = ", ".join(by_its_ends(repr(item)) for item in items[:most])
    return shown + (f", ... ({len(items)} in all)" if len(items) > most else "")
