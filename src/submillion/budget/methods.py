"""Every way to adapt an encoder: what it trains on a layer, and what PEFT is told.

A method is one row of `METHODS`. Counts, parameter names, the search for a rank and PEFT's config are all read from that
row; to add a method, add a row, and what it trains on a layer to `on_layer`. The names are PEFT's own, but for `bitfit`, which PEFT 0.21 serves by its tuner BEFT.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from submillion.budget import on_layer
from submillion.budget.families import Family
from submillion.budget.on_layer import Shape, Shapes

if TYPE_CHECKING:
    from submillion.budget.candidate import Plan

PROMPT = "prompt_encoder.default.embedding.weight"
"""PEFT's name of the virtual tokens' embeddings in a ``PeftModel``."""


@dataclass(frozen=True)
class Method:
    """One way to adapt an encoder.

    Attributes:
        name: As the user writes it.
        about: What it trains, in a few words.
        source: The paper.
        formula: Its count for one layer of shape (d_out, d_in), in text.
        trained: ``(rank, d_out, d_in)`` -> name, as PEFT names it below the adapted layer, and shape of every
            parameter trained there.
        trained_on_input: The same for the layers that close a feed-forward block, where that differs.
        adapts: "linear" layers, the "layer norm" of each place, or the "prompt".
        config: Name of PEFT's config class.
        arguments: What the method adds to that config.
        ranks: The ranks that layers of these shapes allow, ascending; None: the method has no rank.
        usual_rank: The largest rank that is taken where the recipe leaves it open.
        has_alpha: Whether ``lora_alpha`` scales it.
        has_dropout: Whether ``lora_dropout`` is before its first matrix.
        is_low_rank_pair: Whether it is LoRA's pair of A and B, with a rank of its own on each layer if wanted.
        merges: Whether it merges into the weights of the encoder.
        targets: Patterns that are the method's own `default`; None: the family's.
        has_fast_path: Whether `submillion.fast` runs it.
        frozen: Parameters that PEFT counts on each adapted layer and never trains.
    """

    name: str
    about: str
    source: str
    formula: str
    trained: Callable[[int, int, int], dict[str, Shape]]
    arguments: Callable[["Plan"], dict[str, Any]]
    config: str = "LoraConfig"
    trained_on_input: Callable[[int, int, int], dict[str, Shape]] | None = None
    adapts: str = "linear"
    ranks: Callable[[Shapes], Sequence[int]] | None = None
    usual_rank: int = 8
    has_alpha: bool = False
    has_dropout: bool = False
    is_low_rank_pair: bool = False
    merges: bool = True
    targets: Callable[[Family], tuple[str, ...]] | None = None
    has_fast_path: bool = False
    frozen: int = 0

    @property
    def has_rank(self) -> bool:
        """Whether there is a rank to choose."""
        return self.ranks is not None

    def on(self, rank: int, d_out: int, d_in: int, *, closes_feed_forward: bool) -> dict[str, Shape]:
        """Return the parameters trained on one linear layer."""
        own = self.trained_on_input if closes_feed_forward and self.trained_on_input else self.trained
        return own(rank, d_out, d_in)


def _pair(plan: "Plan") -> dict[str, Any]:
    return {"r": plan.rank, "lora_alpha": plan.lora_alpha, "lora_dropout": plan.lora_dropout, "bias": "none"}


def target_rank(init_rank: int) -> int:
    """Return AdaLoRA's ``target_r``: two thirds of ``init_r``, as the paper begins with 1.5 times what it ends with.

    >>> target_rank(12), target_rank(1)
    (8, 1)
    """
    return max(1, round(init_rank / 1.5))


def _adalora_arguments(plan: "Plan") -> dict[str, Any]:
    """``total_step`` is only known when training begins: `submillion.training.adalora` sets it."""
    rank = plan.rank or 1
    own = _pair(plan) | {"init_r": rank, "target_r": target_rank(rank), "total_step": 1}
    del own["r"]
    return own


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        row.name: row
        for row in (
            Method(
                "lora",
                "a pair of low-rank matrices beside each weight",
                "Hu et al. 2021, arXiv:2106.09685, section 4.1",
                "r (d_out + d_in)",
                on_layer.lora,
                _pair,
                ranks=on_layer.up_to_smallest,
                has_alpha=True,
                has_dropout=True,
                is_low_rank_pair=True,
                has_fast_path=True,
            ),
            Method(
                "rslora",
                "LoRA scaled by alpha / sqrt(r) instead of alpha / r",
                "Kalajdzievski 2023, arXiv:2312.03732",
                "r (d_out + d_in)",
                on_layer.lora,
                lambda plan: _pair(plan) | {"use_rslora": True},
                ranks=on_layer.up_to_smallest,
                has_alpha=True,
                has_dropout=True,
                is_low_rank_pair=True,
                has_fast_path=True,
            ),
            Method(
                "dora",
                "LoRA for the direction of each weight's rows, and a vector for their length",
                "Liu et al. 2024, arXiv:2402.09353",
                "r (d_out + d_in) + d_out",
                on_layer.dora,
                lambda plan: _pair(plan) | {"use_dora": True},
                ranks=on_layer.up_to_smallest,
                has_alpha=True,
                has_dropout=True,
            ),
            Method(
                "adalora",
                "singular triplets P, Lambda, Q beside each weight, a third of them pruned while it trains",
                "Zhang et al. 2023, arXiv:2303.10512",
                "r (d_out + d_in + 1)",
                on_layer.adalora,
                _adalora_arguments,
                config="AdaLoraConfig",
                ranks=on_layer.up_to_smallest,
                has_alpha=True,
                has_dropout=True,
                frozen=1,  # `ranknum`
            ),
            Method(
                "loha",
                "the elementwise product of two low-rank pairs beside each weight",
                "Hyeon-Woo et al. 2022, arXiv:2108.06098",
                "2 r (d_out + d_in)",
                on_layer.loha,
                lambda plan: {"r": plan.rank, "alpha": plan.lora_alpha},
                config="LoHaConfig",
                ranks=on_layer.up_to_smallest,
                has_alpha=True,
            ),
            Method(
                "lokr",
                "a Kronecker product beside each weight, its larger factor of low rank",
                "Yeh et al. 2024, arXiv:2309.14859",
                "a c + r (b + d), or a c + b d from r = max(b, d) / 2 on, with d_out = a b, d_in = c d",
                on_layer.lokr,
                lambda plan: {"r": plan.rank, "alpha": plan.lora_alpha},
                config="LoKrConfig",
                ranks=on_layer.until_whole,
                has_alpha=True,
            ),
            Method(
                "vera",
                "two vectors around frozen random matrices that all layers share",
                "Kopiczko et al. 2024, arXiv:2310.11454",
                "d_out + r",
                on_layer.vera,
                lambda plan: {"r": plan.rank, "vera_dropout": plan.lora_dropout},
                config="VeraConfig",
                ranks=on_layer.up_to_largest,
                usual_rank=256,  # PEFT's default
                has_dropout=True,
            ),
            Method(
                "oft",
                "a rotation of what each layer reads, in blocks of r",
                "Qiu et al. 2023, arXiv:2306.07280",
                "d_in (r - 1) / 2",
                on_layer.oft,
                lambda plan: {"oft_block_size": plan.rank},
                config="OFTConfig",
                ranks=on_layer.block_sizes,
                usual_rank=32,  # PEFT's default
            ),
            Method(
                "boft",
                "the same by whole blocks, and a scale for each output",
                "Liu et al. 2024, arXiv:2311.06243",
                "d_in r + d_out",
                on_layer.boft,
                lambda plan: {
                    "boft_block_size": plan.rank,
                    "boft_block_num": 0,
                    "boft_n_butterfly_factor": 1,
                },
                config="BOFTConfig",
                ranks=on_layer.block_sizes,
            ),
            Method(
                "ia3",
                "a factor for each output of a layer; for each input of one that closes a feed-forward block",
                "Liu et al. 2022, arXiv:2205.05638",
                "d_out, or d_in",
                on_layer.ia3_out,
                lambda plan: {"feedforward_modules": list(plan.feedforward_modules)},
                config="IA3Config",
                trained_on_input=on_layer.ia3_in,
                targets=lambda family: (
                    *((family.fused,) if family.fused else (family.key, family.value)),
                    family.feed_forward[-1],
                ),
            ),
            Method(
                "bitfit",
                "the biases of the linear layers",
                "Ben Zaken et al. 2022, arXiv:2106.10199; PEFT's tuner BEFT",
                "d_out",
                on_layer.bitfit,
                lambda plan: {},
                config="BeftConfig",
                targets=lambda family: family.named_sets()["all-linear"],
            ),
            Method(
                "ln_tuning",
                "the layer norms' weights and biases",
                "Zhao et al. 2023, arXiv:2312.11420",
                "2 x width a layer norm",
                on_layer.nothing,
                lambda plan: {},
                config="LNTuningConfig",
                adapts="layer norm",
            ),
            Method(
                "prompt_tuning",
                "the embeddings of virtual tokens before each text",
                "Lester et al. 2021, arXiv:2104.08691",
                "virtual tokens x width",
                on_layer.nothing,
                lambda plan: {
                    "num_virtual_tokens": plan.num_virtual_tokens,
                    "prompt_tuning_init": "SAMPLE_VOCAB",
                },
                config="PromptTuningConfig",
                adapts="prompt",
                merges=False,
            ),
        )
    }
)
"""Every method by name. A new one is a new row."""

FAST = tuple(name for name, method in METHODS.items() if method.has_fast_path)
"""The methods that `submillion.fast` knows how to run."""

INITIALISATIONS = ("gaussian", "orthogonal", "eva", "pissa", "olora")
"""PEFT's ``init_lora_weights`` that are served, for methods of LoRA's pair."""

MOVING_BASE = ("pissa", "olora")
"""Those that take their start out of the encoder's weights."""

MARKS = (
    "lora_",
    "ranknum.",
    "hada_",
    "lokr_",
    "vera_lambda_",
    "oft_R",
    "boft_",
    "ia3_l.",
    "beft_",
    "ln_tuning_layers.",
)
"""What PEFT puts into the name of a parameter that an adapter adds to a layer."""


def is_of_adapter(name: str) -> bool:
    """Return whether a parameter of this name was added by an adapter, its head excepted.

    >>> is_of_adapter("encoder.layer.0.attention.self.query.lora_A.default.weight")
    True
    >>> is_of_adapter("encoder.layer.0.attention.self.query.base_layer.weight")
    False
    """
    return any(mark in name for mark in MARKS) or name.endswith(PROMPT)
