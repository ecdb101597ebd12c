"""How much work an operator is that torch's ``FlopCounterMode`` does not know."""

from functools import cache
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula


@cache
def register_formulas() -> None:
    """Tell ``FlopCounterMode`` the work of packed and int8 products: 2 x tokens x d_in x d_out, as for plain ones."""
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        register_flop_formula(torch.ops.mkldnn._linear_pointwise)(_packed_work)
    if hasattr(torch.ops.onednn, "qlinear_pointwise"):
        register_flop_formula(torch.ops.onednn.qlinear_pointwise)(_packed_work)


def _packed_work(x_shape: Any, *_others: Any, out_shape: Any, **_named: Any) -> int:
    n_tokens, d_in = x_shape
    return 2 * int(n_tokens) * int(d_in) * int(out_shape[-1])
