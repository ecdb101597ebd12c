"""Self-attention as plain batched products, forward and backward in one autograd function each.

On a CPU the backward pass of `scaled_dot_product_attention` is many times slower than four batched products, and
autograd's own needs copies to cut queries, keys and values out of one product and to put their gradients together
again: here each is one pass. Softmax runs in fp32 also over bf16 (it is faster so, and more exact).
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable


def self_attention(projected: torch.Tensor, mask: torch.Tensor | None, n_heads: int) -> torch.Tensor:
    """Return the attended values of every token.

    Args:
        projected: Queries, keys and values side by side, `[rows, tokens, 3 * width]`.
        mask: Added to the scores of each key, `[rows, tokens]`: 0, or -inf on padding; None: no padding.
        n_heads: Heads; each takes ``width / n_heads`` columns.

    Returns:
        `[rows, tokens, width]`.
    """
    output: torch.Tensor = _SelfAttention.apply(projected, mask, n_heads)  # type: ignore[no-untyped-call]
    return output


def first_token_attention(
    query: torch.Tensor, projected: torch.Tensor, mask: torch.Tensor | None, n_heads: int
) -> torch.Tensor:
    """Return the attended values of the first token only.

    Args:
        query: The first token's queries, `[rows, width]`.
        projected: Keys and values of every token side by side, `[rows, tokens, 2 * width]`.
        mask: As in `self_attention`.
        n_heads: Heads.

    Returns:
        `[rows, width]`.
    """
    output: torch.Tensor = _FirstTokenAttention.apply(query, projected, mask, n_heads)  # type: ignore[no-untyped-call]
    return output


class _SelfAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: torch.Tensor, mask: torch.Tensor | None, n_heads: int) -> torch.Tensor:
        split = _by_head(projected, 3, n_heads)
        context, probabilities = _attend(split[0], split[1:], mask)
        ctx.n_heads = n_heads
        ctx.save_for_backward(split, probabilities)
        return _side_by_side(context[None], n_heads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        split, probabilities = ctx.saved_tensors
        of_split = torch.empty_like(split)
        of_context = _by_head(gradient, 1, ctx.n_heads)[0]
        _attend_backward(of_context, split[0], split[1:], probabilities, of_split[0], of_split[1:])
        return _side_by_side(of_split, ctx.n_heads), None, None


class _FirstTokenAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, projected: torch.Tensor, mask: torch.Tensor | None, n_heads: int
    ) -> torch.Tensor:
        first, split = _by_head(query[:, None], 1, n_heads), _by_head(projected, 2, n_heads)
        context, probabilities = _attend(first[0], split, mask)
        ctx.n_heads = n_heads
        ctx.save_for_backward(first, split, probabilities)
        return _side_by_side(context[None], n_heads)[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        first, split, probabilities = ctx.saved_tensors
        of_first, of_split = torch.empty_like(first), torch.empty_like(split)
        of_context = _by_head(gradient[:, None], 1, ctx.n_heads)[0]
        _attend_backward(of_context, first[0], split, probabilities, of_first[0], of_split)
        return (
            _side_by_side(of_first, ctx.n_heads)[:, 0],
            _side_by_side(of_split, ctx.n_heads),
            None,
            None,
        )


def _by_head(tokens: torch.Tensor, n_parts: int, n_heads: int) -> torch.Tensor:
    """Cut `[rows, tokens, parts * width]` into `[parts, rows * heads, tokens, width / heads]`."""
    n_rows, n_tokens, width = tokens.shape
    cut = tokens.view(n_rows, n_tokens, n_parts, n_heads, width // (n_parts * n_heads))
    return cut.permute(2, 0, 3, 1, 4).reshape(n_parts, n_rows * n_heads, n_tokens, -1)


def _side_by_side(parts: torch.Tensor, n_heads: int) -> torch.Tensor:
    """Undo `_by_head`."""
    n_parts, n_all, n_tokens, width = parts.shape
    cut = parts.view(n_parts, n_all // n_heads, n_heads, n_tokens, width)
    return cut.permute(1, 3, 0, 2, 4).reshape(n_all // n_heads, n_tokens, -1)


def _attend(
    query: torch.Tensor, key_value: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return context and probabilities of queries, and of keys and values, by head."""
    key, value = key_value
    scores = _scaled(query, key.transpose(1, 2), query.shape[-1])
    exact = scores.float() if scores.dtype == torch.bfloat16 else scores
    if mask is not None:
        by_row = exact.view(mask.shape[0], -1, mask.shape[1])
        by_row.add_(mask[:, None].to(exact.dtype))
    probabilities = torch.softmax(exact, -1).to(scores.dtype)
    return torch.bmm(probabilities, value), probabilities


def _attend_backward(
    of_context: torch.Tensor,
    query: torch.Tensor,
    key_value: torch.Tensor,
    probabilities: torch.Tensor,
    of_query: torch.Tensor,
    of_key_value: torch.Tensor,
) -> None:
    """Write the gradients of queries, and of keys and values."""
    key, value = key_value
    torch.bmm(probabilities.transpose(1, 2), of_context, out=of_key_value[1])
    of_probabilities = torch.bmm(of_context, value.transpose(1, 2))
    of_scores = torch.ops.aten._softmax_backward_data(
        of_probabilities, probabilities, -1, probabilities.dtype
    )
    _scaled(of_scores, key, query.shape[-1], out=of_query)
    _scaled(of_scores.transpose(1, 2), query, query.shape[-1], out=of_key_value[0])


def _scaled(
    left: torch.Tensor, right: torch.Tensor, width: int, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the batched product over the square root of ``width``, scaled within the product."""
    unread = left.new_empty(()) if out is None else out
    return torch.baddbmm(unread, left, right, beta=0, alpha=width**-0.5, out=out)
