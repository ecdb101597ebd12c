"""Put the fast blocks into a built model, in the place of the stock ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.ln_tuning.layer import LNTuningLayer
from peft.tuners.lora import LoraLayer
from torch import nn

from submillion.budget.families import FAMILIES
from submillion.fast.adapted import is_served
from submillion.fast.block import FastBlock, block_layers
from submillion.fast.dropout import MaskPool
from submillion.fast.features import can_pack
from submillion.speedups import SPEEDUPS


def install(bare_encoder: Any, pieces: frozenset[str], numerics: str, *, first_token_only: bool) -> bool:
    """Replace each block of an encoder by a `FastBlock` over the same children.

    Args:
        bare_encoder: transformers' encoder, PEFT's layers in place, in the numerics that it shall run in.
        pieces: Which pieces are switched on; with none of the blocks' and exact numerics nothing is replaced.
        numerics: ``exact``, ``fast`` or ``int8``.
        first_token_only: Whether only the first token of the encoder's output is read.

    Returns:
        Whether the family has fast blocks; where it has none nothing is changed.
    """
    family = FAMILIES.get(bare_encoder.config.model_type)
    of_blocks = {name for name in pieces if SPEEDUPS[name].serves == "blocks"}
    if family is None or not family.has_fast_block or (numerics == "exact" and not of_blocks):
        return False
    blocks = bare_encoder.get_submodule(family.blocks)
    masks = None
    if "shared_masks" in pieces and numerics != "exact":
        widest = bare_encoder.config.intermediate_size
        masks = {p: MaskPool(p, torch.bfloat16, widest) for p in _dropouts(blocks) if p <= MaskPool.LARGEST}
    is_packed = numerics == "fast" and "packed" in pieces and can_pack() and bare_encoder.device.type == "cpu"
    form = "int8" if numerics == "int8" else "packed" if is_packed else "plain"
    for index, block in enumerate(blocks):
        if not all(is_served(layer) for layer in block_layers(block)) or _has_adapted_norms(block):
            continue  # an adapter of another kind, such as IA3: the stock block runs it
        is_last = index == len(blocks) - 1
        blocks[index] = FastBlock(
            block,
            pieces=pieces,
            form=form,
            masks=masks,
            draws_masks=index == 0,
            first_token_only=first_token_only and is_last and "first_token" in pieces,
            output_dtype=torch.float32 if is_last and numerics != "exact" else None,
        )
    return True


def _has_adapted_norms(block: nn.Module) -> bool:
    return any(isinstance(module, LNTuningLayer) for module in block.modules())


def _dropouts(blocks: nn.Module) -> set[float]:
    """Return the adapters' dropout probabilities above 0."""
    layers = [module for module in blocks.modules() if isinstance(module, LoraLayer)]
    dropouts = [dropout for layer in layers for dropout in layer.lora_dropout.values()]
    return {dropout.p for dropout in dropouts if isinstance(dropout, nn.Dropout) and dropout.p > 0}


@contextmanager
def every_token(model: nn.Module) -> Iterator[None]:
    """Let the last block put out every token, whatever the head reads."""
    narrowed = [
        module for module in model.modules() if isinstance(module, FastBlock) and module.first_token_only
    ]
    for block in narrowed:
        block.first_token_only = False
    try:
        yield
    finally:
        for block in narrowed:
            block.first_token_only = True
