"""Write the files of `files/` that no editor writes: other encodings, zero bytes, binary forms, lying headers.

python tests/bad_input/write.py     writes tests/bad_input/files anew, the same bytes each time
"""

import io
import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

FILES = Path(__file__).parent / "files"
ROWS = "text,label\n" + "".join(f"a text {i},{'ab'[i % 2]}\n" for i in range(6))


class _Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Callable[..., object], *arguments: object):
        self.call = (function, arguments)

    def __reduce__(self) -> object:
        return self.call


def pickles() -> dict[str, bytes]:
    """Return pickles that would do harm if anything in them were called."""
    import os

    chain = b"".join(  # getattr(getattr(__import__("os"), "path"), "os") and so on, up to a call of system
        [
            b"\x80\x02cbuiltins\ngetattr\n(cbuiltins\n__import__\n(X\x02\x00\x00\x00ostR",
            b"X\x06\x00\x00\x00systemtR(X\x0a\x00\x00\x00touch pwnedtR.",
        ]
    )
    nested = b"\x80\x02](" + b"".join(b"l2" for _ in range(40)) + b"."
    return {
        "os_system.pkl": pickle.dumps(_Calls(os.system, "touch pwned"), protocol=4),
        "getattr_chain.pkl": chain,
        "memory_bomb.pkl": pickle.dumps(_Calls(bytearray, 1 << 40), protocol=4),
        "doubling.pkl": nested,
        "claims_8_gb.pkl": b"\x80\x04\x8e" + struct.pack("<Q", 8 << 30) + b"abc.",
        "a_list.pkl": pickle.dumps([("a text", "a"), ("another", "b")], protocol=4),
    }


def safetensors(header: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    """Return a safetensors file with this header, and what it says of its length."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def lying_safetensors() -> dict[str, bytes]:
    """Return safetensors files that claim what they do not hold."""
    overlapping = {
        "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "b": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]},
    }
    beyond = {"weight": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
    return {
        "huge_header.safetensors": safetensors(b"{}", length=1 << 62),
        "overlapping.safetensors": safetensors(json.dumps(overlapping).encode(), data=bytes(24)),
        "beyond_the_file.safetensors": safetensors(json.dumps(beyond).encode(), data=bytes(16)),
        "no_json.safetensors": safetensors(b"{{{{"),
        "no_header.safetensors": b"\x01",
    }


def _zip(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _parquet(table: pa.Table, metadata: dict[str, object] | None = None) -> bytes:
    buffer = io.BytesIO()
    if metadata:
        table = table.replace_schema_metadata({b"huggingface": json.dumps(metadata).encode()})
    parquet.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def parquets() -> dict[str, bytes]:
    """Return Parquet files, cut short or of types that hold no text or no label."""
    whole = _parquet(pa.table({"text": ["a", "b"] * 50, "label": ["x", "y"] * 50}))
    names = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["only", "two"]}}}}
    return {
        "truncated.parquet": whole[:-40],
        "damaged_page.parquet": whole[:10] + bytes(30) + whole[40:],
        "bytes_for_text.parquet": _parquet(pa.table({"text": [b"a", b"b"], "label": ["x", "y"]})),
        "lists_for_text.parquet": _parquet(pa.table({"text": [["a"], ["b"]], "label": ["x", "y"]})),
        "dates_for_labels.parquet": _parquet(
            pa.table({"text": ["a", "b"], "label": pa.array([1, 2], pa.timestamp("s"))})
        ),
        "label_past_its_names.parquet": _parquet(pa.table({"text": ["a", "b"], "label": [0, 7]}), names),
        "same_column_twice.parquet": _parquet(
            pa.Table.from_arrays([pa.array(["a", "b"])] * 2, names=["text", "text"])
        ),
    }


def hf_folders() -> dict[str, dict[str, bytes]]:
    """Return saved Hugging Face data sets whose metadata lie, as name -> bytes."""
    buffer = io.BytesIO()
    table = pa.table({"text": ["a", "b"], "label": ["x", "y"]})
    with pa.ipc.new_stream(buffer, table.schema) as stream:
        stream.write_table(table)
    features = {name: {"dtype": "string", "_type": "Value"} for name in table.column_names}
    state = {"_data_files": [{"filename": "data.arrow"}], "_fingerprint": "0", "_format_type": None,
             "_format_columns": None, "_format_kwargs": {}, "_output_all_columns": False, "_split": None}  # fmt: skip
    info = {"features": features, "citation": "", "description": "", "homepage": "", "license": ""}

    def folder(state_: dict[str, object], info_: dict[str, object], arrow: bytes) -> dict[str, bytes]:
        return {
            "state.json": json.dumps(state_).encode(),
            "dataset_info.json": json.dumps(info_).encode(),
            "data.arrow": arrow,
        }

    arrow = buffer.getvalue()
    class_label = {**features, "label": {"_type": "ClassLabel", "names": ["x", "y"]}}
    climbing = {**state, "_data_files": [{"filename": "../../../../../../etc/passwd"}]}
    return {
        "hf_label_type_lies": folder(state, {**info, "features": class_label}, arrow),
        "hf_columns_lie": folder(state, {**info, "features": {"other": features["text"]}}, arrow),
        "hf_path_traversal": folder(climbing, info, arrow),
        "hf_truncated": folder(state, info, arrow[: len(arrow) // 2]),
        "hf_file_missing": folder({**state, "_data_files": [{"filename": "gone.arrow"}]}, info, arrow),
    }


def delimited() -> dict[str, bytes]:
    """Return text files in other encodings, or with bytes that belong in none."""
    return {
        "undecodable.csv": ROWS.replace("text 3", "t\xe9xt 3").encode("latin-1"),
        "utf_16.csv": b"\xff\xfe" + ROWS.encode("utf-16-le"),
        "utf_16_no_mark.csv": ROWS.encode("utf-16-le"),
        "nul_in_header.csv": b"te\0xt,label\na,x\nb,y\n",
        "undecodable.jsonl": b'{"text": "a", "label": "x"}\n{"text": "\xe9", "label": "y"}\n',
        "utf_16.jsonl": b"\xff\xfe" + '{"text": "a", "label": "x"}\n'.encode("utf-16-le"),
        "bytes.yaml": b"seed: \xff\n",
        "nul.yaml": b"seed: 1\0\n",
    }


def main() -> None:
    """Write them all."""
    for make in (pickles, lying_safetensors, parquets, delimited):
        for name, content in make().items():
            (FILES / name).write_bytes(content)
    for name, held in hf_folders().items():
        shutil.rmtree(FILES / name, ignore_errors=True)
        (FILES / name).mkdir()
        for file, content in held.items():
            (FILES / name / file).write_bytes(content)
    (FILES / "zip_bomb.zip").write_bytes(_zip("rows.csv", bytes(20 << 20)))
    (FILES / "zip_named.csv").write_bytes(_zip("rows.csv", bytes(20 << 20)))


if __name__ == "__main__":
    main()
