"""Duplicates within and across splits, and labels that contradict each other."""

import numpy as np
import pytest

from submillion.auditing.duplicates import find_duplicates
from submillion.auditing.label_errors import LEAST_ROWS, assign_folds, find_label_errors, out_of_fold
from submillion.auditing.sources import read_splits

LONG = "Stocks fell on Monday in London as traders weighed the return of inflation"
OTHER = "A rocket left its orbit and the crew was brought home by an old capsule"


def found(*splits):
    """Return (split, row, issue, score, suggested, like) of each finding."""
    rows = read_splits(splits, None, None)
    duplicates = find_duplicates(rows, seed=0)
    name = [split.name for split in rows.splits]

    def where(place):
        return None if place is None else (name[rows.split_of[place]], int(rows.row_numbers[place]))

    return sorted(
        (*where(each.place), each.issue, round(each.score, 1), each.suggested, where(each.like))
        for each in duplicates.findings
    ), duplicates.groups


def test_of_equal_texts_the_first_stays():
    issues, groups = found(("train", [(LONG, "a"), (OTHER, "b"), (LONG.upper(), "a"), (LONG + " ", "a")]))
    assert issues == [
        ("train", 2, "duplicate", 1.0, None, ("train", 0)),
        ("train", 3, "duplicate", 1.0, None, ("train", 0)),
    ]
    assert groups[0] == groups[2] == groups[3] != groups[1]


def test_across_splits_the_test_row_stays_and_the_train_row_is_found():
    issues, _ = found(
        ("train", [(LONG, "a"), (OTHER, "b")]),
        ("validation", [(OTHER + " now", "b"), ("else", "a")]),
        ("test", [(LONG, "b"), ("nothing", "a")]),
    )
    assert issues == [
        ("train", 0, "duplicate across splits", 1.0, None, ("test", 0)),
        ("train", 1, "near duplicate across splits", 0.9, None, ("validation", 0)),
    ]


def test_labels_of_a_test_split_are_never_in_conflict():
    issues, _ = found(("train", [(LONG, "a"), ("else", "b")]), ("test", [(LONG, "no such label")]))
    assert [each[2] for each in issues] == ["duplicate across splits"]


def test_conflicts_name_the_minority_and_suggest_what_most_say():
    issues, _ = found(("train", [(LONG, "a"), (LONG, "a"), (LONG, "b"), (OTHER, "a"), (OTHER + " now", "b")]))
    conflicts = [each for each in issues if each[2] == "label conflict"]
    assert conflicts == [
        ("train", 2, "label conflict", 1.0, 0, ("train", 0)),
        ("train", 3, "label conflict", 0.9, None, ("train", 4)),
        ("train", 4, "label conflict", 0.9, None, ("train", 3)),
    ]


def test_empty_rows_are_no_duplicates_of_each_other():
    issues, groups = found(("train", [("", "a"), (" ", "b"), (LONG, "a")]))
    assert issues == []
    assert len(set(groups.tolist())) == 3


def test_folds_keep_groups_whole_and_spread_every_label():
    groups = np.arange(200) // 2
    codes = (groups % 10 == 0).astype(int)
    folds = assign_folds(codes, groups, seed=1)
    assert (folds[::2] == folds[1::2]).all()
    assert sorted(np.bincount(folds[codes == 1])) == [4] * 5
    assert set(folds) == set(range(5))


def test_planted_errors_come_first_and_small_labels_are_not_judged():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [200, 200, LEAST_ROWS - 1])
    codes = truth.copy()
    turned = np.r_[np.arange(10), 200 + np.arange(10), 405]
    codes[turned] = (truth[turned] + 1) % 3 % 2
    codes[405] = 0

    def score(fitted, left_out):
        scores = np.eye(3)[truth[left_out]] * 4 + rng.normal(size=(len(left_out), 3))
        scores[:, 2] = -np.inf  # as of a label that had no row to fit on
        return scores

    probabilities = out_of_fold(score, codes, np.arange(len(codes)), 3, seed=0)
    assert np.isfinite(probabilities).all()
    assert probabilities.sum(axis=1) == pytest.approx(1)
    errors = find_label_errors(codes, probabilities)
    places = {each.place for each in errors}
    assert len(places & set(turned[:20].tolist())) >= 18
    assert len(places - set(turned.tolist())) <= 4
    assert all(codes[each.place] != 2 and each.suggested != codes[each.place] for each in errors)
