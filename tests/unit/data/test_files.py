import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from submillion.data import read_rows, stream_rows
from submillion.errors import DataError


def refused(path, **kwargs):
    with pytest.raises(DataError) as caught:
        read_rows(path, **kwargs)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines(write, name):
    lines = [
        '{"text": "2020-01-01", "label": 1}',
        "",
        '{"label": 0, "text": "null"}',
        '{"label": 1, "text": null}',
    ]
    rows = read_rows(write(name, "\n".join(lines)))
    assert (rows.texts, rows.labels, rows.row_numbers) == (["2020-01-01", "null"], [1, 0], [0, 1])
    assert rows.notes[0].endswith("1 row with an empty text left out (row 3).")


def test_json_array(write):
    rows = read_rows(
        write("a.json", json.dumps([{"text": "a", "label": "x"}, {"text": "b", "label": "y"}], indent=1))
    )
    assert (rows.texts, rows.labels) == (["a", "b"], ["x", "y"])


def test_json_lines_in_pieces(write):
    path = write("a.jsonl", "".join(json.dumps({"text": str(i)}) + "\n" for i in range(10)))
    assert [len(rows.texts) for rows in stream_rows(path, labels="never", chunk_rows=4)] == [4, 4, 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", "the file holds no rows; give one JSON object a line, with a text and a label"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "line 2 is no valid JSON (Expecting value); give one object a line, "
                                                  "or one array of objects"),
        ("a.jsonl", '{"text": "a"}\n[1]\n', "line 2 is a list; every line must be an object with named fields"),
        ("a.json", "[1, 2]", "row 1 is a int; every row must be an object with named fields"),
        ("a.json", "[1, ", "no valid JSON (Expecting value, line 1, column 5); give one object a line, or one array of objects"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', "not UTF-8: byte 24 (0xff, line 2) cannot be decoded; the "
                                                          "file is in another encoding. Save it as UTF-8, for example "
                                                          "with iconv"),
        ("a.jsonl", '{"text": "a", "labels": [0, 2]}', "label column 'labels' holds several labels a row (row 1 (rows "
                                                       "are counted from 1, below any header)): a multi-label task, "
                                                       "and one label a row is read. Train with "
                                                       "problem_type=multi_label_classification, or name a "
                                                       "column with one label by --label-column"),
        ("a.jsonl", '{"text": "a", "label": 0.5}', "label column 'label' holds numbers that are no integers (row 1 "
                                                   "(rows are counted from 1, below any header)): a regression task, "
                                                   "and only classification is done. Put the numbers into classes "
                                                   "(low, medium, high), or name another column with --label-column"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}', "label column 'label' is empty in row 2 (rows are "
                                                                  "counted from 1, below any header); give every row "
                                                                  "a label, or leave these rows out of the file"),
        ("a.parquet", "no parquet", None),
        ("a.txt", "a", "files ending in '.txt' are not read; give one ending in .csv, .tsv, .tab, .jsonl, .ndjson, "
                       ".json, .parquet, .pkl, .pickle"),
    ],
)  # fmt: skip
def test_bad_files(write, name, content, message):
    found = refused(write(name, content))
    assert found == message or (message is None and found.startswith("no readable Parquet ("))
    assert "\n" not in found


def test_a_missing_file():
    assert (
        refused("nowhere/a.csv")
        == "no such file or folder (for a data set on the hub write hub:nowhere/a.csv)"
    )


def test_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": ["a", None, "NA"], "label": [1, 0, 2], "more": [[1], [2], [3]]})
    pq.write_table(table, path, row_group_size=2)
    rows = read_rows(path)
    assert (rows.texts, rows.labels, rows.row_numbers) == (["a", "NA"], [1, 2], [0, 2])
    assert [len(r.texts) for r in stream_rows(path, labels="never", chunk_rows=1)] == [1, 1, 1]


def test_parquet_with_class_names(tmp_path):
    path = tmp_path / "a.parquet"
    features = Features({"text": Value("string"), "label": ClassLabel(names=["z", "a"])})
    Dataset.from_dict({"text": ["t", "u"], "label": [1, 0]}, features=features).to_parquet(path)
    rows = read_rows(path)
    assert (rows.labels, rows.label_names, rows.label_values) == (["a", "z"], ("z", "a"), (0, 1))


def test_parquet_cut_short(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a" * 1000], "label": [1]}), path)
    path.write_bytes(path.read_bytes()[:-40])
    assert refused(path).startswith("no readable Parquet (")
