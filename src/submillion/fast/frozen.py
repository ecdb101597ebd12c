"""Products with constant matrices: the frozen weights of one or several linear layers that read the same input."""

from collections.abc import Sequence

import torch
from torch import nn

from submillion.fast.int8 import Int8Matrix
from submillion.fast.packed import PackedMatrix


class FrozenProduct:
    """``x W^T + b`` and the gradient ``g W`` of its input; the matrix itself gets none.

    Several linear layers become one product over their stacked rows: one pass over ``x`` in place of several,
    and a wider product, which runs nearer to the processor's rate.

    Args:
        linears: Frozen ``nn.Linear`` layers with the same number of inputs.
        form: ``plain``: the stack, of which the layers' weights are made views, so that nothing is held twice.
            ``packed``: a `PackedMatrix` for each direction; the layers' own weights are put away until `unpack`.
            ``int8``: an `Int8Matrix` for each direction.
    """

    def __init__(self, linears: Sequence[nn.Linear], form: str = "plain"):
        self.linears = tuple(linears)
        self.form = form
        self._stack()

    @torch.no_grad()
    def _stack(self) -> None:
        if len(self.linears) == 1:
            self.weight, self.bias = self.linears[0].weight.detach(), self.linears[0].bias.detach()
        else:
            self.weight = torch.cat([linear.weight for linear in self.linears])
            self.bias = torch.cat([linear.bias for linear in self.linears])
        if self.form == "packed":
            self.matrices: tuple[PackedMatrix | Int8Matrix, PackedMatrix | Int8Matrix]
            self.matrices = PackedMatrix(self.weight, self.bias), PackedMatrix(self.weight.t(), None)
            self.weight = self.weight.new_empty(0)
            for linear in self.linears:
                linear.weight.data = self.weight
        else:
            self._share()
        if self.form == "int8":
            self.matrices = Int8Matrix(self.weight, self.bias), Int8Matrix(self.weight.t(), None)

    def _share(self) -> None:
        """Make the layers' weights views of the stack."""
        start = 0
        for linear in self.linears:
            stop = start + linear.out_features
            linear.weight.data, linear.bias.data = self.weight[start:stop], self.bias[start:stop]
            start = stop
        self._addresses = self._current_addresses()

    def _current_addresses(self) -> list[int]:
        tensors = [tensor for linear in self.linears for tensor in (linear.weight, linear.bias)]
        return [tensor.data_ptr() for tensor in tensors]

    def follow(self) -> None:
        """Stack anew where the layers' weights have been moved or replaced since."""
        if self.form != "packed" and self._current_addresses() != self._addresses:
            self._stack()

    @torch.no_grad()
    def unpack(self) -> None:
        """Give the layers their own weights back, for whatever reads them itself; the form is then plain."""
        if self.form == "packed" and isinstance(self.matrices[0], PackedMatrix):
            self.weight = self.matrices[0].dense()
            self._share()
        self.form = "plain"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x W^T + b``, `[tokens, d_in]` to `[tokens, d_out]`."""
        if self.form == "plain":
            return nn.functional.linear(x, self.weight, self.bias)
        return self.matrices[0].product(x)

    def backward(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return ``g W``, `[tokens, d_out]` to `[tokens, d_in]`."""
        return gradient @ self.weight if self.form == "plain" else self.matrices[1].product(gradient)
