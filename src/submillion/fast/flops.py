"""How much work an operator is that torch's ``FlopCounterMode`` does not know."""

from functools import cache
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry, register_flop_formula

_ALIKE = {
    "addmm_": "addmm",
    "_scaled_dot_product_flash_attention_for_cpu": "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu_backward": "_scaled_dot_product_flash_attention_backward",
}
"""Operators of ``torch.ops.aten``, and those that it knows and that are the same work."""


@cache
def register_formulas() -> None:
    """Tell ``FlopCounterMode`` the work of products that are added in place, packed or int8, and of attention on a CPU.

    Packed and int8 products are 2 x tokens x d_in x d_out, as plain ones are.
    """
    for name, known in _ALIKE.items():
        operator = getattr(torch.ops.aten, name)
        if operator not in flop_registry:
            register_flop_formula(operator, get_raw=True)(flop_registry[getattr(torch.ops.aten, known)])
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        register_flop_formula(torch.ops.mkldnn._linear_pointwise)(_packed_work)
    if hasattr(torch.ops.onednn, "qlinear_pointwise"):
        register_flop_formula(torch.ops.onednn.qlinear_pointwise)(_packed_work)


def _packed_work(x_shape: Any, *_others: Any, out_shape: Any, **_named: Any) -> int:
    n_tokens, d_in = x_shape
    return 2 * int(n_tokens) * int(d_in) * int(out_shape[-1])
