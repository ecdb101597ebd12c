"""What oneDNN builds for a new shape, built before the micro-batches that need it.

For each product oneDNN builds and keeps code for each number of tokens, about half a megabyte, and the heap places it
where there is room: in the middle of a step that is between that step's tensors. They are freed, the code stays, and the
next step's tensors no longer fit into what is left between. Here one block of each kind is run beforehand, forward and
backward, while nothing else is around.
"""

from collections.abc import Iterable

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from submillion.fast.block import FastBlock, block_layers
from submillion.fast.lora_product import NARROWEST

MOST_SHAPES = 24
"""Shapes that are built ahead: oneDNN keeps 1,024 of what it builds, and what was not used the longest goes first."""


def build_ahead(model: nn.Module, shapes: Iterable[tuple[int, int]]) -> None:
    """Run the first fast block of each kind once on zeros of each shape; gradients and random state stay as they are.

    Args:
        model: In bf16, on a CPU, in training mode; one without fast blocks is left alone.
        shapes: Rows, and tokens a row, of the micro-batches to come; at most `MOST_SHAPES`.
    """
    kinds: dict[object, FastBlock] = {}
    for module in model.modules():
        if isinstance(module, FastBlock):
            kinds.setdefault(_kind(module), module)
    with torch.random.fork_rng(devices=[]):
        for shape in shapes:
            for block in kinds.values():
                width = block.attention.output.LayerNorm.normalized_shape[-1]
                hidden = torch.zeros(*shape, width, dtype=torch.bfloat16, requires_grad=True)
                trained = [parameter for parameter in block.parameters() if parameter.requires_grad]
                torch.autograd.grad(block(hidden).sum(), [hidden, *trained], allow_unused=True)


def _kind(block: FastBlock) -> object:
    """Return what two blocks have in common that run the same products."""
    ranks = [
        tuple(max(rank, NARROWEST) for rank in layer.r.values()) if isinstance(layer, LoraLayer) else ()
        for layer in block_layers(block)
    ]
    return block.first_token_only, tuple(ranks)
