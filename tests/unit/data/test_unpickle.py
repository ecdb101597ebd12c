"""Pickled data sets: real ones come out as they are, malicious ones are refused and nothing runs."""

import os
import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, concatenate_datasets, load_from_disk
from datasets.table import InMemoryTable

from submillion.data import read_rows
from submillion.data.arrow_parts import BrokenTable, rebuild_table
from submillion.data.unpickle import read_pickled_dataset
from submillion.errors import DataError

FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["z", "a"])})
LABELLED = Dataset.from_dict({"text": ["a", "b", None, "é"], "label": [0, 1, 1, 0]}, features=FEATURES)
REAL = {
    "labelled": LABELLED,
    "without labels": Dataset.from_dict({"text": ["a", "b"]}),
    "with a split": Dataset.from_dict({"text": ["a"]}, split="test"),
    "select": LABELLED.select([3, 0, 0]),
    "select a range": LABELLED.select(range(1, 3)),
    "shuffle": LABELLED.shuffle(seed=5),
    "shuffle twice": LABELLED.shuffle(seed=5).select([2, 1]),
    "concatenated": concatenate_datasets([LABELLED, LABELLED.select([1, 0])]),
    "side by side": concatenate_datasets([LABELLED, Dataset.from_dict({"n": [1.5, 2, 3, 4]})], axis=1),
    "renamed": LABELLED.rename_column("text", "sentence"),
    "column added": LABELLED.add_column("n", [1, 2, 3, 4]),
    "formatted": LABELLED.with_format("numpy"),
    "nested": Dataset.from_dict({"text": ["a"], "l": [[1, 2]], "s": [{"x": 1, "y": ["b"]}]}),
    "from pandas": Dataset.from_pandas(pd.DataFrame({"text": ["a", "b"], "x": [1.5, None]})),
    "empty": LABELLED.select([]),
}


def save(path: Path, value, protocol: int = 5) -> Path:
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol=protocol))
    return path


