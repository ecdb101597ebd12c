"""What Python code gives as texts: one after the other, or a message that says what to give."""

import numpy as np
import pandas as pd
import pytest

from submillion.data.given_texts import given_texts
from submillion.data.pairs import TextPair
from submillion.errors import DataError

TEXTS = ["one", "two"]


@pytest.mark.parametrize(
    "values",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS, index=[7, 8]),
        pd.Series(TEXTS, dtype="string"),
        iter(TEXTS),
    ],
)
def test_whatever_gives_one_after_the_other(values):
    assert given_texts(values) == TEXTS


def test_a_missing_text_is_the_empty_one():
    assert given_texts([None, float("nan"), pd.NA, "a"]) == ["", "", "", "a"]
    assert given_texts([]) == []


def test_pairs_and_halves():
    (pair,) = given_texts([("cut \ud83d", "whole")])
    assert isinstance(pair, TextPair)
    assert (pair.first, pair.second) == ("cut \ufffd", "whole")
    assert given_texts(["\ud83d\ude00 and \udcff"]) == ["\U0001f600 and \ufffd"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("a text", "texts='a text' is a single str: give a list of texts, [text]"),
        (b"a text", "texts=b'a text' is a single bytes: give a list of texts, [text]"),
        (None, "texts is a NoneType: give a list of texts, such as one column of a table"),
        ({"a", "b"}, "texts is a set: give a list of texts, such as one column of a table"),
        ({"text": TEXTS}, "texts is a dict: give a list of texts, such as one column of a table"),
        (
            pd.DataFrame({"text": TEXTS}),
            "texts is a DataFrame: give a list of texts, such as one column of a table",
        ),
        (["a", 5], "texts: row 2 is int 5; give texts, or (text, text) pairs"),
        ([b"a"], "texts: row 1 is bytes b'a'; give texts, or (text, text) pairs"),
    ],
)
def test_what_cannot_be_texts_is_refused(values, says):
    with pytest.raises(DataError) as caught:
        given_texts(values)
    assert str(caught.value) == says
