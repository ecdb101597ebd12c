"""Rows that are Python values already: DataFrames, mappings and lists."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from submillion.data.columns import LabelNeed, is_missing
from submillion.data.files import in_columns
from submillion.data.opened import Columns, Opened, columns_of
from submillion.data.pairs import as_pair
from submillion.errors import DataError

_FORMS = (
    "a path, a pandas DataFrame, a datasets.Dataset, a dict of lists, a list of (text, label) pairs "
    "(of two texts: ((text, text), label)), or a list of texts"
)


def open_values(source: Any, labels: LabelNeed) -> Opened:
    """Open whatever Python value holds rows.

    Raises:
        DataError: If it is none of the forms that are read.
    """
    module = type(source).__module__.partition(".")[0]
    if module == "datasets":
        from submillion.data.huggingface import one_split, open_dataset

        return open_dataset(one_split(source, None, type(source).__name__), type(source).__name__)
    if module == "pandas" and hasattr(source, "columns"):
        return _open_frame(source)
    if module == "pyarrow" and hasattr(source, "to_batches"):
        return open_table(source, "Table", {})
    if isinstance(source, Mapping):
        return _open_mapping(source)
    if hasattr(source, "tolist"):  # a numpy array or a pandas Series
        source = source.tolist()
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return _open_list(source, labels)
    raise DataError(f"cannot read rows from a {type(source).__name__}; give {_FORMS}")


def open_table(table: Any, name: str, label_names: Mapping[str, tuple[str, ...]]) -> Opened:
    """Open a ``pyarrow.Table``."""

    def read(columns: Sequence[str], chunk_rows: int) -> Iterator[Columns]:
        for batch in table.select(list(columns)).to_batches(max_chunksize=chunk_rows):
            yield columns_of(batch, name)

    return Opened(name, tuple(table.column_names), read, label_names=label_names, is_indexed=True)


def _open_frame(frame: Any) -> Opened:
    if odd := [column for column in frame.columns if not isinstance(column, str)]:
        raise DataError(f"DataFrame: column {odd[0]!r} is no string; name every column")

    def read(columns: Sequence[str], chunk_rows: int) -> Iterator[Columns]:
        for start in range(0, len(frame), chunk_rows):
            piece = frame.iloc[start : start + chunk_rows]
            yield {column: piece[column].tolist() for column in columns}

    return Opened("DataFrame", tuple(frame.columns), read)


def _open_mapping(source: Mapping[Any, Any]) -> Opened:
    if odd := [key for key in source if not isinstance(key, str)]:
        raise DataError(f"dict: column {odd[0]!r} is no string; name every column")
    columns: dict[str, list[Any]] = {}
    for name, values in source.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise DataError(
                f"dict: column {name!r} is a {type(values).__name__}; every column must be a list"
            )
        columns[name] = values.tolist() if hasattr(values, "tolist") else list(values)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name!r} {n:,}" for name, n in lengths.items())
        raise DataError(f"dict: the columns differ in length ({counts} rows); give every column as many rows")
    return _open_columns(columns, "dict")


def _open_list(source: Sequence[Any], labels: LabelNeed) -> Opened:
    if not source:
        raise DataError("list: it holds no rows: give at least one")
    if all(isinstance(item, str) or is_missing(item) for item in source):
        if labels == "required":
            raise DataError("list: it holds texts alone, and labels are needed; give (text, label) pairs")
        return _open_columns({"text": list(source)}, "list", text_hint=("text",))
    if all(isinstance(item, Mapping) for item in source):
        names = tuple(dict.fromkeys(key for item in source for key in item))
        return Opened("list", names, lambda columns, n: in_columns(source, columns, n))
    for row, item in enumerate(source, start=1):
        if isinstance(item, str) or not isinstance(item, Sequence) or len(item) != 2:
            raise DataError(f"list: row {row} is {_short(item)}; give (text, label) pairs, or texts alone")
    columns = {"text": [as_pair(text) for text, _ in source], "label": [label for _, label in source]}
    return _open_columns(columns, "list", text_hint=("text",), label_hint="label")


def _open_columns(
    data: dict[str, list[Any]],
    name: str,
    text_hint: tuple[str, ...] | None = None,
    label_hint: str | None = None,
) -> Opened:
    n_rows = len(next(iter(data.values()), []))

    def read(columns: Sequence[str], chunk_rows: int) -> Iterator[Columns]:
        for start in range(0, n_rows, chunk_rows):
            yield {column: data[column][start : start + chunk_rows] for column in columns}

    return Opened(name, tuple(data), read, text_hint=text_hint, label_hint=label_hint)


def _short(item: Any) -> str:
    text = repr(item)
    return f"{type(item).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
