"""The methods table: what each way to adapt an encoder trains, and how PEFT is told to.

A method is one row of `METHODS`. A row says which parameters it trains on one adapted layer, by PEFT's own names; every count,
every parameter name in a plan and every PEFT config is derived from it. `tests/integration/test_methods.py` takes its
cases from the table, so that a new row is compared with what PEFT builds at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Shape = tuple[int, ...]

Trained = Callable[[int, int, int], dict[str, Shape]]
"""``(rank, d_out, d_in)`` -> name below the adapted layer, as PEFT gives it, and shape of every parameter trained there."""


@dataclass(frozen=True)
class Method:
    """One way to adapt an encoder.

    Attributes:
        name: PEFT's own.
        trained: What it trains on a linear layer; on a layer norm both dimensions are its width.
        config: PEFT's config class.
        peft_kwargs: What the method adds to the config.
        options: ``(rank, lora_alpha, lora_dropout)`` -> what those are called in the config.
        has_rank: Whether its size grows with a rank.
        is_steady: Whether it never shrinks when the rank grows.
        trained_on_input: What it trains on the feed-forward's second layer, where that is scaled at its input; None: as
            ``trained``.
        adapts_norms: Whether it adapts the layer norms of the blocks, in place of linear layers.
        is_low_rank_pair: Whether it trains LoRA's two matrices: only those take `rank_pattern`, `rank: allocate`, `adapter_scale`.
        has_fast_path: Whether `submillion.fast` runs it.
    """

    name: str
    trained: Trained
    config: str = "LoraConfig"
    peft_kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Callable[[int, float, float], dict[str, Any]] = lambda rank, alpha, dropout: {
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "bias": "none",
    }
    has_rank: bool = True
    is_steady: bool = True
    trained_on_input: Trained | None = None
    adapts_norms: bool = False
    is_low_rank_pair: bool = False
    has_fast_path: bool = False


def _lora(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return LoRA's two matrices (Hu et al. 2021, arXiv:2106.09685, section 4.1)."""
    return {"lora_A.default.weight": (rank, d_in), "lora_B.default.weight": (d_out, rank)}


def _dora(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return LoRA's matrices and a magnitude for each output (Liu et al. 2024, arXiv:2402.09353, section 4)."""
    return _lora(rank, d_out, d_in) | {"lora_magnitude_vector.default.weight": (d_out,)}


def _vera(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return the two vectors that scale shared random matrices (Kopiczko et al. 2023, arXiv:2310.11454, section 3)."""
    return {"vera_lambda_b.default": (d_out,), "vera_lambda_d.default": (rank,)}


def _loha(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return two pairs whose products are multiplied element by element (Hyeon-Woo et al. 2021, arXiv:2108.06098)."""
    pair = {"a.default": (d_out, rank), "b.default": (rank, d_in)}
    return {f"hada_w{number}_{name}": shape for number in (1, 2) for name, shape in pair.items()}


def _lokr(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return the factors of a Kronecker product (LoKr of LyCORIS, Yeh et al. 2023, arXiv:2309.14859, section 3.3).

    Both dimensions are split into two factors as near each other as can be; the second factor has low rank, where that is
    less than half its larger side (``peft.tuners.lokr.layer``).
    """
    (out_few, out_many), (in_few, in_many) = _factors(d_out), _factors(d_in)
    first: dict[str, Shape] = {"lokr_w1.default": (out_few, in_few)}
    if rank >= max(out_many, in_many) / 2:
        return first | {"lokr_w2.default": (out_many, in_many)}
    return first | {"lokr_w2_a.default": (out_many, rank), "lokr_w2_b.default": (rank, in_many)}


def _factors(dimension: int) -> tuple[int, int]:
    """Return the two factors of a dimension that lie nearest to each other, the smaller first.

    >>> _factors(384), _factors(1536), _factors(7)
    ((16, 24), (32, 48), (1, 7))
    """
    few = max(each for each in range(1, int(dimension**0.5) + 1) if dimension % each == 0)
    return few, dimension // few


def _ia3(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return a factor for each output (Liu et al. 2022, arXiv:2205.05638, section 3.3)."""
    return {"ia3_l.default": (d_out, 1)}


def _ia3_on_input(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return a factor for each input: of the feed-forward's second layer it is what lies between the two that is scaled."""
    return {"ia3_l.default": (1, d_in)}


def _norms(rank: int, d_out: int, d_in: int) -> dict[str, Shape]:
    """Return scale and shift of a layer norm (Zhao et al. 2023, arXiv:2312.11420)."""
    return {"ln_tuning_layers.default.weight": (d_out,), "ln_tuning_layers.default.bias": (d_out,)}


def _lycoris(rank: int, alpha: float, dropout: float) -> dict[str, Any]:
    return {"r": rank, "alpha": alpha, "rank_dropout": dropout}


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        row.name: row
        for row in (
            Method("lora", _lora, is_low_rank_pair=True, has_fast_path=True),
            # Scales by alpha / sqrt(r) instead of alpha / r (Kalajdzievski 2023, arXiv:2312.03732): no parameters.
            Method(
                "rslora",
                _lora,
                peft_kwargs=MappingProxyType({"use_rslora": True}),
                is_low_rank_pair=True,
                has_fast_path=True,
            ),
            Method("dora", _dora, peft_kwargs=MappingProxyType({"use_dora": True})),
            Method(
                "vera",
                _vera,
                "VeraConfig",
                options=lambda rank, alpha, dropout: {"r": rank, "vera_dropout": dropout},
            ),
            Method("loha", _loha, "LoHaConfig", options=_lycoris),
            Method("lokr", _lokr, "LoKrConfig", options=_lycoris, is_steady=False),
            Method(
                "ia3",
                _ia3,
                "IA3Config",
                options=lambda rank, alpha, dropout: {},
                has_rank=False,
                trained_on_input=_ia3_on_input,
            ),
            Method(
                "ln_tuning",
                _norms,
                "LNTuningConfig",
                options=lambda rank, alpha, dropout: {},
                has_rank=False,
                adapts_norms=True,
            ),
        )
    }
)
"""Every method by name. A new one is a new row."""

MARKERS = ("lora_", "vera_lambda_", "hada_w", "lokr_w", "ia3_l", "ln_tuning_layers")
"""What the name of every parameter that a method adds holds."""


def is_of_adapter(name: str) -> bool:
    """Whether a parameter of a built model is one that a method added.

    >>> is_of_adapter("layer.0.query.ia3_l.default"), is_of_adapter("layer.0.query.base_layer.weight")
    (True, False)
    """
    return any(f".{marker}" in f".{name}" for marker in MARKERS)
