"""The arithmetic of a budget: what a method costs on given shapes, and the largest rank that fits.

What a method trains on a layer stands in its row of `submillion.budget.methods`; every count is derived from it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod

from submillion.budget.methods import METHODS
from submillion.budget.on_layer import Shape, Shapes
from submillion.errors import BudgetError, ConfigError


def size(shapes: Mapping[str, Shape]) -> int:
    """Return the number of parameters in ``shapes``.

    >>> size({"weight": (4, 768), "bias": (4,)})
    3076
    """
    return sum(prod(shape) for shape in shapes.values())


def count_adapter(rank: int, shapes: Shapes, method: str = "lora") -> int:
    """Return how many parameters an adapter of ``rank`` trains.

    Args:
        rank: At least 1.
        shapes: ``(d_out, d_in)`` of each adapted weight.
        method: A name in `METHODS`, one that has a rank.

    >>> count_adapter(1, [(768, 768)] * 24)
    36864
    >>> count_adapter(3, [(768, 768), (3072, 768)])
    16128
    >>> count_adapter(256, [(768, 768)] * 24, "vera")
    24576
    """
    trained = METHODS[method].trained
    return sum(n * size(trained(rank, d_out, d_in)) for (d_out, d_in), n in Counter(shapes).items())


def ranks_of(method: str, shapes: Shapes) -> Sequence[int]:
    """Return the ranks that ``method`` takes on these shapes, ascending.

    >>> ranks_of("oft", [(384, 384), (384, 1536)])[:5]
    [2, 3, 4, 6, 8]
    """
    ranks = METHODS[method].ranks
    return ranks(shapes) if ranks is not None else ()


def largest_rank(shapes: Shapes) -> int:
    """Return the rank above which a low-rank update is none: the smallest dimension of the targets.

    >>> largest_rank([(768, 768), (3072, 768), (768, 3072)])
    768
    """
    return min(min(shape) for shape in shapes)


def solve_rank(budget: int, shapes: Shapes, head: int, *, method: str = "lora") -> int:
    """Return the largest rank whose trainable total stays within ``budget``.

    A target of shape ``(d_out, d_in)`` costs ``r * (d_out + d_in)`` with LoRA (Hu et al. 2021, arXiv:2106.09685,
    section 4.1); see `METHODS` for the others, whose count need not grow with every step of the rank (LoKr's does not).

    Args:
        budget: Most parameters that may train, head included; inclusive.
        shapes: ``(d_out, d_in)`` of each adapted weight; at least one.
        head: Trainable parameters of the head.
        method: A name in `METHODS`.

    Raises:
        BudgetError: If not even the smallest rank fits.
        ConfigError: If the method has no rank, or these shapes allow none.

    >>> solve_rank(1_000_000, [(768, 768)] * 24, head=593_668)
    11
    >>> solve_rank(1_000_000, [(8, 8)], head=0)
    8
    >>> solve_rank(600_000, [(768, 768)] * 24, head=593_668)
    Traceback (most recent call last):
    ...
    submillion.errors.BudgetError: budget=600,000 is too small: the head takes 593,668 and rank 1 on 24 targets \
takes 36,864, so at least 630,532 is needed. Raise the budget, train less of the head, or adapt fewer targets.
    >>> solve_rank(1_000_000, [(8, 8)], head=0, method="ia3")
    Traceback (most recent call last):
    ...
    submillion.errors.ConfigError: method='ia3' has no rank: its count is fixed by what it adapts; leave the rank out
    """
    if not METHODS[method].has_rank:
        raise ConfigError(
            f"method={method!r} has no rank: its count is fixed by what it adapts; leave the rank out"
        )
    ranks = ranks_of(method, shapes)
    if not ranks:
        raise ConfigError(
            f"method={method!r} needs a block size that divides what every target reads, and there is none: adapt fewer "
            "targets"
        )
    fitting = [rank for rank in ranks if head + count_adapter(rank, shapes, method) <= budget]
    if not fitting:
        raise BudgetError(explain_excess(budget, ranks[0], shapes, head, method=method))
    return fitting[-1]


def explain_excess(budget: int, rank: int, shapes: Shapes, head: int, *, method: str = "lora") -> str:
    """Return why ``rank`` does not fit ``budget``, with the whole sum, and what to do.

    >>> print(explain_excess(1_000_000, 12, [(768, 768)] * 24, head=593_668))
    budget=1,000,000 is too small: the head takes 593,668 and rank 12 on 24 targets takes 442,368, \
so at least 1,036,036 is needed. Lower the rank to 11, raise the budget, train less of the head, or adapt fewer targets.
    """
    adapter = count_adapter(rank, shapes, method)
    fits = head + count_adapter(ranks_of(method, shapes)[0], shapes, method) <= budget
    lower = f"Lower the rank to {solve_rank(budget, shapes, head, method=method)}, raise" if fits else "Raise"
    return _sum(budget, head, f"rank {rank} on {_targets(len(shapes))}", adapter, lower)


def explain_fixed_excess(budget: int, adapter: int, places: str, head: int) -> str:
    """Return why a method without a rank does not fit ``budget``.

    >>> print(explain_fixed_excess(9_000, 9_984, "13 layer norms", head=770))
    budget=9,000 is too small: the head takes 770 and 13 layer norms take 9,984, so at least 10,754 is needed. \
Raise the budget, train less of the head, or adapt fewer targets.
    """
    return _sum(budget, head, places, adapter, "Raise", verb="take")


def _targets(count: int) -> str:
    return f"{count} target{'s' if count != 1 else ''}"


def _sum(budget: int, head: int, adapter_is: str, adapter: int, first: str, verb: str = "takes") -> str:
    return (
        f"budget={budget:,} is too small: the head takes {head:,} and {adapter_is} {verb} {adapter:,}, "
        f"so at least {head + adapter:,} is needed. {first} the budget, train less of the head, or adapt fewer targets."
    )
