"""Tables: what was written comes back row by row, and a file changed at random is read whole or refused by one line."""

import csv
import io
import json
import pickle
import random
import shutil
import tempfile
from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pytest
from bounds import COUNT, attempt, bounded, changed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from submillion.data.read import read_rows
from submillion.errors import SubmillionError

N_ROWS = 20
TEXTS = [f'a "text", {i}\nof é lines' if i % 3 else f"text {i}" for i in range(N_ROWS)]
TABLE = {"text": TEXTS, "label": ["ab"[i % 2] for i in range(N_ROWS)]}


def as_csv(table, delimiter=","):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([list(table), *zip(*table.values(), strict=True)])
    return file.getvalue().encode()


def as_json_lines(table):
    return "".join(json.dumps(row) + "\n" for row in rows_of(table)).encode()


def as_json(table):
    return json.dumps(rows_of(table), indent=1).encode()


def as_parquet(table):
    sink = io.BytesIO()
    parquet.write_table(pa.table(table), sink)
    return sink.getvalue()


def as_pickle(table):
    return pickle.dumps(datasets.Dataset.from_dict(table))


def rows_of(table):
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


WRITERS = {
    "rows.csv": as_csv,
    "rows.tsv": lambda table: as_csv(table, "\t"),
    "rows.tab": lambda table: as_csv(table, "\t"),
    "rows.jsonl": as_json_lines,
    "rows.json": as_json,
    "rows.parquet": as_parquet,
    "rows.pkl": as_pickle,
}
# What a CSV of any tool may hold; of surrogates and zero bytes the changed files have their share.
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ROWS = st.lists(st.tuples(CELLS, st.sampled_from(["pos", "neg", "maybe"])), min_size=1, max_size=12)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=COUNT, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_what_was_written_comes_back(name, rows):
    table = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    with tempfile.TemporaryDirectory() as folder, bounded():
        path = Path(folder) / name
        path.write_bytes(WRITERS[name](table))
        kept = [(i, text, label) for i, (text, label) in enumerate(rows) if text.strip()]
        if not kept:
            with pytest.raises(SubmillionError, match="every text is empty"):
                read_rows(path)
            return
        read = read_rows(path)
    assert read.row_numbers == [i for i, _, _ in kept]
    assert [same_lines(text) for text in read.texts] == [same_lines(text) for _, text, _ in kept]
    assert read.labels == [label for _, _, label in kept]
    n_out = len(rows) - len(kept)
    assert any(f"{n_out} row" in note and "empty text left out" in note for note in read.notes) == bool(n_out)


def same_lines(text):
    """Return a text as the reader may give it: white space at its ends off, and every line end the same."""
    return text.strip().replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("name", WRITERS)
def test_a_changed_file_is_read_whole_or_refused(name, tmp_path, capfd):
    draw, path, outcomes = random.Random(name), tmp_path / name, set()
    for _ in range(COUNT):
        content = changed(WRITERS[name](TABLE), draw)
        path.write_bytes(content)
        outcomes.add(read_or_refused(path, content))
    assert outcomes == {True, False}, "it has to go both ways"
    assert "Traceback" not in capfd.readouterr().err


def read_or_refused(path, content):
    """Whether a file is read; a row that is not read has to be told of."""
    both, message = attempt(lambda: (read_rows(path, labels="never"), read_rows(path)), content)
    assert "\n" not in message, content
    if both is None:
        return False
    every, kept = both
    assert every.row_numbers == list(range(len(every.texts))), content
    n_out = len(every.texts) - len(kept.texts)
    assert n_out == 0 or any(f"{n_out} row" in note for note in kept.notes), (content, kept.notes)
    assert len(every.texts) == n_rows_by_another_reader(path, content), content
    return True


def n_rows_by_another_reader(path, content):
    """Return how many rows a file holds by a reader that is not ours."""
    if path.suffix == ".parquet":
        return parquet.ParquetFile(path).metadata.num_rows
    if path.suffix == ".pkl":
        return N_ROWS  # changed bytes are not unpickled, here neither
    # A quote taken out may make whole again what was no UTF-8.
    text = content.decode("utf-8-sig", errors="replace")
    if path.suffix == ".json" or (path.suffix == ".jsonl" and text.lstrip().startswith("[")):
        return len(json.loads(text)) if text.lstrip().startswith("[") else n_lines(text)
    if path.suffix == ".jsonl":
        return n_lines(text)
    delimiter = "," if path.suffix == ".csv" else "\t"
    return len([row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]) - 1


def n_lines(text):
    return sum(bool(line.strip()) for line in io.StringIO(text))


def test_a_changed_folder_of_datasets_is_read_or_refused(tmp_path, capfd):
    whole, draw, outcomes = tmp_path / "whole", random.Random(0), set()
    datasets.Dataset.from_pandas(pd.DataFrame(TABLE)).save_to_disk(str(whole))
    files = sorted(path.relative_to(whole) for path in whole.iterdir())
    for _ in range(COUNT):
        folder = tmp_path / "changed"
        shutil.copytree(whole, folder, dirs_exist_ok=True)
        path = folder / draw.choice(files)
        content = changed(path.read_bytes(), draw)
        path.write_bytes(content)
        rows, message = attempt(lambda folder=folder: read_rows(folder, labels="never"), (path.name, content))
        assert "\n" not in message, content
        outcomes.add(0 if rows is None else len(rows.texts))
    assert outcomes == {0, N_ROWS}
    assert "Traceback" not in capfd.readouterr().err
