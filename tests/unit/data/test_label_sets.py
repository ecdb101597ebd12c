"""Several labels a row: how they are written, read, numbered and divided."""

import numpy as np
import pandas
import pytest

from submillion.data import load_splits, read_rows
from submillion.data.label_form import labels_as_trained, labels_in
from submillion.data.multi_label import LabelSet, SeveralLabels, encode_rows
from submillion.errors import ConfigError, DataError

NOTHING = {"problem_type": None, "label_column": None, "label_columns": None, "label_separator": None}
WANTED = [("a", "b"), (), ("b",)]


def found(source, **given):
    return labels_in(source, **(NOTHING | given))


def read(source, **given):
    return read_rows(source, label_column=found(source, **given)).labels


def test_lists_are_found_by_themselves(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"text":"x","labels":["a","b"]}\n{"text":"y","labels":[]}\n{"text":"z","labels":["b"]}\n'
    )
    assert read(str(path)) == WANTED
    frame = pandas.DataFrame({"text": list("xyz"), "labels": [list(row) for row in WANTED]})
    assert read(frame) == WANTED
    frame.to_parquet(tmp_path / "rows.parquet")
    assert read(str(tmp_path / "rows.parquet")) == WANTED
    frame.to_csv(tmp_path / "rows.csv", index=False)  # "['a', 'b']"
    assert read(str(tmp_path / "rows.csv")) == WANTED
    assert isinstance(read(frame)[0], LabelSet)


def test_strings_with_a_separator_and_columns_of_0_and_1(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nx,a | b\ny,\nz,b\n")
    assert read(str(path), label_separator="|") == WANTED
    assert found(str(path)) is None  # one label a row, unless asked
    path.write_text("text,a,comment,b\nx,1,?,1\ny,0,?,0\nz,0.0,?,1.0\n")
    columns = ("a", "b")
    rows = read_rows(str(path), label_column=found(str(path), label_columns=columns), text_columns=["text"])
    assert (rows.labels, rows.label_names) == (WANTED, columns)
    path.write_text("text,a,b\nx,1,2\n")
    with pytest.raises(DataError, match=r"holds \['1', '2'\] in row 1 .*: give 2 values of 0 or 1"):
        read(str(path), label_columns=columns)
    with pytest.raises(DataError, match="there is no label column 'c'"):
        read(str(path), label_columns=("a", "c"))


def test_declared_names_of_lists():
    from datasets import ClassLabel, Dataset, Features, List, Value

    features = Features({"text": Value("string"), "labels": List(ClassLabel(names=["joy", "fear", "awe"]))})
    rows = Dataset.from_dict({"text": ["x", "y"], "labels": [[0, 2], []]}, features=features)
    splits = load_splits(rows, label_column=found(rows))
    assert splits.label_names == ("joy", "fear", "awe")
    assert splits.train.labels.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert splits.is_multi_label


def test_lists_of_0_and_1_are_an_indicator():
    rows = [("x", [1, 0, 1]), ("y", [0, 0, 0]), ("z", [0, 0, 1])]
    splits = load_splits(rows, label_column=found(rows), label_names=["p", "q", "r"])
    assert splits.label_names == ("p", "q", "r")
    assert splits.train.labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    with pytest.raises(DataError, match="holds a label twice in row 1"):
        read([("x", [0, 0]), ("y", [0, 1])])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"problem_type": "single_label_classification", "label_separator": "|"}, "leave one of them out"),
        ({"label_columns": ("a", "b"), "label_column": "c"}, "takes the place of label_column"),
    ],
)
def test_what_does_not_go_together(given, message):
    with pytest.raises(ConfigError, match=message):
        found([("x", "a")], **given)


def test_cells_that_are_no_lists_are_refused():
    with pytest.raises(DataError, match=r"holds 'a' in row 2 .*where lists of labels are read"):
        read([("x", ["a"]), ("y", "a")], problem_type="multi_label_classification")
    with pytest.raises(DataError, match="unknown label 'c' in row 2"):
        encode_rows([LabelSet("a"), LabelSet(("b", "c"))], ("a", "b"), row_numbers=[0, 1])


def test_rows_are_divided_by_their_rarest_label():
    draw = np.random.default_rng(0)
    rows = [
        (
            f"text {i}",
            ["common"] * (i % 3 > 0) + ["rare"] * (i % 20 == 0) + ["half"] * int(draw.random() < 0.5),
        )
        for i in range(1000)
    ]
    splits = load_splits(rows, label_column=found(rows), seed=1)
    assert splits.calibration is None
    shares = splits.validation.labels.sum(axis=0) / splits.train.labels.sum(axis=0)
    assert shares == pytest.approx(1 / 9, rel=0.25)
    again = load_splits(rows[::-1], label_column=found(rows), seed=1)
    assert set(again.validation.texts) == set(splits.validation.texts)
    assert splits.summary()["splits"]["validation"]["rows_per_class"]["rare"] == 5


def test_test_labels_are_never_read_and_later_rows_as_in_training(tmp_path):
    rows = [(f"text {i}", ["a"] * (i % 2) + ["b"] * (i % 3 == 0)) for i in range(12)]
    test = tmp_path / "test.csv"
    test.write_text("text,labels\ntext 1,no list at all\n")
    splits = load_splits(rows, label_column=SeveralLabels(), test=str(test))
    assert splits.n_left_out == 1
    trained = {"label_separator": None, "label_columns": ["a", "b"], "label_column": None}
    assert labels_as_trained(rows, trained, None) == SeveralLabels()
    frame = pandas.DataFrame({"text": ["x"], "a": [1], "b": [0]})
    assert labels_as_trained(frame, trained, None).columns == ["a", "b"]


def test_no_labels_at_all_and_columns_that_are_missing():
    rows = {"text": ["one", "two"], "a": [0, 0], "b": [0, 0]}
    several = SeveralLabels(columns=("a", "b"))
    with pytest.raises(DataError) as caught:
        encode_rows(read_rows(rows, label_column=several).labels, source="x.csv")
    assert str(caught.value) == "x.csv: there are no labels; a classifier needs rows of at least two classes"
    with pytest.raises(DataError) as caught:
        read_rows(rows, label_column=SeveralLabels(columns=("a", "c")))
    assert str(caught.value) == (
        "dict: there is no label column 'c': name those that are there by --label-columns. Columns found: 'text', 'a', 'b'"
    )
