"""The order of rows: a function of seed and epoch alone."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from submillion.training.sampler import SeededSampler, balanced_rows


@given(st.integers(0, 200), st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_every_row_once(n_rows, seed, epoch):
    sampler = SeededSampler(n_rows, seed)
    sampler.set_epoch(epoch)
    assert sorted(sampler) == list(range(n_rows))
    assert len(sampler) == n_rows


def order(seed: int, epoch: int) -> list[int]:
    sampler = SeededSampler(50, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_seed_and_epoch_choose_the_order():
    assert len({tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16
    assert order(1, 2) == order(1, 2)
    assert order(1, 0) != list(range(50))


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = order(3, 1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert order(3, 1) == first


def test_iterating_twice_gives_the_same():
    sampler = SeededSampler(20, 5)
    assert list(sampler) == list(sampler)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first


def skewed(n_rows: int, seed: int = 0) -> list[int]:
    """Return lengths as texts have them: most short, a few long."""
    return [int(length) for length in np.random.default_rng(seed).lognormal(3.0, 0.8, n_rows).clip(3, 256)]


def batches(sampler: SeededSampler, epoch: int, size: int) -> list[list[int]]:
    sampler.set_epoch(epoch)
    rows = list(sampler)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def padding(cut: list[list[int]], lengths: list[int]) -> int:
    return sum(max(lengths[row] for row in batch) * len(batch) for batch in cut) - sum(lengths)


@given(
    st.lists(st.integers(1, 64), max_size=150),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
    st.integers(0, 50),
)
def test_with_lengths_every_row_once_and_the_same_again(lengths, size, seed, epoch):
    first, second = (SeededSampler(len(lengths), seed, lengths, size) for _ in range(2))
    first.set_epoch(epoch), second.set_epoch(epoch)
    rows = list(first)
    assert sorted(rows) == list(range(len(lengths)))
    assert rows == list(second) == list(first)
    assert len(first) == len(lengths)


def test_with_lengths_seed_and_epoch_choose_the_order():
    lengths = skewed(90)
    orders = {
        tuple(row for batch in batches(SeededSampler(90, seed, lengths, 8), epoch, 8) for row in batch)
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(orders) == 16


@pytest.mark.parametrize(("n_rows", "size", "most"), [(2000, 16, 0.1), (200, 8, 0.5), (4000, 4, 0.1)])
def test_grouping_saves_padding(n_rows, size, most):
    """Of a plain shuffle's padding a tenth is left; with few rows, which are sorted in small pieces, a half."""
    lengths = skewed(n_rows)
    plain, grouped = SeededSampler(n_rows, 1), SeededSampler(n_rows, 1, lengths, size)
    for epoch in range(3):
        theirs = padding(batches(plain, epoch, size), lengths)
        assert padding(batches(grouped, epoch, size), lengths) < most * theirs


@pytest.mark.parametrize("n_rows", [23, 61])
def test_no_length_is_favoured(n_rows):
    """Over epochs each row comes in each batch as in a uniform shuffle; within a batch the order is of no effect."""
    size, n_epochs = 4, 3000
    lengths = sorted(skewed(n_rows))
    sampler = SeededSampler(n_rows, 7, lengths, size)
    n_batches, n_last = math.ceil(n_rows / size), n_rows % size
    counts = np.zeros((n_rows, n_batches))
    third = n_rows // 3
    longer = np.zeros(
        (n_epochs, n_batches)
    )  # rows of the longest third in a batch, less those of the shortest
    for epoch in range(n_epochs):
        for index, batch in enumerate(batches(sampler, epoch, size)):
            counts[batch, index] += 1
            longer[epoch, index] = sum((row >= n_rows - third) - (row < third) for row in batch)
    share = np.array([size] * (n_batches - 1) + [n_last]) / n_rows
    error = np.sqrt(n_epochs * share * (1 - share))
    assert (abs(counts - n_epochs * share) < 4.5 * error).all()

    number = np.arange(n_batches)
    mean = share @ number
    spread = math.sqrt((share @ (number - mean) ** 2) / n_epochs)
    assert (abs(counts @ number / n_epochs - mean) < 4.5 * spread).all()
    assert (abs(longer.mean(0)) < 4.5 * longer.std(0) / math.sqrt(n_epochs)).all()


@pytest.mark.parametrize("n_rows", [20, 48, 130])
def test_with_few_rows_batches_differ_from_epoch_to_epoch(n_rows):
    size = 4
    lengths = list(range(1, n_rows + 1))  # sorted as a whole, each epoch would have the same batches
    sampler = SeededSampler(n_rows, 3, lengths, size)
    epochs = [{frozenset(batch) for batch in batches(sampler, epoch, size)} for epoch in range(6)]
    for first, second in pairwise(epochs):
        assert len(first & second) <= len(first) / 4


def test_batches_are_not_in_order_of_length():
    n_rows, size = 1600, 16
    lengths = skewed(n_rows)
    cut = batches(SeededSampler(n_rows, 5, lengths, size), 0, size)
    means = [np.mean([lengths[row] for row in batch]) for batch in cut]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.35


def test_grouping_neither_reads_nor_moves_the_global_generator():
    lengths = skewed(90)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = list(SeededSampler(90, 1, lengths, 8))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert list(SeededSampler(90, 1, lengths, 8)) == first


@given(st.lists(st.integers(0, 4), min_size=1, max_size=120), st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_balanced_rows_hold_every_label_equally_often(labels, seed, epoch):
    labels = np.array(labels)
    sampler = SeededSampler(len(labels), seed, labels=labels)
    sampler.set_epoch(epoch)
    rows = np.array(list(sampler))
    assert len(rows) == len(sampler) == len(labels)
    counts = np.bincount(labels[rows])[np.unique(labels)]
    assert counts.max() - counts.min() <= 1
    for label in np.unique(labels):  # no row of a label comes more often than another by more than one
        often = np.bincount(rows, minlength=len(labels))[labels == label]
        assert often.max() - often.min() <= 1
    assert list(sampler) == rows.tolist()


def test_balanced_rows_see_all_of_a_large_label_over_the_epochs():
    labels = np.array([0] * 95 + [1] * 5)
    sampler = SeededSampler(100, 3, labels=labels)
    seen: set[int] = set()
    for epoch in range(8):
        sampler.set_epoch(epoch)
        rows = list(sampler)
        assert len(set(rows)) == 55
        seen |= set(rows)
    assert len(seen) > 95


def test_balanced_rows_are_shuffled_and_may_be_grouped_by_length():
    labels, lengths = np.array([0, 1] * 60), skewed(120)
    grouped = SeededSampler(120, 1, lengths, 8, labels)
    spread = [np.ptp(np.array(lengths)[batch]) for batch in batches(grouped, 0, 8)]
    plain = [
        np.ptp(np.array(lengths)[batch]) for batch in batches(SeededSampler(120, 1, labels=labels), 0, 8)
    ]
    assert np.mean(spread) < np.mean(plain) / 2
    assert balanced_rows(np.array([], dtype=np.int64), torch.Generator()).tolist() == []
