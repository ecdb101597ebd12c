"""Pickled Hugging Face data sets, read without executing them.

The file is followed as inert data (`pickle_machine`); then the Arrow tables that it describes are rebuilt
from their bytes and checked in full. Every global that it names must be one of those that `datasets` and
`pyarrow` write; any other is refused by name, whether or not it would have been reached.
"""

from pathlib import Path
from typing import Any

from submillion.data.arrow_parts import BrokenTable, name_of, rebuild_table, state_of
from submillion.data.files import declared_names
from submillion.data.pickle_machine import Call, Global, PickleMachine, PickleRefused
from submillion.errors import DataError, one_line

_FEATURES = "datasets.features.features"

# What pickles of `datasets.Dataset` name: nothing here is ever imported or called on the file's behalf.
_EXPECTED: dict[str, frozenset[str]] = {
    "datasets.arrow_dataset": frozenset(["Dataset"]),
    "datasets.dataset_dict": frozenset(["DatasetDict"]),
    "datasets.info": frozenset(
        ["DatasetInfo", "SupervisedKeysData", "PostProcessedInfo", "DownloadChecksumsEntryData"]
    ),
    "datasets.splits": frozenset(["NamedSplit", "Split", "SplitInfo", "SplitDict"]),
    "datasets.utils.version": frozenset(["Version"]),
    "datasets.table": frozenset(["InMemoryTable", "ConcatenationTable", "MemoryMappedTable"]),
    _FEATURES: frozenset(["Features", "Value", "ClassLabel", "Sequence", "List", "LargeList"]),
    "pyarrow.lib": frozenset(
        {
            *("type_for_alias", "list_", "large_list", "struct", "timestamp", "time32", "time64", "duration"),
            *("binary", "decimal128", "dictionary", "field", "schema", "chunked_array", "py_buffer"),
            *("_restore_array", "_reconstruct_table", "_reconstruct_record_batch"),
        }
    ),
    "numpy.core.multiarray": frozenset(["_reconstruct", "scalar"]),
    "numpy._core.multiarray": frozenset(["_reconstruct", "scalar"]),
    "numpy._core.numeric": frozenset(["_frombuffer"]),
    "numpy.core.numeric": frozenset(["_frombuffer"]),
    "numpy": frozenset(["ndarray", "dtype"]),
    "builtins": frozenset(["bytearray", "bytes", "set", "frozenset"]),
    "__builtin__": frozenset(["bytearray", "bytes", "set", "frozenset"]),
    "_codecs": frozenset(["encode"]),
    "collections": frozenset(["OrderedDict"]),
}

_INSTEAD = "Nothing was executed. Save the data as CSV, JSON Lines or Parquet, or with save_to_disk"


def read_pickled_dataset(path: str | Path) -> tuple[Any, dict[str, tuple[str, ...]]]:
    """Read a pickled ``datasets.Dataset`` (pickle protocols 2 to 5) without executing anything in it.

    Args:
        path: The pickle.

    Returns:
        The rows as a ``pyarrow.Table``, in the data set's own order, and the class names of each
        ``ClassLabel`` column.

    Raises:
        DataError: If the file names anything that such a data set does not need, is broken, holds
            something else, or keeps its rows in another file.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}): copy it again. {_INSTEAD}"
        ) from None
    machine = PickleMachine(content)
    failure = root = None
    try:
        root = machine.run()
    except PickleRefused as error:
        failure = str(error)
    _refuse_unexpected(path, machine.globals)
    if failure is not None:
        raise DataError(f"{path}: refused: {failure}. {_INSTEAD}")
    try:
        return _table_and_names(path, root, len(content))
    except BrokenTable as error:
        raise DataError(f"{path}: the pickled data set is broken: {error}. {_INSTEAD}") from None


def _refuse_unexpected(path: Path, named: dict[Global, int]) -> None:
    """Refuse by name whatever is not in the table; a dotted name is never in it."""
    problems = []
    if odd := [f"{g} (byte {at:,})" for g, at in named.items() if g.name not in _EXPECTED.get(g.module, ())]:
        others = f" and {len(odd) - 5} others" if len(odd) > 5 else ""
        problems.append(
            f"the pickle wants to use {', '.join(odd[:5])}{others}, which no pickled datasets.Dataset needs"
        )
    if Global("datasets.table", "MemoryMappedTable") in named:
        problems.append(
            "it holds a datasets.table.MemoryMappedTable: its rows lie in another file on the machine that wrote "
            "it, not in the pickle"
        )
    if problems:
        raise DataError(f"{path}: {'; '.join(problems)}; refused. {_INSTEAD}")


def _table_and_names(path: Path, root: Any, n_bytes: int) -> tuple[Any, dict[str, tuple[str, ...]]]:
    kind = name_of(root)
    if kind == "datasets.dataset_dict.DatasetDict":
        splits = ", ".join(map(str, root.items)) or "none"
        raise DataError(
            f"{path}: the pickle holds a DatasetDict (splits: {splits}); pickle one of its splits"
        )
    if kind != "datasets.arrow_dataset.Dataset" or not isinstance(root.state, dict):
        raise DataError(
            f"{path}: the pickle holds a {kind}, not a datasets.Dataset, and no other pickle is read. {_INSTEAD}"
        )
    table = rebuild_table(root.state.get("_data"), n_bytes)
    if (indices := root.state.get("_indices")) is not None:
        table = _taken(table, rebuild_table(indices, n_bytes), n_bytes)
    names = declared_names(table.schema.metadata)
    names.update(_class_names(root.state.get("_info")))
    return table, {column: found for column, found in names.items() if column in table.column_names}


def _taken(table: Any, indices: Any, n_bytes: int) -> Any:
    """Apply a data set's own selection and order of rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if indices.num_columns != 1 or not pa.types.is_integer(indices.column(0).type):
        raise BrokenTable("its row selection is no column of integers")
    column = indices.column(0)
    if column.null_count or (
        len(column) and not 0 <= pc.min(column).as_py() <= pc.max(column).as_py() < len(table)
    ):
        raise BrokenTable("its row selection points outside the table")
    try:
        return table.take(column)
    except pa.ArrowException as error:
        raise BrokenTable(one_line(error)) from None


def _class_names(info: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of each ClassLabel among the described features."""
    features = state_of(info).get("features")
    if not isinstance(features, Call):
        return {}
    held = features.args[0] if features.args and isinstance(features.args[0], dict) else features.items
    found = {}
    for column, feature in held.items():
        names = state_of(feature).get("names") if name_of(feature) == f"{_FEATURES}.ClassLabel" else None
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            found[column] = tuple(names)
    return found
