"""The arithmetic of a budget: what a method costs on given shapes, and the largest rank that fits.

What a method trains on a layer stands in its row of `submillion.budget.methods`; every count is derived from that.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import prod

from submillion.budget.methods import METHODS, Shape
from submillion.errors import BudgetError


def size(shapes: Mapping[str, Shape]) -> int:
    """Return the number of parameters in ``shapes``.

    >>> size({"weight": (4, 768), "bias": (4,)})
    3076
    """
    return sum(prod(shape) for shape in shapes.values())


def count_adapter(rank: int, shapes: Sequence[tuple[int, int]], method: str = "lora") -> int:
    """Return how many parameters an adapter of ``rank`` trains.

    Args:
        rank: At least 1.
        shapes: ``(d_out, d_in)`` of each adapted weight.
        method: A name in `METHODS`.

    >>> count_adapter(1, [(768, 768)] * 24)
    36864
    >>> count_adapter(3, [(768, 768), (3072, 768)])
    16128
    """
    trained = METHODS[method].trained
    return sum(size(trained(rank, d_out, d_in)) for d_out, d_in in shapes)


def largest_rank(shapes: Sequence[tuple[int, int]]) -> int:
    """Return the rank above which a low-rank update is none: the smallest dimension of the targets.

    >>> largest_rank([(768, 768), (3072, 768), (768, 3072)])
    768
    """
    return min(min(shape) for shape in shapes)


def solve_rank(budget: int, shapes: Sequence[tuple[int, int]], head: int, *, method: str = "lora") -> int:
    """Return the largest rank whose trainable total stays within ``budget``.

    A target of shape ``(d_out, d_in)`` costs ``r * (d_out + d_in)``
    (Hu et al. 2021, arXiv:2106.09685, section 4.1). The rank never exceeds the smallest dimension of the targets.

    Args:
        budget: Most parameters that may train, head included; inclusive.
        shapes: ``(d_out, d_in)`` of each adapted weight; at least one.
        head: Trainable parameters of the head.
        method: A name in `METHODS`.

    Raises:
        BudgetError: If not even rank 1 fits.

    >>> solve_rank(1_000_000, [(768, 768)] * 24, head=593_668)
    11
    >>> solve_rank(1_000_000, [(8, 8)], head=0)
    8
    >>> solve_rank(600_000, [(768, 768)] * 24, head=593_668)
    Traceback (most recent call last):
    ...
    submillion.errors.BudgetError: budget=600,000 is too small: the head takes 593,668 and rank 1 on 24 targets \
takes 36,864, so at least 630,532 is needed. Raise the budget, train less of the head, or adapt fewer targets.
    """

    def total(rank: int) -> int:
        return head + count_adapter(rank, shapes, method)

    ranks = range(1, largest_rank(shapes) + 1)
    if METHODS[method].is_steady:
        rank = bisect_right(ranks, budget, key=total)
    else:
        rank = max((each for each in ranks if total(each) <= budget), default=0)
    if rank == 0:
        raise BudgetError(explain_excess(budget, 1, shapes, head, method=method))
    return rank


def explain_excess(
    budget: int, rank: int, shapes: Sequence[tuple[int, int]], head: int, *, method: str = "lora"
) -> str:
    """Return why ``rank`` does not fit ``budget``, with the whole sum, and what to do.

    >>> print(explain_excess(1_000_000, 12, [(768, 768)] * 24, head=593_668))
    budget=1,000,000 is too small: the head takes 593,668 and rank 12 on 24 targets takes 442,368, \
so at least 1,036,036 is needed. Lower the rank to 11, raise the budget, train less of the head, or adapt fewer targets.
    """
    adapter = count_adapter(rank, shapes, method)
    fits = head + count_adapter(1, shapes, method) <= budget
    lower = f"Lower the rank to {solve_rank(budget, shapes, head, method=method)}, raise" if fits else "Raise"
    targets = f"{len(shapes)} target{'s' if len(shapes) != 1 else ''}"
    return (
        f"budget={budget:,} is too small: the head takes {head:,} and rank {rank} on {targets} takes {adapter:,}, "
        f"so at least {head + adapter:,} is needed. {lower} the budget, train less of the head, or adapt fewer targets."
    )
