"""Dropped tokens: which, how many, and that seed, epoch and row alone decide."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from submillion.training.word_dropout import NoisyRows, drop_tokens, shifted, special_ids

KEPT = frozenset({101, 102})


@given(
    st.lists(st.integers(0, 100), max_size=30),
    st.floats(0, 0.99),
    st.integers(0, 2**32 - 1),
    st.integers(0, 50),
)
def test_a_row_loses_words_in_order_never_special_tokens_and_never_all(words, share, seed, row):
    ids = [101, *words, 102]
    left = drop_tokens(ids, share, (seed, row), KEPT)
    assert (left[0], left[-1]) == (101, 102)
    rest = iter(ids)
    assert all(token in rest for token in left)  # a subsequence
    assert len(left) >= 2 + bool(words)
    assert left == drop_tokens(ids, share, (seed, row), KEPT)
    if share == 0:
        assert left == ids


def test_the_share_that_is_lost_is_the_one_asked_for():
    rows = [[101, *range(100), 102]] * 200
    lost = [1 - (len(drop_tokens(ids, 0.3, (0, row), KEPT)) - 2) / 100 for row, ids in enumerate(rows)]
    assert abs(np.mean(lost) - 0.3) < 0.01


def test_each_epoch_and_each_row_loses_others():
    rows = NoisyRows([[101, *range(50), 102]] * 2, np.array([1, 0]), 0.5, 7, KEPT)
    epoch = 0
    rows.epoch = lambda: epoch
    first, other = rows[0]["input_ids"], rows[1]["input_ids"]
    assert first != other
    epoch = 1
    assert rows[0]["input_ids"] != first
    epoch = 0
    assert rows[0] == {"input_ids": first, "labels": 1}
    seeded = NoisyRows([[101, *range(50), 102]], np.array([1]), 0.5, 8, KEPT)
    assert seeded[0]["input_ids"] != first
    assert rows.input_ids[0] == [101, *range(50), 102]  # the rows themselves stay whole


def test_shifted_rows_are_the_same_each_time_and_lose_a_fifth():
    rows = [[101, *range(100), 102]] * 50
    once, again = shifted(rows, 3, KEPT), shifted(rows, 3, KEPT)
    assert once == again
    assert once != shifted(rows, 4, KEPT)
    assert abs(np.mean([len(row) for row in once]) - 82) < 2


def test_special_tokens_are_kept_but_unknown_words_are_words(tiny_encoder):
    assert special_ids(tiny_encoder("bert")) == {0, 2, 3}  # padding, start and end; 1 is <unk>
