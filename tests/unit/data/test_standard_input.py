"""Standard input: read once, in whatever form, and called by its name."""

import io
import sys

import pyarrow
import pytest
from pyarrow import parquet

from submillion.data import read_rows, stream_rows
from submillion.data.read import columns_present, read_columns
from submillion.data.standard_input import sniffed
from submillion.errors import ConfigError, DataError
from submillion.training.prepare import Sources

CSV = b"text,label,country\ngood film,pos,fr\nbad film,neg,de\n"


class Pipe(io.RawIOBase):
    """Bytes that come once, a few at a time."""

    def __init__(self, content: bytes):
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self.content.readinto(memoryview(buffer)[:7])


@pytest.fixture
def piped(monkeypatch):
    def pipe(content: bytes) -> None:
        monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe(content)), encoding="ascii")
        )

    return pipe


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": ["good film", "bad film"], "label": ["pos", "neg"]}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        CSV.replace(b",", b"\t"),
        b'{"text": "good film", "label": "pos"}\n{"text": "bad film", "label": "neg"}\n',
        b'\n[{"text": "good film", "label": "pos"}, {"text": "bad film", "label": "neg"}]',
        b"text\tlabel\nstring\td\nmeta\tclass\ngood film\tpos\nbad film\tneg\n",
        parquet_bytes(),
    ],
    ids=["csv", "tsv", "jsonl", "json", "tab", "parquet"],
)
def test_any_form_is_known_by_its_first_bytes(piped, content):
    piped(content)
    rows = read_rows("-")
    assert (rows.texts, rows.labels, rows.source) == (["good film", "bad film"], ["pos", "neg"], "<stdin>")


def test_it_is_read_once_and_may_be_asked_for_again(piped):
    piped(CSV)
    assert read_rows("-").texts == read_rows("-").texts
    assert [rows.texts for rows in stream_rows("-", chunk_rows=1)] == [["good film"], ["bad film"]]
    assert read_columns("-", ["country"]) == {"country": ["fr", "de"]}
    assert columns_present("-", ["text"], "label") == (["text"], "label")
    piped(b"text,label\nother,pos\n")
    assert read_rows("-").texts == ["other"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "<stdin>: the file is empty; it needs a header line with column names, then rows"),
        (b"a,b\n1,2\n", "<stdin>: no column has a usual name for the label"),
        (b"text,label\na,b,c\n", "<stdin>: row 1 (rows are counted from 1, below any header) has 3 fields"),
        (b"text,label\n\xff,b\n", "<stdin>: not UTF-8: byte 11"),
        (b'{"text": 1,\n', "<stdin>: line 1 is no valid JSON"),
    ],
)
def test_errors_call_it_by_its_name(piped, content, message):
    piped(content)
    with pytest.raises(DataError) as caught:
        read_rows("-")
    assert str(caught.value).startswith(message)


def test_a_terminal_is_no_data(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    with pytest.raises(DataError, match="<stdin>: nothing is piped in"):
        read_rows("-")


def test_a_comma_file_may_hold_tabs_and_a_tab_file_orange_like_words():
    assert sniffed(b"text,label\na\tb,c\n") == ".csv"
    assert sniffed(b"text\tlabel\nd\tgood\n") == ".tsv"


def test_two_splits_cannot_both_be_piped():
    with pytest.raises(ConfigError) as caught:
        Sources("-", test="-")
    assert str(caught.value) == (
        "train and test are both '-': standard input holds one set of rows; name files for the others"
    )
    assert Sources("-", test="t.csv").described()["train"] == "<stdin>"
