"""Linear layers with PEFT's LoRA on them, run as one `lora_product`."""

from collections.abc import Sequence
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from submillion.fast.add_norm import Normed
from submillion.fast.dropout import MaskPool, drawn_mask
from submillion.fast.frozen import FrozenProduct
from submillion.fast.lora_product import LoraPart, lora_product


class AdaptedProduct:
    """Linear layers that read the same input, LoRA's updates included, as one `lora_product`.

    Args:
        layers: ``nn.Linear`` or PEFT's LoRA layers over one.
        masks: Where dropout masks come from; None: each layer draws its own.
        form: Of the frozen matrix; see `FrozenProduct`.
        keeps_dropped: See `lora_product`.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        masks: dict[float, MaskPool] | None,
        form: str,
        keeps_dropped: bool = False,
    ):
        self.layers = tuple(layers)
        self.masks = masks
        self.keeps_dropped = keeps_dropped
        self.product = FrozenProduct([_base(layer) for layer in layers], form)

    def __call__(
        self, x: torch.Tensor, *, of_gelu: bool = False, normed: Normed | None = None
    ) -> torch.Tensor:
        """Return all layers' outputs side by side, `[tokens, d_in]` to `[tokens, d_out]`; see `lora_product`."""
        self.product.follow()
        parts, start = [], 0
        for layer in self.layers:
            stop = start + _base(layer).out_features
            if isinstance(layer, LoraLinear) and not layer.disable_adapters:
                for name in layer.active_adapters:
                    if name in layer.lora_A:
                        parts.append(self._part(layer, name, slice(start, stop), x))
            start = stop
        return lora_product(
            x, self.product, parts, of_gelu=of_gelu, normed=normed, keeps_dropped=self.keeps_dropped
        )

    def _part(self, layer: LoraLinear, name: str, rows: slice, x: torch.Tensor) -> LoraPart:
        a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
        dropout = layer.lora_dropout[name]
        p = dropout.p if isinstance(dropout, nn.Dropout) and dropout.training else 0.0
        mask: torch.Tensor | None = None
        if p > 0 and self.masks is not None and p in self.masks:
            mask = self.masks[p].mask(x.shape[0], x.shape[1])
        elif p > 0:
            mask = drawn_mask(x, p)
        return LoraPart(rows, layer.scaling[name] / (1 - p), a, b, mask)


def is_served(layer: Any) -> bool:
    """Whether a linear layer, in its present state, is what `AdaptedProduct` computes."""
    if type(layer) is nn.Linear:
        return True
    return (
        type(layer) is LoraLinear
        and not layer.merged
        and not layer.lora_variant
        and not layer.fan_in_fan_out
        and not any(layer.lora_bias.values())
        and type(layer.base_layer) is nn.Linear
    )


def _base(layer: nn.Module) -> nn.Linear:
    base = layer.base_layer if isinstance(layer, LoraLinear) else layer
    assert isinstance(base, nn.Linear)
    return base
