"""A residual sum and its layer norm as one autograd function.

The norm's weight and bias are frozen: their gradients, which autograd takes with the input's in one call, are left
out, and sum and norm share one gradient for both inputs.
"""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable


def add_norm(x: torch.Tensor, residual: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    """Return the layer norm of ``x + residual``, `[tokens, width]`; ``norm`` is frozen."""
    output: torch.Tensor = _AddNorm.apply(x, residual, norm)  # type: ignore[no-untyped-call]
    return output


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, residual: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
        total = x + residual
        output, mean, scale = torch.native_layer_norm(
            total, norm.normalized_shape, norm.weight, norm.bias, norm.eps
        )
        ctx.norm = norm
        ctx.save_for_backward(total, mean, scale)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
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
