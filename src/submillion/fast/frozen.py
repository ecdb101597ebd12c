"""Products with constant matrices: the frozen weights of one or several linear layers that read the same input."""

from collections.abc import Sequence

import torch
from torch import nn

_ROWS_HINT = 1024
"""Tokens of a usual micro-batch, for which oneDNN chooses the packed layout."""


class FrozenProduct:
    """``x W^T + b`` and the gradient ``g W`` of its input; the matrix itself gets none.

    Several linear layers become one product over their stacked rows: one pass over ``x`` in place of several,
    and a wider product, which runs nearer to the processor's rate.

    Since the matrix never changes it can be packed once, as oneDNN wants it, for either direction; otherwise that
    is done anew in every product. The layers' own weights are then put away until `unpack`, so that two copies are
    held and not three.

    Args:
        linears: Frozen ``nn.Linear`` layers with the same number of inputs.
        packed: Pack where this torch can, which takes bf16 on a processor that has it.
    """

    def __init__(self, linears: Sequence[nn.Linear], packed: bool):
        self.linears = tuple(linears)
        self.packed = packed and can_pack(self.linears[0].weight)
        self._stack()

    @torch.no_grad()
    def _stack(self) -> None:
        if len(self.linears) == 1:
            self.weight, self.bias = self.linears[0].weight.detach(), self.linears[0].bias.detach()
        else:
            self.weight = torch.cat([linear.weight for linear in self.linears])
            self.bias = torch.cat([linear.bias for linear in self.linears])
        if self.packed:
            self.backward_weight = torch.ops.mkldnn._reorder_linear_weight(
                self.weight.t().contiguous(), _ROWS_HINT
            )
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, _ROWS_HINT)
            for linear in self.linears:
                linear.weight.data = linear.weight.new_empty(0)
        else:
            self._share()

    def _share(self) -> None:
        """Make the layers' weights views of the stack, so that nothing is held twice."""
        start = 0
        for linear in self.linears:
            stop = start + linear.out_features
            linear.weight.data, linear.bias.data = self.weight[start:stop], self.bias[start:stop]
            start = stop
        self._addresses = self._current_addresses()

    def _current_addresses(self) -> list[int]:
        return [linear.weight.data_ptr() for linear in self.linears]

    def follow(self) -> None:
        """Stack anew where the layers' weights have been moved or replaced since."""
        if not self.packed and self._current_addresses() != self._addresses:
            self._stack()

    @torch.no_grad()
    def unpack(self) -> None:
        """Give the layers their weights back, for whatever reads them itself."""
        if self.packed:
            self.packed = False
            self.weight = self.weight.to_dense()
            del self.backward_weight
            self._share()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x W^T + b``, `[tokens, d_in]` to `[tokens, d_out]`."""
        if self.packed:
            return packed_linear(x, self.weight, self.bias)
        return nn.functional.linear(x, self.weight, self.bias)

    def backward(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return ``g W``, `[tokens, d_out]` to `[tokens, d_in]`."""
        if self.packed:
            return packed_linear(gradient, self.backward_weight, None)
        return gradient @ self.weight


def can_pack(weight: torch.Tensor) -> bool:
    """Whether this torch packs such a matrix: bf16, on a CPU, with oneDNN."""
    return (
        weight.dtype == torch.bfloat16
        and weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def packed_linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return ``x W^T + b`` for a packed ``W``, by the operator that torch's own compiler uses for it."""
    output: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return output
