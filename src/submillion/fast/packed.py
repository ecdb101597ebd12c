"""A constant bf16 matrix, packed once as oneDNN wants it: otherwise that is done anew in every product."""

import torch

_TOKENS_HINT = 1024
"""Tokens of a usual micro-batch, for which oneDNN chooses the layout."""


class PackedMatrix:
    """A constant matrix, packed for the processor.

    Args:
        weight: `[d_out, d_in]`, bf16.
        bias: `[d_out]`; None: none.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None):
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _TOKENS_HINT)
        self.bias = bias

    def __reduce__(self) -> tuple[type, tuple[torch.Tensor, torch.Tensor | None]]:
        """Copy and pickle the matrix as it was: the packed form is this process's own."""
        return PackedMatrix, (self.dense(), self.bias)

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x W^T + b``, by the operator that torch's own compiler uses for it."""
        output: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return output

    def dense(self) -> torch.Tensor:
        """Return the matrix as it was."""
        matrix: torch.Tensor = self.packed.to_dense()
        return matrix
