import numpy as np
import pandas as pd
import pytest

from submillion.data.columns import clean_labels, clean_texts, find_columns
from submillion.errors import ConfigError, DataError


def find(columns, labels="required", text=None, label=None):
    return find_columns(columns, text_columns=text, label_column=label, labels=labels, source="f.csv")


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["text", "label"], (("text",), "label")),
        (["Category", "TEXT", "id"], (("TEXT",), "Category")),
        (["headline", "short_description", "category"], (("headline", "short_description"), "category")),
        (["body", "title", "class"], (("title", "body"), "class")),
        (["Review Text", "Sentiment"], (("Review Text",), "Sentiment")),
        (["title", "target"], (("title",), "target")),
        (["label", "text", "label_text"], (("text",), "label")),
    ],
)
def test_usual_names(columns, found):
    assert find(columns) == found


def test_a_choice_wins_and_keeps_its_order():
    assert find(["text", "b", "a", "label", "y2"], text=["b", "a"], label="y2") == (("b", "a"), "y2")


def test_never_returns_no_label_and_does_not_ask_for_one():
    assert find(["text", "label"], "never") == (("text",), None)
    assert find(["text"], "never", label="label") == (("text",), None)
    assert find(["text"], "optional") == (("text",), None)


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (
            ["a", "b"], {},
            "f.csv: no column has a usual name for the label; name it with --label-column COLUMN; no column has a "
            "usual name for the text; name it with --text-columns COLUMN[,COLUMN] (if the first line is no header, "
            "add one). Columns found: 'a', 'b'.",
        ),
        (
            ["text", "sentence", "label", "category"], {},
            "f.csv: the label may be 'label' or 'category'; name it with --label-column; the text may be 'text' or "
            "'sentence'; name one, or several to join, with --text-columns. Columns found: 'text', 'sentence', "
            "'label', 'category'.",
        ),
        (
            ["text", "label"], {"text": ["txt"], "label": "lab"},
            "f.csv: there is no label column 'lab': name one that is there by --label-column; there is no text column 'txt': name one "
            "that is there by --text-columns. Columns found: 'text', 'label'.",
        ),
        (
            ["text", "text", "label"], {"text": ["text"]},
            "f.csv: column 'text' stands more than once; give every column its own name. Columns found: 'text', "
            "'text', 'label'.",
        ),
        (
            ["text", "label"], {"text": ["label"], "label": "label"},
            "f.csv: column 'label' cannot be both text and label: name another by --text-columns or --label-column. Columns found: 'text', 'label'.",
        ),
    ],
)  # fmt: skip
def test_when_in_doubt_it_lists_the_columns(columns, arguments, message):
    with pytest.raises(DataError) as caught:
        find(columns, **arguments)
    assert str(caught.value) == message


def test_text_columns_is_a_list():
    with pytest.raises(ConfigError, match=r"text_columns='text' must be a list of columns: \['text'\]"):
        find(["text", "label"], text="text")
    with pytest.raises(ConfigError, match=r"text_columns=\[\] is empty"):
        find(["text", "label"], text=[])


def test_texts():
    assert clean_texts({"t": ["NA", None, " \n", float("nan"), 7, pd.NA]}, range(6), "f") == [
        "NA",
        "",
        "",
        "",
        "7",
        "",
    ]
    assert clean_texts({"a": ["x", None], "b": ["y", "z"]}, range(2), "f") == ["x y", "z"]


def test_texts_that_are_lists():
    with pytest.raises(DataError) as caught:
        clean_texts({"tokens": ["a", ["b"], ["c"]]}, [10, 11, 12], "f.jsonl")
    assert str(caught.value) == (
        "f.jsonl: column 'tokens' holds 'list' in row 12 and 1 other (rows are counted from 1, below any header); "
        "a text is one string: join the parts, or name another column with --text-columns"
    )


def labels(cells, **kwargs):
    return clean_labels(cells, range(len(cells)), column="y", source="f.csv", **kwargs)


@pytest.mark.parametrize(
    ("cells", "cleaned"),
    [
        ([1.0, 2, np.int64(3)], [1, 2, 3]),
        ([" a ", "b"], ["a", "b"]),
        ([True, False], ["True", "False"]),
    ],
)
def test_labels(cells, cleaned):
    assert labels(cells) == cleaned
    assert all(type(label) in (int, str) for label in labels(cells))


def test_labels_by_declared_names():
    assert labels([1, 0], names=("x", "y"), is_indexed=True) == ["y", "x"]
    assert labels(["y"], names=("x", "y")) == ["y"]


@pytest.mark.parametrize(
    ("cells", "arguments", "fragment"),
    [
        (["a", ["b"]], {}, "label column 'y' holds several labels a row (row 2 (rows are counted from 1, below any "
                           "header)): a multi-label task"),
        (["[1, 2]", "[3]"], {}, "a multi-label task"),
        ([np.array([1])], {}, "a multi-label task"),
        ([1.0, 2.5, 0.5], {}, "holds numbers that are no integers (row 2 and 1 other (rows are counted from 1, below "
                              "any header)): a regression task"),
        ([1, float("inf")], {}, "holds a float in row 2"),
        ([pd.Timestamp(0)], {}, "holds a Timestamp in row 1"),
        (["a", "", None, " "], {}, "label column 'y' is empty in row 2 and 2 others (rows are counted from 1, below "
                                   "any header); give every row a label, or leave these rows out of the file"),
        (["a", ""], {"is_optional": True}, "is empty in row 2"),
        ([0, -1], {"names": ("x", "y"), "is_indexed": True}, "is empty in row 2"),
        ([0, 2], {"names": ("x", "y"), "is_indexed": True}, "holds 2 in row 2 (rows are counted from 1, below any "
                                                            "header), which is none of the declared classes: 'x', 'y'"),
    ],
)  # fmt: skip
def test_labels_that_are_refused(cells, arguments, fragment):
    with pytest.raises(DataError) as caught:
        labels(cells, **arguments)
    assert fragment in str(caught.value)
    assert str(caught.value).startswith("f.csv: ")


def test_labels_may_all_be_missing_where_they_are_optional():
    assert labels(["", None], is_optional=True) is None
    assert labels([-1, -1], names=("x", "y"), is_indexed=True, is_optional=True) is None


def test_a_label_of_half_a_character_is_refused():
    with pytest.raises(DataError) as caught:
        clean_labels(["a", "b\ud83d"], [4, 5], column="y", source="x.jsonl")
    assert str(caught.value) == (
        "x.jsonl: label column 'y' holds half a character in row 6 (rows are counted from 1, below any header), which no "
        "file can hold: write these labels without it"
    )
