"""What makes training fast, piece by piece: the names by which each is switched, and why it is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Speedup:
    """One piece.

    Attributes:
        what: What it does.
        serves: ``any`` family, or the ``blocks`` of families with `Family.has_fast_block`.
        where: The module that holds it.
    """

    what: str
    serves: str
    where: str


SPEEDUPS: Mapping[str, Speedup] = MappingProxyType(
    {
        "length_groups": Speedup(
            "Batches of like length, so that little is padding.", "any", "training.sampler"
        ),
        "few_lengths": Speedup(
            "Batches padded to one of four lengths for each doubling, so that few shapes are met.",
            "any",
            "scoring",
        ),
        "token_slices": Speedup(
            "Micro-batches of very many tokens in slices of their rows, more of a narrower encoder, for memory (CPU).",
            "any",
            "training.trainer",
        ),
        "fused_lora": Speedup(
            "A frozen product and its LoRA updates as one autograd function.", "blocks", "fast.lora_product"
        ),
        "fused_qkv": Speedup(
            "Query, key and value, which read the same input, as one product.", "blocks", "fast.frozen"
        ),
        "packed": Speedup(
            "Frozen matrices packed once for the processor, not in each product (bf16 only).",
            "blocks",
            "fast.packed",
        ),
        "fast_attention": Speedup(
            "Attention as batched products, forward and backward (CPU).", "blocks", "fast.attention"
        ),
        "built_ahead": Speedup(
            "What oneDNN builds for a shape, built before the first step and not between a step's tensors, for memory (CPU, not `exact`).",
            "blocks",
            "fast.built_ahead",
        ),
        "gelu_again": Speedup(
            "GELU and the product after it as one: its output, the widest of a block, is made again in the backward pass (narrow blocks keep it, once).",
            "blocks",
            "fast.lora_product",
        ),
        "fused_norm": Speedup(
            "Residual sum and frozen layer norm as one autograd function.", "blocks", "fast.add_norm"
        ),
        "first_token": Speedup(
            "The last block for the first token only, where the head reads no other.", "blocks", "fast.block"
        ),
        "shared_masks": Speedup(
            "Adapter dropout's masks from one pool a micro-batch (bf16 only).", "blocks", "fast.dropout"
        ),
        "step_graphs": Speedup(
            "A micro-batch's kernels recorded once for each shape and replayed, so that no card waits for Python (GPU).",
            "blocks",
            "training.step_graphs",
        ),
        "keep_memory": Speedup(
            "Freed memory is kept for the next step, not given back to the system (glibc).",
            "any",
            "model.device",
        ),
    }
)
