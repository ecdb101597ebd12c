"""The last block of a BERT-shaped encoder, of whose output only the first token is read."""

from typing import Any

import torch
from torch import nn

from submillion.budget.families import FAMILIES


class FirstTokenBlock(nn.Module):
    """A stock block that puts out its first token alone: the others' feed-forward layers are never read.

    Args:
        block: A block of transformers' BERT or RoBERTa, in evaluation mode.
    """

    def __init__(self, block: Any):
        super().__init__()
        self.block = block

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **__: Any
    ) -> torch.Tensor:
        """Return the block's output for the first token, `[n, 1, width]`, of `[n, tokens, width]`."""
        heads = self.block.attention.self
        first = hidden_states[:, :1]
        query, key, value = (
            _by_head(layer(x), heads.num_attention_heads)
            for layer, x in ((heads.query, first), (heads.key, hidden_states), (heads.value, hidden_states))
        )
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        context = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        attended = self.block.attention.output(context.transpose(1, 2).reshape(first.shape), first)
        output: torch.Tensor = self.block.output(self.block.intermediate(attended), attended)
        return output


def _by_head(x: torch.Tensor, n_heads: int) -> torch.Tensor:
    """Return `[n, tokens, width]` as `[n, heads, tokens, width / heads]`."""
    return x.reshape(x.shape[0], x.shape[1], n_heads, x.shape[2] // n_heads).transpose(1, 2)


def narrow_last_block(bare_encoder: Any) -> bool:
    """Let the last block compute the first token alone; return whether the family has a block that can."""
    family = FAMILIES.get(bare_encoder.config.model_type)
    if family is None or not family.has_fast_block:
        return False
    blocks = bare_encoder.get_submodule(family.blocks)
    blocks[-1] = FirstTokenBlock(blocks[-1])
    return True
