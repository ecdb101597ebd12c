"""JSON Lines, JSON and Parquet files."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from submillion.data.delimited import undecodable
from submillion.data.opened import Columns, Opened, columns_of
from submillion.errors import DataError, one_line

# The columns of a JSON Lines file are those of its first rows.
_ROWS_LOOKED_AT = 1_000

_AGAIN = "fetch or write the file again, or give another form (CSV, JSON Lines)"


def open_json(path: Path) -> Opened:
    """Open a file with one JSON object a line, or with one JSON array of objects.

    Raises:
        DataError: If the file is empty, no UTF-8, or no such JSON.
    """
    first = list(itertools.islice(_records(path), _ROWS_LOOKED_AT))
    if not first:
        raise DataError(
            f"{path}: the file holds no rows; give one JSON object a line, with a text and a label"
        )

    def read(columns: Sequence[str], chunk_rows: int) -> Iterator[Columns]:
        return in_columns(_records(path), columns, chunk_rows)

    return Opened(str(path), tuple(dict.fromkeys(key for record in first for key in record)), read)


def in_columns(
    records: Iterable[dict[str, Any]], columns: Sequence[str], chunk_rows: int
) -> Iterator[Columns]:
    """Turn mappings into columns, a piece at a time; a key that is not there is null.

    >>> list(in_columns([{"a": 1}, {"b": 2}, {"a": 3}], ["a"], 2))
    [{'a': [1, None]}, {'a': [3]}]
    """
    iterator = iter(records)
    while piece := list(itertools.islice(iterator, chunk_rows)):
        yield {column: [record.get(column) for record in piece] for column in columns}


def _records(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            start = file.read(1)
            while start and start.isspace():
                start = file.read(1)
            file.seek(0)
            if start == "[":
                yield from _array(path, file.read())
                return
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _object(path, number, line)
    except UnicodeDecodeError:
        raise DataError(undecodable(path)) from None


def _array(path: Path, text: str) -> Iterator[dict[str, Any]]:
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: no valid JSON ({_json_detail(error)}{_place(error)}); give one object a line, or one array of objects"
        ) from None
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            kind = type(record).__name__
            raise DataError(
                f"{path}: row {number} is a {kind}; every row must be an object with named fields"
            )
        yield record


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: line {number} is no valid JSON ({_json_detail(error)}); give one object a line, or one array of objects"
        ) from None
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise DataError(f"{path}: line {number} is a {kind}; every line must be an object with named fields")
    return record


def _json_detail(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "nested too deeply" if isinstance(error, RecursionError) else "a number of too many digits"


def _place(error: Exception) -> str:
    return f", line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""


def open_parquet(path: Path) -> Opened:
    """Open a Parquet file; class names are those that Hugging Face's metadata declare.

    Raises:
        DataError: If the file is no Parquet.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no readable Parquet ({_plain(error)}); {_AGAIN}") from None

    def read(columns: Sequence[str], chunk_rows: int) -> Iterator[Columns]:
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(chunk_rows, columns=list(columns), use_threads=False):
                    yield columns_of(batch, str(path))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: broken Parquet ({_plain(error)}); {_AGAIN}") from None

    return Opened(
        str(path),
        tuple(schema.names),
        read,
        label_names=declared_names(schema.metadata),
        is_indexed=True,
    )


def _plain(error: Exception) -> str:
    return one_line(error).rstrip(".")


def declared_names(metadata: dict[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Return the class names that Hugging Face's Arrow metadata declare, by column.

    >>> declared_names({b"huggingface": b'{"info": {"features": {"y": {"names": ["a", "b"], "_type": '
    ...                 b'"ClassLabel"}}}}'})
    {'y': ('a', 'b')}
    """
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: tuple(map(str, one["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict)
            and isinstance(one := feature.get("feature", feature), dict)  # of a list: of each item
            and one.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
