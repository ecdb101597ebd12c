"""Windows: as the tokenizer itself makes them, and their means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from submillion.data.token_lists import TokenLists
from submillion.data.tokens import encode, tokenize
from submillion.data.windows import Windows, joined, taken, windows_of

TEXTS = st.lists(
    st.lists(st.sampled_from(["goal", "bank", "the", "7", "12", "rocket", "odd"]), max_size=60).map(" ".join),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(5, 20), st.integers(0, 12))
def test_windows_are_those_of_the_tokenizer(tiny_encoder, texts, max_length, stride):
    stride = min(stride, max_length - 3)
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder("bert"))
    theirs = tokenizer(
        texts, truncation=True, max_length=max_length, stride=stride, return_overflowing_tokens=True
    )
    ours = windows_of(encode(tokenizer, texts), max_length, stride)
    assert list(ours.windows) == theirs["input_ids"]
    assert np.repeat(np.arange(len(texts)), ours.counts).tolist() == theirs["overflow_to_sample_mapping"]
    # The first one is the text as it would be cut.
    assert list(ours) == list(tokenize(tokenizer, texts, max_length).input_ids)


def example() -> Windows:
    rows = TokenLists.of([[1, *range(10, 20), 2], [1, 30, 2], [1, *range(40, 46), 2]])
    return windows_of(rows, max_length=6, stride=1)


def test_texts_are_taken_with_all_their_windows():
    found = example()
    assert found.counts.tolist() == [3, 1, 2]
    some = taken(found, [2, 0])
    assert some.counts.tolist() == [2, 3]
    assert list(some.windows) == [*found[2:].windows, *found[:1].windows]
    assert [some.window(0, 1), some[1]] == [found.window(2, 1), found[0]]
    again = joined(found, some)
    assert again.counts.tolist() == [3, 1, 2, 2, 3]
    assert list(again.windows) == [*found.windows, *some.windows]


def test_means_are_over_each_texts_own_windows():
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    assert example().means(values).tolist() == [[2, 3], [6, 7], [9, 10]]
    assert example().means(values).dtype == np.float32


def test_a_stride_that_never_moves_on():
    with pytest.raises(ValueError, match="stride=4 must be below max_length - 2 = 4"):
        windows_of(TokenLists.of([[1, 2, 3]]), max_length=6, stride=4)