@pytest.fixture
def pickled(tmp_path):
    return lambda value, protocol=5: save(tmp_path / "data.pkl", value, protocol)


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_pickled_dataset(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", REAL)
def test_a_real_data_set_comes_out_as_it_is(pickled, name, protocol):
    table, names = read_pickled_dataset(pickled(REAL[name], protocol))
    assert table.to_pydict() == REAL[name].with_format(None).to_dict()
    assert names == ({"label": ("z", "a")} if "label" in REAL[name].column_names else {})


def test_8000_rows_and_their_order(pickled):
    texts = [f"row {i}" for i in range(8000)]
    path = pickled(Dataset.from_dict({"text": texts}).shuffle(seed=1))
    rows = read_rows(path, labels="never")
    assert sorted(rows.texts) == sorted(texts)
    assert rows.texts == Dataset.from_dict({"text": texts}).shuffle(seed=1)["text"][:]


def test_read_rows_gives_class_names(pickled):
    rows = read_rows(pickled(LABELLED))
    assert (rows.texts, rows.labels) == (["a", "b", "é"], ["z", "a", "z"])
    assert (rows.label_names, rows.label_values) == (("z", "a"), (0, 1))
    assert rows.notes[0].endswith("data.pkl: 1 row with an empty text left out (row 3).")


def test_class_names_come_from_the_features(pickled):
    dataset = LABELLED.select(range(4))
    dataset._data = InMemoryTable(dataset._data.table.replace_schema_metadata(None))
    assert read_pickled_dataset(pickled(dataset))[1] == {"label": ("z", "a")}


def test_the_state_that_older_versions_wrote(pickled, monkeypatch):
    """Before 5.x a table kept its batches and offsets (a numpy array) in its state."""
    monkeypatch.setattr(InMemoryTable, "__getstate__", lambda self: self.__dict__)
    content = pickle.dumps(LABELLED)
    monkeypatch.undo()
    assert b"_reconstruct_record_batch" in content
    assert b"multiarray" in content
    table, _ = read_pickled_dataset(pickled(content))
    assert table.to_pydict() == LABELLED.to_dict()


def test_a_table_in_another_file_is_refused(pickled, tmp_path):
    LABELLED.save_to_disk(tmp_path / "d")
    message = refused(pickled(load_from_disk(tmp_path / "d")))
    assert message == (
        "it holds a datasets.table.MemoryMappedTable: its rows lie in another file on the machine that wrote it, not "
        "in the pickle; refused. Nothing was executed. Save the data as CSV, JSON Lines or Parquet, or with save_to_disk"
    )


class Reduced:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def global_call(module: str, name: str, argument: str, opcode: str = "stack") -> bytes:
    """A pickle of protocol 4 that calls ``module.name(argument)``."""
    if opcode == "stack":
        named = b"".join(b"\x8c" + bytes([len(s)]) + s.encode() for s in (module, name)) + b"\x93"
    else:
        named = f"c{module}\n{name}\n".encode()
    text = argument.encode()
    return b"\x80\x04" + named + b"X" + struct.pack("<I", len(text)) + text + b"\x85R."


@pytest.fixture
def marker(tmp_path):
    """A file that must not come to be."""
    path = tmp_path / "it-ran"
    yield path
    assert not path.exists(), "code from a pickle ran"


def malicious(marker: Path) -> dict[str, bytes]:
    shell = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    state = {"_data": Reduced(os.system, shell), "_info": None}
    inside = LABELLED.select(range(4))
    inside._fingerprint = Reduced(os.system, shell)
    in_features = LABELLED.select(range(4))
    in_features._format_kwargs = {"x": [({"y": Reduced(eval, code)},)]}
    return {
        "os.system": pickle.dumps(Reduced(os.system, shell)),
        "os.system in protocol 0": pickle.dumps(Reduced(os.system, shell), protocol=0),
        "eval": pickle.dumps(Reduced(eval, code)),
        "exec": pickle.dumps(Reduced(exec, code)),
        "nested": pickle.dumps(Reduced(list, [Reduced(tuple, [Reduced(os.system, shell)])])),
        "in a state": pickle.dumps({"state": state}),
        "in a real data set": pickle.dumps(inside),
        "deep in a real data set": pickle.dumps(in_features),
        "dotted": global_call("datasets.arrow_dataset", "os.system", shell),
        "dotted GLOBAL": global_call("datasets.arrow_dataset", "os.system", shell, "global"),
        "dotted class": global_call("datasets.arrow_dataset", "Dataset.__init__.__globals__", shell),
        "dotted method": global_call("datasets.table", "InMemoryTable.from_file", shell),
        "looks allowed": global_call("datasets.load", "load_dataset", shell),
        "module looks allowed": global_call("datasets.arrow_dataset", "json", shell),
        "pyarrow file": global_call("pyarrow.lib", "OSFile", shell),
        "import": pickle.dumps(Reduced(__import__, "os")),
        "getattr": pickle.dumps(Reduced(getattr, LABELLED, "to_csv")),
        "copyreg": global_call("copyreg", "__newobj__", shell),
        "numpy": global_call("numpy", "load", shell),
        "codecs": global_call("_codecs", "lookup", shell),
        "INST": b"(S'" + shell.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"\x80\x02(cos\nsystem\nX" + struct.pack("<I", len(shell)) + shell.encode() + b"o.",
        "extension": b"\x80\x02\x82\x01)R.",
        "persistent": b"\x80\x02X\x01\x00\x00\x00aQ.",
        "out of band": b"\x80\x05\x97.",
    }


@pytest.mark.parametrize("name", malicious(Path("x")))
def test_nothing_runs(tmp_path, marker, name):
    message = refused(save(tmp_path / "data.pkl", malicious(marker)[name]))
    assert "Nothing was executed." in message


@pytest.mark.parametrize("name", ["os.system", "eval", "in a real data set"])
def test_these_would_have_run(tmp_path, name):
    """The proof above proves something only if the standard library runs the same bytes."""
    path = tmp_path / "it-ran"
    pickle.loads(malicious(path)[name])
    assert path.exists()


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("os.system", "posix.system (byte 28)"),
        ("eval", "builtins.eval (byte 29)"),
        ("nested", "posix.system (byte"),
        ("in a real data set", "posix.system (byte"),
        ("deep in a real data set", "builtins.eval (byte"),
        ("dotted", "datasets.arrow_dataset.os.system (byte 37)"),
        ("dotted class", "datasets.arrow_dataset.Dataset.__init__.__globals__ (byte"),
        ("dotted method", "datasets.table.InMemoryTable.from_file (byte"),
        ("looks allowed", "datasets.load.load_dataset (byte"),
        ("copyreg", "copyreg.__newobj__ (byte"),
    ],
)
def test_what_is_refused_is_named(tmp_path, name, named):
    message = refused(save(tmp_path / "data.pkl", malicious(tmp_path / "m")[name]))
    assert message.startswith("the pickle wants to use ")
    assert named in message
    assert "which no pickled datasets.Dataset needs; refused. Nothing was executed." in message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("INST", "it uses opcode STRING at byte 1, which no data set needs"),
        ("OBJ", "the pickle wants to use os.system (byte 3), which no pickled datasets.Dataset needs"),
        ("extension", "it uses opcode EXT1 at byte 2, which no data set needs"),
        ("persistent", "it uses opcode BINPERSID at byte 8, which no data set needs"),
        ("out of band", "it uses opcode NEXT_BUFFER at byte 2, which no data set needs"),
    ],
)
def test_opcodes_that_no_data_set_needs(tmp_path, name, message):
    assert message in refused(save(tmp_path / "data.pkl", malicious(tmp_path / "m")[name]))


