"""A frozen product and the LoRA updates that read the same input, as one autograd function.

Plain autograd runs LoRA (Hu et al. 2021, arXiv:2106.09685, section 4.1) as five operations a layer, keeps the input
twice (as it is and after dropout), and adds two more passes over the output. Here the input is kept as it is or after
dropout, the update is added into the output in place, and the two skinny gradients are taken in the order that is
fast: ``(xa^T g)^T``, never ``g^T xa``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from submillion.fast.add_norm import Normed
from submillion.fast.frozen import FrozenProduct


@dataclass(frozen=True)
class LoraPart:
    """One LoRA update of a product.

    Attributes:
        rows: Which columns of the product's output it is added to.
        scaling: PEFT's factor, ``lora_alpha / rank`` or ``lora_alpha / sqrt(rank)``; with a mask divided by the
            probability that an element is kept, so that the mask itself is exact in bf16.
        a: ``A``, `[rank, d_in]`.
        b: ``B``, `[d_out, rank]`.
        mask: Dropout's mask of the input, 0 or 1, `[tokens, d_in]`; None without dropout.
    """

    rows: slice
    scaling: float
    a: torch.Tensor
    b: torch.Tensor
    mask: torch.Tensor | None


def lora_product(
    x: torch.Tensor,
    product: FrozenProduct,
    parts: Sequence[LoraPart],
    *,
    of_gelu: bool = False,
    normed: Normed | None = None,
    keeps_dropped: bool = False,
) -> torch.Tensor:
    """Return ``x W^T + b``, each part's ``scaling (x * mask) A^T B^T`` added to its columns.

    Args:
        x: `[tokens, d_in]`, in the dtype of the frozen matrix.
        product: The frozen matrix.
        parts: The updates; their ``a`` and ``b`` may be of a wider dtype, as fp32 masters of a bf16 product.
        of_gelu: Take the exact GELU of ``x`` for ``x``, the widest tensor of a block.
        normed: What ``x`` is made from, kept in its place: the norm keeps it already.
        keeps_dropped: Keep a single update's input after GELU and dropout, which takes memory and less time. Otherwise it
            is made again in the backward pass, as that of several updates is.

    Returns:
        `[tokens, d_out]`.
    """
    matrices = [matrix for part in parts for matrix in (part.a, part.b)]
    output: torch.Tensor = _LoraProduct.apply(  # type: ignore[no-untyped-call]
        x, product, tuple(parts), of_gelu, normed, keeps_dropped and len(parts) == 1, *matrices
    )
    return output


class _LoraProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        product: FrozenProduct,
        parts: tuple[LoraPart, ...],
        of_gelu: bool,
        normed: Normed | None,
        keeps_dropped: bool,
        *matrices: torch.Tensor,
    ) -> torch.Tensor:
        before = x
        if of_gelu:
            x = nn.functional.gelu(before)
        dropped = _dropped(x, parts[0].mask) if keeps_dropped else None
        kept: list[Any] = []
        for part in parts:
            a, b_t = _narrow(part.a, x.dtype), _narrow(part.b.t() * part.scaling, x.dtype)
            low = nn.functional.linear(_dropped(x, part.mask) if dropped is None else dropped, a)
            kept += [a, b_t, low, part.mask]
        output = product.forward(x)
        for part, b_t, low in zip(parts, kept[1::4], kept[2::4], strict=True):
            output[:, part.rows].addmm_(low, b_t)
        ctx.product, ctx.parts, ctx.of_gelu = product, parts, of_gelu
        ctx.norm = None if normed is None else normed.norm
        if normed is not None:
            before = normed.total
        needs_before = of_gelu or (bool(parts) and dropped is None)
        ctx.save_for_backward(before if needs_before else None, dropped, *kept)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient = gradient.contiguous()
        before, dropped, *kept = ctx.saved_tensors
        x = before
        if ctx.parts and dropped is None:
            if ctx.norm is not None:
                x = Normed(before, ctx.norm).again()
            elif ctx.of_gelu:
                x = nn.functional.gelu(before)
        of_matrices: list[torch.Tensor | None] = []
        of_lows = []
        for part, b_t, low, mask in zip(ctx.parts, kept[1::4], kept[2::4], kept[3::4], strict=True):
            rank = len(part.a)
            of_part = gradient[:, part.rows]
            of_lows.append(nn.functional.linear(of_part, b_t))
            of_a = of_lows[-1].t() @ (_dropped(x, mask) if dropped is None else dropped)
            of_matrices.append(of_a[:rank].to(part.a.dtype))
            of_matrices.append((low.t() @ of_part)[:rank].t().to(part.b.dtype) * part.scaling)
        del x  # the widest of a block, before there is another one
        if not ctx.needs_input_grad[0]:
            return (None, None, None, None, None, None, *of_matrices)
        of_input = ctx.product.backward(gradient)
        for a, of_low, mask in zip(kept[0::4], of_lows, kept[3::4], strict=True):
            if mask is None:
                of_input.addmm_(of_low, a)
            else:
                of_input.addcmul_(of_low @ a, mask)
        if ctx.of_gelu:
            torch.ops.aten.gelu_backward.grad_input(of_input, before, grad_input=of_input)
        return (of_input, None, None, None, None, None, *of_matrices)


def _dropped(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return x if mask is None else x * mask


NARROWEST = 8


def _narrow(matrix: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a matrix of few rows in ``dtype``; in bf16 filled up to eight, which takes less time than three."""
    missing = max(0, NARROWEST - len(matrix)) if dtype == torch.bfloat16 else 0
    return nn.functional.pad(matrix.to(dtype), (0, 0, 0, missing)).contiguous()
