"""The work that is counted for packed and int8 products is the plain ones'."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from submillion.fast.features import can_multiply_int8, can_pack
from submillion.fast.flops import register_formulas
from submillion.fast.frozen import FrozenProduct


@pytest.mark.parametrize(
    "form",
    [
        "plain",
        pytest.param("packed", marks=pytest.mark.skipif(not can_pack(), reason="no bf16 packing here")),
        pytest.param("int8", marks=pytest.mark.skipif(not can_multiply_int8(), reason="no fast int8 here")),
    ],
)
def test_counted_work(form):
    register_formulas()
    product = FrozenProduct([nn.Linear(48, 64).bfloat16().requires_grad_(False)], form)
    with FlopCounterMode(display=False) as counted:
        product.forward(torch.randn(10, 48).bfloat16())
        product.backward(torch.randn(10, 64).bfloat16())
    assert counted.get_total_flops() == 2 * 2 * 10 * 48 * 64
