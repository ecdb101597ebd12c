import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from submillion.data.labels import encode_labels
from submillion.errors import ConfigError, DataError

LABELS = st.lists(st.integers(-5, 20) | st.sampled_from(["a", "B", "10", "9", "07", "x y"]), min_size=2)


@given(LABELS, st.randoms(use_true_random=False))
def test_class_order_never_depends_on_row_order(labels, rng: random.Random):
    if len({str(label) for label in labels}) < 2:
        return
    encoded = encode_labels(labels)
    shuffled = list(labels)
    rng.shuffle(shuffled)
    again = encode_labels(shuffled)
    assert (again.names, again.values) == (encoded.names, encoded.values)
    assert [encoded.names[i] for i in encoded.codes] == [str(label) for label in labels]


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (["10", "9"], (9, 10)),
        ([10, 9], (9, 10)),
        (["1.0", "0.0", "1.0"], (0, 1)),
        (["b", "a"], ("a", "b")),
        (["07", "7"], ("07", "7")),
        (["+1", "-1"], ("+1", "-1")),
        ([2, "x", "1"], ("1", "2", "x")),
        (["1.5", "a"], ("1.5", "a")),
    ],
)
def test_values(labels, values):
    encoded = encode_labels(labels)
    assert encoded.values == values
    assert encoded.names == tuple(map(str, values))
    assert encoded.codes.dtype == np.int64


def test_declared_names_keep_their_order_and_their_unused_ones():
    encoded = encode_labels(["b", "z", "b"], declared=("z", "a", "b"), declared_values=(0, 1, 2))
    assert encoded.codes.tolist() == [2, 0, 2]
    assert encoded.names == ("z", "a", "b")
    assert encoded.values == (0, 1, 2)


def test_declared_names_may_look_like_integers():
    encoded = encode_labels(["2", "1"], declared=("2", "1"), declared_values=(0, 1))
    assert (encoded.codes.tolist(), encoded.names, encoded.values) == ([0, 1], ("2", "1"), (0, 1))


def test_names_for_integers():
    encoded = encode_labels(["3", "1", "3"], names=["World", "Business"])
    assert (encoded.names, encoded.values) == (("World", "Business"), (1, 3))
    assert encoded.codes.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([1, 2], ["a"], "label_names has 1 names, but train.csv holds 2 labels: 1, 2; give one name a label, in "
                        "increasing order of the labels"),
        (["x", "y"], ["a", "b"], "label_names=['a', 'b'] is only for integer labels; train.csv holds names already: "
                                 "'x', 'y'"),
        ([1, 2], ["a", "a"], "label_names=['a', 'a'] holds a name twice; each class needs its own"),
    ],
)  # fmt: skip
def test_names_that_do_not_fit(labels, names, message):
    with pytest.raises(ConfigError) as caught:
        encode_labels(labels, names=names, source="train.csv")
    assert str(caught.value) == message


@pytest.mark.parametrize("label", ["World", 1, "1", "1.0"])
def test_another_split_may_hold_names_or_values(label):
    encoded = encode_labels([label], ("World", "Sports"), known_values=(1, 2))
    assert encoded.codes.tolist() == [0]


def test_an_unknown_label_names_file_row_label_and_the_known_ones():
    with pytest.raises(DataError) as caught:
        encode_labels(["1", "7", "8"], ("a", "b"), known_values=(1, 2), source="v.csv", row_numbers=[4, 6, 9])
    assert str(caught.value) == (
        "v.csv: unknown labels '7', '8' in row 7 and 1 other (rows are counted from 1); the training rows have 'a', "
        "'b', stored as 1, 2. Mend these labels, or add such rows to train"
    )


def test_a_single_class():
    with pytest.raises(DataError) as caught:
        encode_labels(["a", "a"], source="train.csv")
    assert str(caught.value) == (
        "train.csv: there is only one class, 'a'; a classifier needs rows of at least two classes"
    )


def test_a_single_declared_class_in_use():
    with pytest.raises(DataError, match="only one class, 'a'"):
        encode_labels(["a", "a"], declared=("a", "b"))


def test_fractions_are_a_regression():
    with pytest.raises(DataError) as caught:
        encode_labels(["1", "0.5", "2"], source="train.csv")
    assert str(caught.value) == (
        "train.csv: the labels are numbers, but not all integers (row 2, rows counted from 1; 3 different ones): a "
        "regression task, and only classification is done. Put the numbers into classes (low, medium, high), or name "
        "another column with --label-column"
    )


@pytest.mark.parametrize("labels", [["1", "2e-3"], ["+0.5", "1"], [".5", "7."], ["-1.25", "3"]])
def test_fractions_in_any_form(labels):
    with pytest.raises(DataError, match="a regression task, and only classification is done"):
        encode_labels(labels)


def test_integers_that_are_nearly_all_different_are_a_regression():
    prices = [str(7 * price + 5) for price in range(30)]
    with pytest.raises(DataError) as caught:
        encode_labels(prices, source="prices.csv")
    assert str(caught.value) == (
        "prices.csv: the labels are 30 different numbers in 30 rows, from 5 to 208: a regression task, and only "
        "classification is done. Put the numbers into classes (low, medium, high), or name another column with "
        "--label-column; if they are classes, write them as words such as class_7"
    )


def test_numbered_classes_with_two_rows_each_are_classes():
    assert len(encode_labels([row // 2 for row in range(300)]).names) == 150
    assert len(encode_labels(list(range(20))).names) == 20
    assert len(encode_labels([f"class_{row}" for row in range(30)]).names) == 30


STARS = {"known": ("1", "2", "3"), "known_values": (0, 1, 2)}


def test_names_that_look_like_values():
    assert encode_labels(["1", "3"], declared=("1", "2", "3"), **STARS).codes.tolist() == [0, 2]
    assert encode_labels(["1", "3"], **STARS).codes.tolist() == [0, 2]
    assert encode_labels([0, 2, 1], **STARS).codes.tolist() == [0, 2, 1]
    with pytest.raises(DataError) as caught:
        encode_labels(["1", "2"], source="t.csv", **STARS)
    assert str(caught.value) == (
        "t.csv: label '1', '2' may be a name or a stored value, and means another class as each: the training rows have "
        "'1', '2', '3', stored as 0, 1, 2. Write names that are no numbers"
    )


def test_declared_names_may_be_fractions():
    assert encode_labels(["1.5", "0.5"], declared=("0.5", "1.5")).codes.tolist() == [1, 0]


def test_known_strings_that_are_written_as_integers():
    assert encode_labels([7, "x"], ("7", "x")).codes.tolist() == [0, 1]


def test_a_long_label_is_named_by_its_ends():
    with pytest.raises(DataError) as caught:
        encode_labels(["x" * 500 + "end"], ["a", "b"])
    assert str(caught.value) == (
        f"labels: unknown label '{'x' * 36}...{'x' * 16}end' in row 1 (rows are counted from 1); the training rows have "
        "'a', 'b'. Mend these labels, or add such rows to train"
    )


def test_an_unknown_label_that_looks_like_a_known_one_is_written_out():
    with pytest.raises(DataError) as caught:
        encode_labels(["caf\u00e9", "z"], ["B", "b", "cafe\u0301"], source="v.csv")
    assert str(caught.value) == (
        "v.csv: unknown labels 'caf\u00e9', 'z' in row 1 and 1 other (rows are counted from 1); the training rows have 'B', "
        "'b', 'cafe\u0301' ('caf\\xe9', 'cafe\\u0301' only look alike). Mend these labels, or add such rows to train"
    )
