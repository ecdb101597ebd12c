"""Channels of like size for int8: what a linear layer reads is divided, its weights multiplied, channel by channel.

Activations get one scale for all channels, so that a few large channels leave the others few of the 256 steps
(SmoothQuant, Xiao et al. 2022, arXiv:2211.10438, section 4). How large a channel of a layer norm's output gets is read
from the norm's own weight and bias, so no text is needed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from submillion.budget.families import FAMILIES

DEVIATIONS = 3.0
"""A channel of a layer norm's output is taken to reach so many times its weight, and its bias."""


class Smoothed(nn.Module):
    """A linear layer whose input channels are of like size.

    Args:
        linear: Its weight is multiplied by ``size``.
        size: What the input is divided by, `[d_in]`.
    """

    inverse: torch.Tensor

    def __init__(self, linear: nn.Linear, size: torch.Tensor):
        super().__init__()
        self.linear = linear
        with torch.no_grad():
            linear.weight.mul_(size)
        self.register_buffer("inverse", 1 / size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the plain layer would."""
        output: torch.Tensor = self.linear(x * self.inverse)
        return output


def smooth(bare_encoder: Any) -> bool:
    """Smooth the layers of a BERT-shaped encoder that read a layer norm; return whether the family is one."""
    family = FAMILIES.get(bare_encoder.config.model_type)
    if family is None or not family.has_fast_block:
        return False
    norm = bare_encoder.embeddings.LayerNorm
    for block in bare_encoder.get_submodule(family.blocks):
        heads = block.attention.self
        size = _size(_reach(norm), [heads.query, heads.key, heads.value])
        heads.query, heads.key, heads.value = (
            Smoothed(layer, size) for layer in (heads.query, heads.key, heads.value)
        )
        up = block.intermediate
        up.dense = Smoothed(up.dense, _size(_reach(block.attention.output.LayerNorm), [up.dense]))
        norm = block.output.LayerNorm
    return True


@torch.no_grad()
def _reach(norm: nn.LayerNorm) -> torch.Tensor:
    """Return how large each channel of a layer norm's output gets, `[d_in]`."""
    return DEVIATIONS * norm.weight.abs() + norm.bias.abs()


@torch.no_grad()
def _size(reach: torch.Tensor, readers: Sequence[nn.Linear]) -> torch.Tensor:
    """Return the geometric mean of how large each channel gets and how small its weights are, `[d_in]`.

    >>> reader = nn.Linear(2, 1)
    >>> _ = reader.weight.data.fill_(1.0)
    >>> _size(torch.tensor([9.0, 36.0]), [reader])
    tensor([3., 6.])
    """
    weights = torch.stack([layer.weight.abs().amax(0) for layer in readers]).amax(0)
    return (reach.clamp(min=1e-5) / weights.clamp(min=1e-5)).sqrt()
