import pytest
from hypothesis import given
from hypothesis import strategies as st

from submillion.budget.count import METHODS, count_adapter, explain_excess, largest_rank, size, solve_rank
from submillion.errors import BudgetError

SHAPES = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=40)

BLOCKS = 12
QUERY = [(768, 768)] * BLOCKS
EVERY = [(768, 768)] * 4 * BLOCKS + [(3072, 768), (768, 3072)] * BLOCKS


@pytest.mark.parametrize(
    ("shapes", "whole_head", "output_only"),
    [(QUERY, 22, 54), (QUERY * 2, 11, 27), (QUERY * 3, 7, 18), (QUERY * 4, 5, 13), (EVERY, 2, 6)],
)
def test_largest_ranks_under_one_million_on_roberta_base(shapes, whole_head, output_only):
    assert solve_rank(1_000_000, shapes, head=593_668) == whole_head
    assert solve_rank(1_000_000, shapes, head=3_076) == output_only


@given(
    budget=st.integers(1, 2_000_000),
    shapes=SHAPES,
    head=st.integers(0, 600_000),
    method=st.sampled_from([name for name, method in METHODS.items() if method.is_low_rank_pair]),
)
def test_largest_rank_fits_and_the_next_does_not(budget, shapes, head, method):
    if head + count_adapter(1, shapes, method) > budget:
        with pytest.raises(BudgetError):
            solve_rank(budget, shapes, head, method=method)
        return
    rank = solve_rank(budget, shapes, head, method=method)
    assert 1 <= rank <= largest_rank(shapes)
    assert head + count_adapter(rank, shapes, method) <= budget
    assert rank == largest_rank(shapes) or head + count_adapter(rank + 1, shapes, method) > budget


@given(rank=st.integers(1, 64), shapes=SHAPES)
def test_lora_costs_rank_times_both_dimensions(rank, shapes):
    assert count_adapter(rank, shapes) == rank * sum(d_out + d_in for d_out, d_in in shapes)
    assert count_adapter(rank, shapes, "rslora") == count_adapter(rank, shapes)


def test_budget_is_inclusive():
    exactly = 593_668 + count_adapter(11, QUERY * 2)
    assert solve_rank(exactly, QUERY * 2, head=593_668) == 11
    assert solve_rank(exactly - 1, QUERY * 2, head=593_668) == 10


def test_rank_never_exceeds_the_smallest_dimension():
    assert solve_rank(10**9, [(32, 32), (64, 8)], head=0) == 8


def test_a_budget_too_small_shows_the_whole_sum():
    with pytest.raises(BudgetError) as caught:
        solve_rank(600_000, QUERY * 2, head=593_668)
    assert str(caught.value) == (
        "budget=600,000 is too small: the head takes 593,668 and rank 1 on 24 targets takes 36,864, so at least "
        "630,532 is needed. Raise the budget, train less of the head, or adapt fewer targets."
    )


def test_a_rank_too_large_is_told_which_one_fits():
    assert explain_excess(100, 9, [(8, 4)], head=10) == (
        "budget=100 is too small: the head takes 10 and rank 9 on 1 target takes 108, so at least 118 is needed. "
        "Lower the rank to 4, raise the budget, train less of the head, or adapt fewer targets."
    )


def test_size_of_no_shapes_is_zero():
    assert size({}) == 0
