"""How predictions are written: CSV, JSON Lines, Parquet, or a competition's submission."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

import pyarrow
from pyarrow import parquet

from submillion.run import written_atomically
from submillion.scoring import Scores

FORMATS = ("csv", "jsonl", "parquet", "submission")


class Names(Protocol):
    """What holds a label's name, and its value in the training data, in the order of the logits."""

    label_names: tuple[str, ...]
    label_values: tuple[int | str, ...]


STANDARD_OUTPUT = "-"


@contextmanager
def destination(output: str | Path) -> Iterator[Path | None]:
    """Yield where to write: a file that appears whole or not at all; None, standard output."""
    if str(output) == STANDARD_OUTPUT:
        yield None
        return
    with written_atomically(Path(output)) as temporary:
        yield temporary


@contextmanager
def text_file(path: Path | None) -> Iterator[TextIO]:
    """Yield a file to write text to; None: standard output."""
    if path is not None:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    # UTF-8 whatever the terminal's, and closed by nobody.
    standard = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
    try:
        yield standard
    finally:
        standard.detach()


@contextmanager
def writer(format: str, path: Path | None, names: Names) -> Iterator[Callable[[int, Scores], None]]:
    """Yield the function that appends scored rows, numbered from its first argument, to ``path``; None: to standard output."""
    columns = ["row", "label", "probability", *(f"probability_{name}" for name in names.label_names)]
    if format == "parquet":
        types = [pyarrow.int64(), pyarrow.string(), *[pyarrow.float64()] * (len(columns) - 2)]
        schema = pyarrow.schema(list(zip(columns, types, strict=True)))
        with parquet.ParquetWriter(sys.stdout.buffer if path is None else path, schema) as file:
            yield lambda start, scores: file.write_table(
                pyarrow.Table.from_pylist(
                    [dict(zip(columns, row, strict=True)) for row in _rows(start, scores, names)],
                    schema=schema,
                )
            )
        return
    with text_file(path) as file:
        if format == "jsonl":
            yield lambda start, scores: file.writelines(
                json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n"
                for row in _rows(start, scores, names)
            )
            return
        table = csv.writer(file, lineterminator="\n")
        if format == "submission":
            table.writerow(["ID", "Label"])
            numbers = _integer_labels(names)
            yield lambda start, scores: table.writerows(
                (start + index, numbers[label]) for index, label in enumerate(scores.predictions)
            )
        else:
            table.writerow(columns)
            yield lambda start, scores: table.writerows(_rows(start, scores, names))


def _rows(start: int, scores: Scores, names: Names) -> Iterator[list[Any]]:
    """Yield row number, label name, its probability and all probabilities, rounded to six places."""
    probabilities = scores.probabilities.round(6).tolist()
    for index, (label, row) in enumerate(zip(scores.predictions.tolist(), probabilities, strict=True)):
        yield [start + index, names.label_names[label], row[label], *row]


def _integer_labels(names: Names) -> list[int]:
    """Return each label as an integer: as the training data held it where it did, else its position."""
    values = names.label_values
    return list(range(len(values))) if _is_numbered(names) else [int(value) for value in values]


def _is_numbered(names: Names) -> bool:
    """Return whether a label's integer is its position, for the training data held none."""
    return not all(isinstance(value, int) for value in names.label_values)


def notes_on_numbers(names: Names) -> tuple[str, ...]:
    """Say which label each integer of a submission is, where the training data did not."""
    numbered = ", ".join(f"{position} = {name}" for position, name in enumerate(names.label_names))
    return (f"Label is the position: {numbered}.",) if _is_numbered(names) else ()