@pytest.mark.parametrize(
    ("value", "start"),
    [
        ({"text": ["a"]}, "the pickle holds a dict, not a datasets.Dataset, and no other pickle is read."),
        (["a"], "the pickle holds a list, not a datasets.Dataset"),
        (FEATURES, "the pickle holds a datasets.features.features.Features, not a datasets.Dataset"),
        (
            DatasetDict({"train": LABELLED}),
            "the pickle holds a DatasetDict (splits: train); pickle one of its splits",
        ),
        (pd.DataFrame({"text": ["a"]}), "the pickle wants to use pandas."),
        (b"", "refused: the file is truncated or no pickle"),
        (b"text,label\na,b\n", "refused: the file is truncated or no pickle"),
        (b"\x80\x04.", "refused: the file is truncated or no pickle"),
        (b"\x80\x04(.", "refused: the file is broken: a mark stands where a value belongs"),
        (b"\x80\x04}]K\x01s.", "refused: it has a list as a key"),
        (b"\x80\x04K\x01K\x02a.", "refused: it wants to append to a int"),
        (b"\x80\x04K\x01}b.", "refused: it wants to set the state of a int"),
        (b"\x80\x04r\xff\xff\xff\xff.", "refused: the file is truncated or no pickle"),
    ],
    ids=repr,
)
def test_other_pickles(pickled, value, start):
    assert refused(pickled(value)).startswith(start)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(pickled, share):
    content = pickle.dumps(LABELLED)
    message = refused(pickled(content[: int(len(content) * share)]))
    assert message.startswith("refused: the file is truncated")


@pytest.mark.parametrize("opcode", [b"\x8e", b"\x96", b"\x8d", b"\x95"])
def test_an_oversize_claim_takes_no_memory(pickled, opcode):
    refused(pickled(b"\x80\x05" + opcode + struct.pack("<Q", 1 << 60) + b"abc."))


class FakeTable:
    """An Arrow table whose one array claims something else than it holds."""

    def __init__(
        self,
        *,
        length=2,
        offset=0,
        kind="string",
        buffers=(None, b"\0\0\0\0\1\0\0\0\2\0\0\0", b"ab"),
        children=(),
    ):
        self.data = (
            pa.type_for_alias(kind),
            length,
            0,
            offset,
            [b and pa.py_buffer(b) for b in buffers],
            list(children),
            None,
        )

    def __reduce__(self):
        array = Reduced(pa.lib._restore_array, self.data)
        column = Reduced(pa.lib.chunked_array, [array], self.data[0])
        return pa.lib._reconstruct_table, ([column], pa.schema([pa.field("text", self.data[0])]))


def fake(**kwargs) -> bytes:
    dataset = Dataset.from_dict({"text": ["a"]})
    dataset._data.table = FakeTable(**kwargs)
    return pickle.dumps(dataset)


def test_the_fake_is_real_where_it_tells_the_truth(pickled):
    assert read_pickled_dataset(pickled(fake()))[0].to_pydict() == {"text": ["a", "b"]}


@pytest.mark.parametrize(
    "lie",
    [
        {"length": 3},
        {"length": 1 << 62},
        {"length": -1},
        {"length": True},
        {"length": "2"},
        {"offset": 1},
        {"offset": -1},
        {"offset": (1 << 63) - 1},
        {"offset": 1 << 70},
        {"kind": "int64"},
        {"kind": "binary_view"},
        {"kind": "large_string"},
        {"buffers": (None, b"\0\0\0\0\1\0\0\0\2\0\0\0", b"a")},
        {"buffers": (None, b"\0\0\0\0\xff\xff\xff\x7f\2\0\0\0", b"ab")},
        {"buffers": (None, b"\0\0\0\0\xff\xff\xff\xff\2\0\0\0", b"ab")},
        {"buffers": (None, None, None)},
        {"buffers": ()},
        {"buffers": (None, b"\0\0\0\0\1\0\0\0\2\0\0\0", b"\xff\xfe")},
        {"kind": "null", "buffers": (None,), "length": 1 << 40},
    ],
    ids=str,
)
def test_arrays_that_claim_what_they_do_not_hold(pickled, lie):
    assert refused(pickled(fake(**lie))).startswith("the pickled data set is broken: ")


