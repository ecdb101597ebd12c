"""What each method trains on one linear layer of shape (d_out, d_in), under PEFT's own names; which ranks layers allow."""

from collections.abc import Sequence
from math import ceil, gcd

Shape = tuple[int, ...]
Shapes = Sequence[tuple[int, int]]
"""``(d_out, d_in)`` of each adapted layer."""


def up_to_smallest(shapes: Shapes) -> Sequence[int]:
    """Return every rank up to the smallest dimension, above which a low-rank update is none."""
    return range(1, min(map(min, shapes)) + 1)


def up_to_largest(shapes: Shapes) -> Sequence[int]:
    """Return every rank up to the largest dimension, which VeRA's frozen matrices have."""
    return range(1, max(map(max, shapes)) + 1)


def block_sizes(shapes: Shapes) -> Sequence[int]:
    """Return the block sizes that divide what every layer reads; PEFT would move any other one to a divisor.

    >>> block_sizes([(384, 12), (384, 8)])
    [2, 4]
    """
    common = gcd(*(d_in for _, d_in in shapes))
    return [size for size in range(2, common + 1) if common % size == 0]


def until_whole(shapes: Shapes) -> Sequence[int]:
    """Return every rank up to the first from which on no layer's second Kronecker factor is decomposed, and a larger one changes nothing."""
    return range(1, max(ceil(max(_factors(d_out)[1], _factors(d_in)[1]) / 2) for d_out, d_in in shapes) + 1)


def _factors(dimension: int) -> tuple[int, int]:
    """Return the two factors that lie nearest to each other, as ``peft.tuners.lokr.layer.factorization`` does.

    >>> _factors(384), _factors(127)
    ((16, 24), (1, 127))
    """
    small = max(each for each in range(1, int(dimension**0.5) + 1) if dimension % each == 0)
    return small, dimension // small


def lora(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return A and B.

    >>> lora(8, 384, 1536)
    {'lora_A.default.weight': (8, 1536), 'lora_B.default.weight': (384, 8)}
    """
    return {"lora_A.default.weight": (rank, d_in), "lora_B.default.weight": (d_out, rank)}


def dora(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return LoRA's pair, and the length of each of the weight's rows."""
    return lora(rank, d_out, d_in) | {"lora_magnitude_vector.default.weight": (d_out,)}


def adalora(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return P and Q, and the singular values between them."""
    return {
        "lora_A.default": (rank, d_in),
        "lora_B.default": (d_out, rank),
        "lora_E.default": (rank, 1),
    }


def loha(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return two pairs, whose products are multiplied element by element."""
    pairs = ("hada_w1", "hada_w2")
    return {
        name: shape
        for pair in pairs
        for name, shape in ((f"{pair}_a.default", (d_out, rank)), (f"{pair}_b.default", (rank, d_in)))
    }


def lokr(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return both Kronecker factors, the larger one as a pair below half of its dimension."""
    (small_out, large_out), (small_in, large_in) = _factors(d_out), _factors(d_in)
    first: dict[str, Shape] = {"lokr_w1.default": (small_out, small_in)}
    if rank < max(large_out, large_in) / 2:
        return first | {"lokr_w2_a.default": (large_out, rank), "lokr_w2_b.default": (rank, large_in)}
    return first | {"lokr_w2.default": (large_out, large_in)}


def vera(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return the two vectors around the frozen matrices."""
    return {"vera_lambda_b.default": (d_out,), "vera_lambda_d.default": (rank,)}


def oft(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return a skew-symmetric matrix a block, its upper triangle."""
    return {"oft_R.default.weight": (d_in // rank, rank * (rank - 1) // 2)}


def boft(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return a whole matrix a block, and a scale for each output."""
    return {"boft_R.default": (1, d_in // rank, rank, rank), "boft_s.default": (d_out, 1)}


def ia3_out(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return a factor for each output."""
    return {"ia3_l.default": (d_out, 1)}


def ia3_in(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return a factor for each input."""
    return {"ia3_l.default": (1, d_in)}


def bitfit(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return a bias."""
    return {"beft_bias.default": (1, d_out)}


def nothing(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return nothing: what trains stands elsewhere."""
    return {}
