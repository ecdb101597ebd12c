"""A residual sum and its layer norm as one autograd function.

The norm's weight and bias are frozen: their gradients, which autograd takes with the input's in one call, are left
out, and sum and norm share one gradient for both inputs.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Normed:
    """What a layer norm keeps for its gradient, and what its output can be made from again.

    Attributes:
        total: The sum that is normed, `[tokens, width]`.
        norm: The frozen layer norm.
    """

    total: torch.Tensor
    norm: nn.LayerNorm

    def again(self) -> torch.Tensor:
        """Return the output, the same to the last bit."""
        return _normed(self.total, self.norm)[0]


def add_norm(x: torch.Tensor, residual: torch.Tensor, norm: nn.LayerNorm) -> tuple[torch.Tensor, Normed]:
    """Return the layer norm of ``x + residual``, `[tokens, width]`, and what it is made from; ``norm`` is frozen."""
    output, total = _AddNorm.apply(x, residual, norm)  # type: ignore[no-untyped-call]
    return output, Normed(total, norm)


def _normed(total: torch.Tensor, norm: nn.LayerNorm) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the output, and mean and scale of each token."""
    return torch.native_layer_norm(total, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, residual: torch.Tensor, norm: nn.LayerNorm
    ) -> tuple[torch.Tensor, torch.Tensor]:
        total = x + residual
        output, mean, scale = _normed(total, norm)
        ctx.norm = norm
        ctx.save_for_backward(total, mean, scale)
        ctx.mark_non_differentiable(total)
        ctx.set_materialize_grads(False)
        return output, total

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: torch.Tensor | None, _of_total: None
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        if gradient is None:
            return None, None, None
        total, mean, scale = ctx.saved_tensors
        norm = ctx.norm
        of_total = torch.ops.aten.native_layer_norm_backward(
            gradient.contiguous(),
            total,
            norm.normalized_shape,
            mean,
            scale,
            norm.weight,
            norm.bias,
            [True, False, False],
        )[0]
        return of_total, of_total, None
