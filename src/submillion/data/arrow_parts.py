"""Arrow tables rebuilt from an inert description of their parts, and checked in full."""

from typing import Any

from submillion.data.pickle_machine import Call, Global
from submillion.errors import one_line

_DEEPEST = 16


class BrokenTable(Exception):
    """What is described is no valid Arrow table."""


def rebuild_table(described: Any, n_bytes: int) -> Any:
    """Return the ``pyarrow.Table`` behind a described table of ``datasets``.

    Args:
        described: An ``InMemoryTable`` or a ``ConcatenationTable`` of such.
        n_bytes: Size of the file; no array may claim more values than its bits.

    Raises:
        BrokenTable: If the description is none of these or its buffers do not bear out what it claims.
    """
    import pyarrow as pa

    _refuse_unfolding(described, 4 * n_bytes)
    try:
        return _any_table(described, n_bytes)
    except (pa.ArrowException, TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise BrokenTable(one_line(error) or type(error).__name__) from None


def state_of(described: Any) -> dict[Any, Any]:
    """Return the state of a described object; empty where it has none."""
    state = described.state if isinstance(described, Call) else None
    return state if isinstance(state, dict) else {}


def name_of(described: Any) -> str:
    """Name what is described: the global that is called, or the kind of value; short, whatever it holds."""
    if isinstance(described, Call) and isinstance(described.function, Global):
        return str(described.function)
    return type(described).__name__


def _refuse_unfolding(described: Any, most: int) -> None:
    """Refuse what holds more than ``most`` values once each shared one is counted wherever it stands.

    A pickle names a shared value in two bytes, so that a few levels of sharing describe more values than a
    reader can visit.

    Raises:
        BrokenTable: Also if a value holds itself.
    """
    sizes: dict[int, int] = {}  # 0 while the parts are being counted
    waiting = [described]
    while waiting:
        value = waiting[-1]
        if sizes.get(id(value)):
            waiting.pop()
            continue
        parts = _parts_of(value)
        if id(value) not in sizes:
            sizes[id(value)] = 0
            if any(sizes.get(id(part)) == 0 for part in parts):
                raise BrokenTable("a part of its table holds itself")
            waiting.extend(part for part in parts if id(part) not in sizes)
            continue
        sizes[id(value)] = 1 + sum(sizes[id(part)] for part in parts)
        if sizes[id(value)] > most:
            raise BrokenTable(f"its parts repeat: they unfold to more than {most:,} values")


def _parts_of(value: Any) -> list[Any]:
    if isinstance(value, Call):
        return [value.args, value.state, value.items]
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _any_table(described: Any, n_bytes: int) -> Any:
    import pyarrow as pa

    kind = name_of(described)
    state = state_of(described)
    if kind == "datasets.table.InMemoryTable":
        return _arrow_table(state.get("table"), n_bytes)
    if kind != "datasets.table.ConcatenationTable":
        raise BrokenTable(f"its table is a {kind}")
    blocks = state.get("blocks")
    if not isinstance(blocks, list) or not blocks or not all(isinstance(row, list) and row for row in blocks):
        raise BrokenTable("its concatenated table has no blocks")
    if any(name_of(block) != "datasets.table.InMemoryTable" for row in blocks for block in row):
        raise BrokenTable("its concatenated table holds something other than tables in memory")
    beside = []
    for row in blocks:
        table = _any_table(row[0], n_bytes)
        for block in row[1:]:
            more = _any_table(block, n_bytes)
            for name, column in zip(more.column_names, more.columns, strict=True):
                table = table.append_column(name, column)
        beside.append(table)
    if state.get("schema") is not None:
        beside.append(_schema(state["schema"]).empty_table())
    whole = pa.concat_tables(beside, promote_options="default")
    # One block named a million times costs the file little and the reader much.
    if whole.nbytes > 16 * n_bytes or len(whole) > 8 * n_bytes:
        raise BrokenTable(f"its blocks repeat: {whole.nbytes:,} bytes in a file of {n_bytes:,}")
    return whole


def _arrow_table(described: Any, n_bytes: int) -> Any:
    import pyarrow as pa

    columns, schema = _args(described, "pyarrow.lib._reconstruct_table", 2)
    arrays = [_column(column, n_bytes) for column in columns]
    table = pa.Table.from_arrays(arrays, schema=_schema(schema))
    if table.num_rows > 8 * n_bytes:
        raise BrokenTable(f"it claims {table.num_rows:,} rows in a file of {n_bytes:,} bytes")
    return table


def _column(described: Any, n_bytes: int) -> Any:
    import pyarrow as pa

    chunks, kind = _args(described, "pyarrow.lib.chunked_array", 2)
    kind = _type(kind)
    arrays = []
    for chunk in chunks:
        (data,) = _args(chunk, "pyarrow.lib._restore_array", 1)
        array = _array(data, n_bytes, 0)
        # Before anything looks at the values: offsets may point outside the buffers.
        array.validate(full=True)
        arrays.append(array)
    return pa.chunked_array(arrays, type=kind)


def _array(data: Any, n_bytes: int, depth: int) -> Any:
    """Rebuild one array of (type, length, null count, offset, buffers, children, dictionary)."""
    import pyarrow as pa

    if depth > _DEEPEST:
        raise BrokenTable("its arrays are nested too deeply")
    if not isinstance(data, tuple) or len(data) != 7:
        raise BrokenTable("one of its arrays is not described by seven parts")
    kind, length, _, offset, buffers, children, dictionary = data
    for what, count in (("values", length), ("values left out", offset)):
        if type(count) is not int or not 0 <= count <= 8 * n_bytes:
            claimed = f"{count:,}" if type(count) is int else f"a {name_of(count)} of"
            raise BrokenTable(f"an array claims {claimed} {what} in a file of {n_bytes:,} bytes")
    kind = _type(kind)
    held = [None if buffer is None else pa.py_buffer(_bytes(buffer)) for buffer in buffers]
    below = [_array(child, n_bytes, depth + 1) for child in children]
    if pa.types.is_dictionary(kind):
        values = _array(dictionary, n_bytes, depth + 1)
        values.validate(full=True)
        # null_count -1: counted anew from the bits, whatever the file claims.
        codes = pa.Array.from_buffers(kind.index_type, length, held, -1, offset)
        codes.validate(full=True)
        return pa.DictionaryArray.from_arrays(codes, values, ordered=kind.ordered)
    return pa.Array.from_buffers(kind, length, held, -1, offset, below)


def _bytes(described: Any) -> bytes:
    """Return the content of a described buffer, in any of the forms that protocols 2 to 5 use."""
    (content,) = _args(described, "pyarrow.lib.py_buffer", 1)
    if isinstance(content, Call) and name_of(content) in ("builtins.bytearray", "__builtin__.bytearray"):
        content = content.args[0] if content.args else b""
    if not isinstance(content, bytes | bytearray):
        raise BrokenTable(f"a buffer is a {name_of(content)}, not bytes")
    return bytes(content)


def _schema(described: Any) -> Any:
    import pyarrow as pa

    fields, metadata = _args(described, "pyarrow.lib.schema", 2)
    return pa.schema([_field(field) for field in fields], metadata=_metadata(metadata))


def _field(described: Any, depth: int = 0) -> Any:
    import pyarrow as pa

    name, kind, nullable, metadata = _args(described, "pyarrow.lib.field", 4)
    return pa.field(name, _type(kind, depth), nullable=nullable is True, metadata=_metadata(metadata))


def _metadata(described: Any) -> dict[bytes, bytes] | None:
    if not isinstance(described, dict):
        return None
    return {k: v for k, v in described.items() if isinstance(k, bytes) and isinstance(v, bytes)}


def _type(described: Any, depth: int = 0) -> Any:
    """Return the Arrow type that is described; only types whose arguments are plain."""
    import pyarrow as pa

    if depth > _DEEPEST:
        raise BrokenTable("its types are nested too deeply")
    kind = name_of(described)
    args = described.args if isinstance(described, Call) else ()
    plain = {
        "timestamp": pa.timestamp,
        "time32": pa.time32,
        "time64": pa.time64,
        "duration": pa.duration,
        "binary": pa.binary,
        "decimal128": pa.decimal128,
    }
    name = kind.removeprefix("pyarrow.lib.")
    if kind == "pyarrow.lib.type_for_alias" and len(args) == 1 and isinstance(args[0], str):
        return pa.type_for_alias(args[0])
    if name in plain and all(isinstance(arg, str | int | None) for arg in args):
        return plain[name](*args)
    if name in ("list_", "large_list") and args:
        inner = args[0]
        value = _field(inner, depth + 1) if name_of(inner) == "pyarrow.lib.field" else _type(inner, depth + 1)
        if name == "large_list":
            return pa.large_list(value)
        return pa.list_(value, *[size for size in args[1:] if isinstance(size, int)])
    if name == "struct" and len(args) == 1:
        return pa.struct([_field(field, depth + 1) for field in args[0]])
    if name == "dictionary" and len(args) == 3:
        return pa.dictionary(_type(args[0], depth + 1), _type(args[1], depth + 1), ordered=args[2] is True)
    raise BrokenTable(f"a column has a type that is not read: {kind}")


def _args(described: Any, name: str, n_args: int) -> tuple[Any, ...]:
    """Return the arguments of a described call, after checking what it calls."""
    if name_of(described) != name or not isinstance(described, Call):
        raise BrokenTable(f"{name} is expected where it has {name_of(described)}")
    if len(described.args) != n_args:
        raise BrokenTable(f"{name} has {len(described.args)} arguments, not {n_args}")
    return described.args
