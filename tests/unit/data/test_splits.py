import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submillion.data import load_splits, normalise_text, read_rows
from submillion.data.duplicates import split_sha256
from submillion.errors import ConfigError, DataError


def make_rows(n_rows: int, n_classes: int = 3) -> list[tuple[str, str]]:
    return [(f"text number {i}", f"c{i % n_classes}") for i in range(n_rows)]


def content(splits):
    """Everything that reaches the model, row numbers aside."""
    return {
        name: [(text, splits.label_names[label]) for text, label in zip(rows.texts, rows.labels, strict=True)]
        for name in ("train", "validation", "calibration")
        if (rows := getattr(splits, name)) is not None
    }


def numbers(splits):
    return {name: getattr(splits, name).row_numbers.tolist() for name in content(splits)}


def test_shares_are_held_back_class_by_class():
    splits = load_splits(make_rows(900))
    assert {name: len(rows) for name, rows in content(splits).items()} == {
        "train": 765,
        "validation": 90,
        "calibration": 45,
    }
    for rows in (splits.train, splits.validation, splits.calibration):
        assert len(set(np.bincount(rows.labels).tolist())) == 1
        assert rows.labels.dtype == rows.row_numbers.dtype == np.int64
        assert rows.row_numbers.tolist() == sorted(rows.row_numbers)
    assert sorted(sum(numbers(splits).values(), [])) == list(range(900))  # noqa: RUF017
    assert splits.notes == ()
    assert splits.test_sha256 is None


