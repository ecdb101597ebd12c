import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from submillion.data import read_rows
from submillion.errors import DataError

PAIRS = [("a", "x"), ("b", "y")]


@pytest.mark.parametrize(
    "source",
    [
        PAIRS,
        tuple(PAIRS),
        {"text": ["a", "b"], "label": ["x", "y"]},
        {"text": np.array(["a", "b"]), "label": pd.Series(["x", "y"])},
        pd.DataFrame(PAIRS, columns=["sentence", "Class"], index=[7, 7]),
        pd.DataFrame({"text": ["a", "b"], "label": pd.Categorical(["x", "y"])}),
        [{"text": "a", "label": "x"}, {"label": "y", "text": "b"}],
        pa.table({"text": ["a", "b"], "label": ["x", "y"]}),
    ],
    ids=lambda source: type(source).__name__,
)
def test_labelled_values(source):
    rows = read_rows(source)
    assert (rows.texts, rows.labels, rows.row_numbers) == (["a", "b"], ["x", "y"], [0, 1])


@pytest.mark.parametrize(
    "source", [["a", None], np.array(["a", ""]), pd.Series(["a", None]), {"text": ["a", " "]}]
)
def test_texts_alone(source):
    rows = read_rows(source, labels="optional")
    assert (rows.texts, rows.labels) == (["a", ""], None)


def test_integers_of_any_kind_stay_integers():
    assert read_rows(pd.DataFrame({"text": ["a", "b"], "label": [1.0, 0.0]})).labels == [1, 0]
    assert read_rows([("a", np.int64(3)), ("b", True)]).labels == [3, "True"]


def test_nulls_in_a_frame():
    frame = pd.DataFrame({"text": ["a", None, pd.NA], "label": pd.array([1, None, 2], dtype="Int64")})
    rows = read_rows(frame)
    assert (rows.texts, rows.labels) == (["a"], [1])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "list: it holds no rows: give at least one"),
        (["a", "b"], "list: it holds texts alone, and labels are needed; give (text, label) pairs"),
        ([("a", "x"), ("b",)], "list: row 2 is tuple ('b',); give (text, label) pairs, or texts alone"),
        ([("a", "x"), "b"], "list: row 2 is str 'b'; give (text, label) pairs, or texts alone"),
        (7, "cannot read rows from a int; give a path, a pandas DataFrame, a datasets.Dataset, a dict of lists, a list "
            "of (text, label) pairs (of two texts: ((text, text), label)), or a list of texts"),
        ({"text": ["a"], "label": [1, 2]}, "dict: the columns differ in length ('text' 1, 'label' 2 rows); give every "
                                           "column as many rows"),
        ({"text": "abc", "label": "d"}, "dict: column 'text' is a str; every column must be a list"),
        ({1: ["a"]}, "dict: column 1 is no string; name every column"),
        (pd.DataFrame({0: ["a"]}), "DataFrame: column 0 is no string; name every column"),
        (
            pd.DataFrame({"text": [], "label": []}),
            "DataFrame: there are no rows; text is read from 'text': give rows with a text, or name another column with "
            "--text-columns",
        ),
    ],
)  # fmt: skip
def test_values_that_are_refused(source, message):
    with pytest.raises(DataError) as caught:
        read_rows(source)
    assert str(caught.value) == message