@pytest.mark.parametrize("row", [4, -1, 1 << 40])
def test_a_selection_outside_the_table(pickled, row):
    dataset = LABELLED.select([1, 0])
    dataset._indices = InMemoryTable(pa.table({"indices": pa.array([row, 0], pa.int64())}))
    message = refused(pickled(dataset))
    assert message.startswith("the pickled data set is broken: its row selection points outside the table")


def test_blocks_that_repeat_without_end(pickled):
    block = InMemoryTable(pa.table({"text": ["x" * 10_000]}))
    dataset = concatenate_datasets([LABELLED, LABELLED])
    dataset._data.blocks = [[block]] * 100
    dataset._data.table = block.table
    assert "its blocks repeat" in refused(pickled(dataset))


def test_types_that_share_their_parts_do_not_unfold_without_end(pickled):
    """Fourteen levels of a struct whose twelve fields are one object: 12 ** 14 values in a kilobyte."""
    described = b"cpyarrow.lib\ntype_for_alias\nX\x05\0\0\0int64\x85R"
    for level in range(14):
        kept, again = b"q" + bytes([level]), b"h" + bytes([level])
        field = b"cpyarrow.lib\nfield\n(X\x01\0\0\0x" + described + b"\x88NtR" + kept
        described = b"cpyarrow.lib\nstruct\n(" + field + again * 11 + b"l\x85R"
    table = (
        b"cpyarrow.lib\n_reconstruct_table\ncpyarrow.lib\nchunked_array\n]" + described + b"\x86R\x85N\x86R"
    )
    held = b"cdatasets.table\nInMemoryTable\n)\x81}X\x05\0\0\0table" + table + b"sb"
    content = b"\x80\x02cdatasets.arrow_dataset\nDataset\n)\x81}X\x05\0\0\0_data" + held + b"sb."
    assert len(content) < 2_000
    started = time.perf_counter()
    message = refused(pickled(content))
    assert time.perf_counter() - started < 2
    assert message.startswith("the pickled data set is broken: its parts repeat: they unfold to more than ")


def test_a_long_list_that_stands_in_many_places_is_counted_once():
    long = [0] * 30_000
    started = time.perf_counter()
    with pytest.raises(BrokenTable, match="its parts repeat"):
        rebuild_table([long] * 30_000, 100_000)
    assert time.perf_counter() - started < 2


def test_a_table_that_holds_itself(pickled):
    held = b"cdatasets.table\nInMemoryTable\n)\x81q\0}X\x05\0\0\0tableh\0sb"
    content = b"\x80\x02cdatasets.arrow_dataset\nDataset\n)\x81}X\x05\0\0\0_data" + held + b"sb."
    assert "a part of its table holds itself" in refused(pickled(content))


def nested_calls() -> bytes:
    """Opcodes of a call of a call of a call ... of an empty tuple: too deep for str() and repr()."""
    return b")" + b")R" * 100_000


def test_calls_nested_too_deeply_to_be_named(pickled):
    started = time.perf_counter()
    for content in (b"\x80\x02)" + b"\x85" * 100_000 + b")R.", b"\x80\x02" + nested_calls() + b"."):
        assert refused(pickled(content)).startswith("the pickle holds a Call, not a datasets.Dataset")
    claim = fake(length="2").replace(b"\x8c\x012\x94", nested_calls() + b"\x94")
    assert "an array claims a Call of values" in refused(pickled(claim))
    assert time.perf_counter() - started < 10


def test_bytes_changed_at_random_never_do_harm(pickled):
    """Flips in real files: each gives a clear refusal or a table that holds together."""
    rng = np.random.default_rng(0)
    for protocol in (2, 4, 5):
        content = pickle.dumps(REAL["concatenated"], protocol=protocol)
        for _ in range(150):
            changed = bytearray(content)
            for at in rng.integers(0, len(content), rng.integers(1, 4)):
                changed[at] = rng.integers(0, 256)
            try:
                table, _ = read_pickled_dataset(pickled(bytes(changed)))
            except DataError:
                continue
            table.validate(full=True)
