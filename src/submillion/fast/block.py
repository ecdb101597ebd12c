"""One BERT-shaped block (BERT, MiniLM, RoBERTa, XLM-R, CamemBERT) made of the fast pieces.

It registers the stock block's own children under their own names, so that PEFT, state dicts and saved adapters see
the block they know; whatever the pieces do not serve goes through the stock block itself.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers.activations import GELUActivation

from submillion.fast.adapted import AdaptedProduct, is_served
from submillion.fast.add_norm import Normed, add_norm
from submillion.fast.attention import first_token_attention, self_attention
from submillion.fast.dropout import MaskPool

NARROW = 512
"""Width up to which a block keeps what a wider one makes again in the backward pass, for memory."""


class FastBlock(nn.Module):
    """A stock block's children, run by the fast pieces.

    Args:
        block: The stock block, PEFT's layers in place, its encoder frozen.
        pieces: Which pieces are switched on; see `submillion.speedups`.
        form: Of the frozen matrices; see `FrozenProduct`.
        masks: Pools of dropout masks by their probability; None: each layer draws its own.
        draws_masks: Whether this block, the first, draws the pools anew.
        first_token_only: Whether only the first token's output is wanted; the output then has one token a row.
        output_dtype: What the block's output is cast to; None: left as it is.
    """

    def __init__(
        self,
        block: Any,
        *,
        pieces: frozenset[str],
        form: str,
        masks: dict[float, MaskPool] | None,
        draws_masks: bool,
        first_token_only: bool,
        output_dtype: torch.dtype | None,
    ):
        super().__init__()
        self.attention, self.intermediate, self.output = block.attention, block.intermediate, block.output
        self._stock = (block,)  # in a tuple, for its children are registered here already
        self._pieces = pieces
        self._form = form
        self.training = block.training
        self._masks = masks
        self._draws_masks = draws_masks
        self._output_dtype = output_dtype
        self.first_token_only = first_token_only
        self._layers = block_layers(block)
        query, key, value, *others = self._layers
        if first_token_only:
            projections = [[query], [key, value]]
        else:
            projections = [[query, key, value]] if "fused_qkv" in pieces else [[query], [key], [value]]
        self._projections = [self._product(layers) for layers in projections]
        self._fuses_gelu = "gelu_again" in pieces and isinstance(
            self.intermediate.intermediate_act_fn, GELUActivation
        )
        self._attention_output, self._up, self._down = (self._product([layer]) for layer in others)

    def _product(self, layers: Sequence[nn.Module]) -> Callable[[torch.Tensor], torch.Tensor]:
        if "fused_lora" in self._pieces:
            is_narrow = self.attention.output.LayerNorm.normalized_shape[-1] <= NARROW
            return AdaptedProduct(layers, self._masks, self._form, keeps_dropped=is_narrow)
        return lambda x: _side_by_side([layer(x) for layer in layers])

    @property
    def is_served(self) -> bool:
        """Whether the pieces compute what the stock block, in its present state, does."""
        dropouts = (self.attention.self.dropout, self.attention.output.dropout, self.output.dropout)
        has_dropout = self.training and any(dropout.p > 0 for dropout in dropouts)
        return not has_dropout and all(is_served(layer) for layer in self._layers)

    def unpack(self) -> None:
        """Give the layers back their weights, where products have put them away; the products are plain from then on."""
        for product in (*self._projections, self._attention_output, self._up, self._down):
            if isinstance(product, AdaptedProduct):
                product.product.unpack()

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return the block's output, `[rows, tokens, width]`; one token a row where only the first is wanted.

        The stock block takes its layers' own weights, so that a packed one stays plain once it has run. Training and
        prediction never come to that: with packed matrices nothing is cast by autocast, merged, or dropped inside the encoder.
        """
        if self.is_served and not torch.is_autocast_enabled(hidden_states.device.type):
            output = self._run(hidden_states, _key_mask(attention_mask, hidden_states.dtype))
        else:
            self.unpack()
            output = self._stock[0](hidden_states, attention_mask, *args, **kwargs)
        return output if self._output_dtype is None else output.to(self._output_dtype)

    def _run(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        n_rows, n_tokens, width = hidden.shape
        if self._draws_masks and self._masks is not None and self.training:
            for pool in self._masks.values():
                pool.draw(n_rows * n_tokens, hidden.device)
        x = hidden.reshape(-1, width)
        if self.first_token_only:
            context, residual = self._first_context(hidden, x, mask), hidden[:, 0]
        else:
            context, residual = self._context(x, mask, n_rows), x
        attended, normed = self._add_norm(
            self._attention_output(context), residual, self.attention.output.LayerNorm
        )
        output, _ = self._add_norm(self._feed_forward(attended, normed), attended, self.output.LayerNorm)
        return output.view(n_rows, -1, width)

    def _feed_forward(self, x: torch.Tensor, normed: Normed | None) -> torch.Tensor:
        """Return the two feed-forward layers' output, `[tokens, width]`; ``normed`` is what ``x`` is made from."""
        raised = self._up(x, normed=normed) if isinstance(self._up, AdaptedProduct) else self._up(x)
        if self._fuses_gelu and isinstance(self._down, AdaptedProduct):
            return self._down(raised, of_gelu=True)
        return self._down(self.intermediate.intermediate_act_fn(raised))

    def _context(self, x: torch.Tensor, mask: torch.Tensor | None, n_rows: int) -> torch.Tensor:
        """Return every token's attended values, `[rows * tokens, width]`."""
        projected = _side_by_side([projection(x) for projection in self._projections])
        projected = projected.view(n_rows, len(x) // n_rows, -1)
        n_heads, width = self.attention.self.num_attention_heads, x.shape[-1]
        if "fast_attention" in self._pieces and x.device.type == "cpu":
            return self_attention(projected, mask, n_heads).view(x.shape)
        query, key, value = (
            part.view(n_rows, -1, n_heads, width // n_heads).transpose(1, 2)
            for part in projected.chunk(3, -1)
        )
        bias = None if mask is None else mask[:, None, None, :]
        context = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return context.transpose(1, 2).reshape(x.shape)

    def _first_context(
        self, hidden: torch.Tensor, x: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the first token's attended values, `[rows, width]`."""
        of_query, of_key_value = self._projections
        query, key_value = of_query(hidden[:, 0]), of_key_value(x).view(*hidden.shape[:2], -1)
        return first_token_attention(query, key_value, mask, self.attention.self.num_attention_heads)

    def _add_norm(
        self, x: torch.Tensor, residual: torch.Tensor, norm: nn.LayerNorm
    ) -> tuple[torch.Tensor, Normed | None]:
        return add_norm(x, residual, norm) if "fused_norm" in self._pieces else (norm(x + residual), None)


def block_layers(block: Any) -> list[nn.Module]:
    """Return a block's query, key, value, attention output and two feed-forward layers."""
    heads, attended = block.attention.self, block.attention.output.dense
    return [heads.query, heads.key, heads.value, attended, block.intermediate.dense, block.output.dense]


def _side_by_side(columns: list[torch.Tensor]) -> torch.Tensor:
    return columns[0] if len(columns) == 1 else torch.cat(columns, -1)


def _key_mask(mask: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor | None:
    """Return transformers' mask, `[rows, 1, queries, keys]`, as what is added to each key, `[rows, keys]`."""
    if mask is None:
        return None
    of_keys = mask[:, 0, 0]
    if of_keys.dtype == torch.bool:
        return torch.zeros(of_keys.shape, dtype=dtype, device=mask.device).masked_fill_(~of_keys, -torch.inf)
    return of_keys
