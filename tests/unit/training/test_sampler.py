"""The order of rows: a function of seed and epoch alone."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from submillion.training.sampler import SeededSampler


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