def test_one_seed_one_result_and_another_seed_another():
    first, again, other = (content(load_splits(make_rows(600), seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first["validation"] != other["validation"]


ROWS = st.lists(
    st.tuples(st.integers(0, 60).map("t{}".format), st.sampled_from(["a", "b", "c"])),
    min_size=20,
    max_size=150,
)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(0, 5), st.sampled_from([0.0, 0.1, 0.4]), st.sampled_from([0.0, 0.05, 0.4]))
def test_every_row_is_in_one_split_and_no_text_in_two(rows, seed, validation_share, calibration_share):
    if len({label for _, label in rows}) < 2:
        return
    splits = load_splits(
        rows,
        validation_share=validation_share,
        calibration_share=calibration_share,
        min_rows_to_split=0,
        seed=seed,
    )
    assert sorted(n for part in numbers(splits).values() for n in part) == list(range(len(rows)))
    texts = [{normalise_text(text) for text, _ in part} for part in content(splits).values()]
    assert sum(map(len, texts)) == len(set().union(*texts))
    by_number = dict(enumerate(rows))
    for name, part in content(splits).items():
        assert part == [by_number[n] for n in numbers(splits)[name]]


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([None, 1, 7]))
def test_order_of_rows_decides_nothing(rng: random.Random, most):
    rows = make_rows(120)
    shuffled = list(rows)
    rng.shuffle(shuffled)
    first, second = (load_splits(r, min_rows_to_split=0, max_rows_per_class=most) for r in (rows, shuffled))
    assert {k: sorted(v) for k, v in content(first).items()} == {
        k: sorted(v) for k, v in content(second).items()
    }
    assert first.fingerprints == second.fingerprints


def test_few_rows_all_train():
    splits = load_splits(make_rows(499))
    assert len(splits.train) == 499
    assert (splits.validation, splits.calibration) == (None, None)
    assert splits.notes == (
        "list: 499 rows, fewer than 500: nothing is held back for validation or calibration, all rows train.",
    )
    assert load_splits(make_rows(500)).validation is not None


def test_small_classes_stay_in_train_and_are_counted():
    rows = [(f"big {i}", f"big{i % 2}") for i in range(600)] + [(f"small {i}", "small") for i in range(12)]
    rows += [("only one", "tiny")]
    splits = load_splits(rows)
    small, tiny = splits.label_names.index("small"), splits.label_names.index("tiny")
    assert [
        int((part.labels == small).sum()) for part in (splits.train, splits.validation, splits.calibration)
    ] == [
        11,
        1,
        0,
    ]
    assert (splits.train.labels == tiny).sum() == 1
    assert splits.notes == (
        "list: 1 of 4 classes are too small to hold back a row for validation and stay in train: tiny.",
        "list: 2 of 4 classes are too small to hold back a row for calibration and stay in train: small, tiny.",
    )


def test_a_class_that_would_have_no_row_left_to_train_on_is_small():
    rows = [(f"big {i}", f"big{i % 2}") for i in range(600)] + [(f"small {i}", "small") for i in range(10)]
    splits = load_splits(rows, validation_share=0.5, calibration_share=0.45)
    assert (splits.train.labels == 2).sum() == 10
    assert [len(part) for part in content(splits).values()] == [40, 300, 270]


def test_duplicates_are_counted_and_stay_together():
    rows = (
        make_rows(600) + [(text.upper(), label) for text, label in make_rows(600)] + [("text number 0", "c1")]
    )
    splits = load_splits(rows)
    assert splits.notes == (
        "list: 601 rows repeat an earlier row's text and are kept.",
        "list: 1 text with more than one label, kept as they are.",
    )
    texts = [{text.casefold() for text, _ in part} for part in content(splits).values()]
    assert sum(map(len, texts)) == 600


def test_rows_shared_with_test_are_left_out():
    test = [("Text&nbsp;number  3", "?"), ("unseen", "?"), ("TEXT NUMBER 7", "?")]
    splits = load_splits(make_rows(600), test=test)
    assert splits.n_left_out == 2
    assert splits.notes == ("list: 2 rows left out whose text stands in test.",)
    left = {n for part in numbers(splits).values() for n in part}
    assert set(range(600)) - left == {3, 7}
    assert splits.test_sha256 == split_sha256(text for text, _ in test)


def test_a_given_validation_is_used_and_kept_apart(write):
    validation = write("v.csv", "text,label\nText number 1,c1\nnew,c2\nin test,c0\n")
    splits = load_splits(make_rows(600), validation=validation, test=["in test", "text number 2"])
    assert splits.validation.texts == ["Text number 1", "new"]
    assert splits.validation.labels.tolist() == [1, 2]
    assert {1, 2}.isdisjoint(splits.train.row_numbers)
    assert (len(splits.train), len(splits.calibration)) == (568, 30)
    assert splits.n_left_out == 1
    assert splits.notes == (
        "list: 1 row left out whose text stands in test.",
        f"{validation}: 1 row left out whose text stands in test.",
        "list: 1 row left out whose text stands in validation.",
    )


def test_a_given_validation_is_used_with_few_rows():
    splits = load_splits(make_rows(30), validation=[("v", "c0")])
    assert (len(splits.train), len(splits.validation), splits.calibration) == (30, 1, None)


def test_unknown_labels_in_validation(write):
    path = write("v.csv", "text,label\na,c0\nb,c9\n")
    with pytest.raises(DataError) as caught:
        load_splits(make_rows(30), validation=path)
    assert str(caught.value) == (
        f"{path}: unknown label 'c9' in row 2 (rows are counted from 1); the training rows have 'c0', 'c1', 'c2'. Mend "
        "these labels, or add such rows to train"
    )


def test_the_test_lock(write):
    """Whatever stands in place of the test labels, and without them, all that reaches the model is equal."""
    texts = [f"text number {i}" for i in range(0, 100, 9)] + ["other", ""]
    train = make_rows(700)
    made = [
        load_splits(train, test=write(name, header + "".join(f"{text}{label}\n" for text in texts)))
        for name, header, label in [
            ("a.csv", "text,label\n", ",c0"),
            ("b.csv", "text,label\n", ",not a label at all"),
            ("c.csv", "text,label\n", ","),
            ("d.csv", "text,label\n", ",0.5"),
        ]
    ]
    half = "".join(f"{text},{'' if i % 2 else 'x'}\n" for i, text in enumerate(texts))
    made.append(load_splits(train, test=write("half.csv", "text,label\n" + half)))
    made.append(load_splits(train, test=texts))
    made.append(load_splits(train, test=write("e.csv", "text\n" + "\n".join(texts))))
    for splits in made[1:]:
        assert content(splits) == content(made[0])
        assert splits.summary() == made[0].summary()
    assert made[0].n_left_out == 12
    assert split_sha256(read_rows(texts[:-1], labels="never").texts) == made[0].test_sha256


def test_the_test_lock_on_ag_news(agnews, tmp_path):
    lines = (agnews / "test.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    changed, emptied = tmp_path / "changed.csv", tmp_path / "emptied.csv"
    changed.write_text(
        "".join(f'"{(i % 9) + 5}' + line[2:] for i, line in enumerate(lines)), encoding="utf-8"
    )
    emptied.write_text("".join('"' + line[2:] for line in lines), encoding="utf-8")
    train = [(f"news number {i}", i % 4) for i in range(40)] + [
        (text, 1) for text in read_rows(agnews / "test.csv", labels="never").texts[:5]
    ]
    made = [load_splits(train, test=path) for path in (agnews / "test.csv", changed, emptied)]
    assert made[0].n_left_out == 5
    assert made[0].summary() == made[1].summary() == made[2].summary()
    assert content(made[0]) == content(made[1]) == content(made[2])


def test_a_few_rows_a_class_come_after_decontamination():
    test = [text for text, _ in make_rows(600)[:90]]
    splits = load_splits(make_rows(600), test=test, max_rows_per_class=10)
    assert np.bincount(splits.train.labels).tolist() == [10, 10, 10]
    assert splits.train.row_numbers.min() >= 90
    assert splits.n_left_out == 90
    assert splits.notes[1] == "list: 30 of 510 rows kept, at most 10 a class."


def test_a_few_rows_a_class_are_distinct_texts_first():
    rows = [("same", "a")] * 50 + [(f"a{i}", "a") for i in range(4)] + [("b", "b"), ("b", "b")]
    splits = load_splits(rows, max_rows_per_class=5)
    assert sorted(splits.train.texts) == ["a0", "a1", "a2", "a3", "b", "b", "same"]


def test_classes_that_vanish():
    rows = [*make_rows(12), ("gone", "z")]
    splits = load_splits(rows, test=["gone"])
    assert splits.label_names == ("c0", "c1", "c2", "z")
    assert splits.notes[-2] == "list: 1 of 4 classes have no row to train on: z."
    with pytest.raises(DataError) as caught:
        load_splits([("a", "x"), ("b", "y")], test=["b"])
    assert str(caught.value) == (
        "list: after leaving out rows shared with test or validation fewer than two classes are left ('x'); give train "
        "other rows"
    )


def test_validation_that_stands_in_test_altogether():
    with pytest.raises(DataError, match="every validation row stands in test"):
        load_splits(make_rows(9), validation=[("v", "c0")], test=["v"])


def test_names_and_values_of_integer_labels(write):
    path = write("t.csv", "text,label\n" + "".join(f"t{i},{10 - i % 2}\n" for i in range(20)))
    splits = load_splits(path, label_names=["nine", "ten"])
    assert (splits.label_names, splits.label_values) == (("nine", "ten"), (9, 10))
    assert splits.train.labels.tolist() == [1, 0] * 10


def test_summary_is_json():
    splits = load_splits(make_rows(600), test=["x"])
    summary = json.loads(json.dumps(splits.summary()))
    assert summary["splits"]["validation"] == {
        "n_rows": 60,
        "rows_per_class": {"c0": 20, "c1": 20, "c2": 20},
        "source": "list",
        "sha256": split_sha256(splits.validation.texts),
    }
    assert list(summary) == [
        "splits",
        "label_names",
        "label_values",
        "text_pairs",
        "test_sha256",
        "n_left_out",
        "notes",
    ]


def test_take_keeps_the_asked_order():
    rows = load_splits(make_rows(9)).train.take([4, 0])
    assert (rows.texts, rows.labels.tolist(), rows.row_numbers.tolist()) == (
        ["text number 4", "text number 0"],
        [1, 0],
        [4, 0],
    )
    assert len(rows) == 2


def test_numbers_out_of_range_are_gathered():
    with pytest.raises(ConfigError) as caught:
        load_splits([], validation_share=1.0, min_rows_to_split=-1, max_rows_per_class=0, seed=-1)
    assert str(caught.value) == (
        "validation_share=1.0 must be at least 0 and below 1; min_rows_to_split=-1 must be at least 0; "
        "max_rows_per_class=0 must be at least 1, or left out; seed=-1 must be at least 0"
    )
    with pytest.raises(ConfigError, match="together they must stay below 1"):
        load_splits([], validation_share=0.6, calibration_share=0.4)


def test_r8_with_ten_rows_a_class(orange):
    splits = load_splits(
        orange / "reuters-r8-train.tab", test=orange / "reuters-r8-test.tab", max_rows_per_class=10
    )
    assert np.bincount(splits.train.labels).tolist() == [10] * 8
    assert splits.label_names == ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")
    assert splits.n_left_out == 5


def test_labels_that_look_alike_are_told_of():
    rows = [(f"text {row}", ["Sport", "sport", "the x", "the\u00a0x", "other"][row % 5]) for row in range(20)]
    told = [note for note in load_splits(rows).notes if "differ only" in note]
    assert told == [
        "list: labels 'Sport', 'sport' differ only in case, white space or Unicode form, and are taken for 2 different ones.",
        "list: labels 'the x', 'the\\xa0x' differ only in case, white space or Unicode form, and are taken for 2 different "
        "ones.",
    ]
