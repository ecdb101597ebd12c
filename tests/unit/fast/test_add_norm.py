"""Residual sum and frozen layer norm: the numbers and gradients of the written-out formula."""

import pytest
import torch
from torch import nn

from submillion.fast.add_norm import add_norm


def norm(width=5, dtype=torch.float64) -> nn.LayerNorm:
    torch.manual_seed(0)
    made = nn.LayerNorm(width, eps=1e-3, dtype=dtype).requires_grad_(False)
    made.weight.normal_(), made.bias.normal_()
    return made


def pair(of_x=True, of_residual=True) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    x, residual = torch.randn(2, 6, 5, dtype=torch.float64)
    return x.requires_grad_(of_x), residual.requires_grad_(of_residual)


def formula(x: torch.Tensor, residual: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    total = x + residual
    centred = total - total.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize(("of_x", "of_residual"), [(True, True), (True, False), (False, True)])
def test_gradcheck(of_x, of_residual):
    frozen = norm()
    assert torch.autograd.gradcheck(
        lambda x, residual: add_norm(x, residual, frozen)[0], pair(of_x, of_residual)
    )


def test_numbers_and_gradients_are_the_formulas():
    frozen, inputs = norm(), pair()
    ours, written = add_norm(*inputs, frozen)[0], formula(*inputs, frozen)
    torch.testing.assert_close(ours, written, rtol=1e-10, atol=1e-12)
    weights = torch.randn(ours.shape, dtype=ours.dtype)
    for got, true in zip(
        torch.autograd.grad((ours * weights).sum(), inputs),
        torch.autograd.grad((written * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, true, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("run", [lambda *inputs: add_norm(*inputs)[0], formula], ids=["ours", "formula"])
def test_gradients_of_both_inputs_may_be_added_to(run):
    """Both inputs get one gradient: what one of them is given besides must not reach the other."""
    frozen, (x, residual) = norm(), pair()
    output = run(x, residual, frozen)
    ((output**2).sum() + (3 * x).sum()).backward()
    assert torch.allclose(x.grad - residual.grad, torch.full_like(x, 3.0))
    (2 * residual).sum().backward()
    assert torch.allclose(x.grad - residual.grad, torch.full_like(x, 1.0))


def test_an_input_that_is_its_own_residual():
    frozen, (x, _) = norm(), pair()
    weights = torch.randn(x.shape, dtype=x.dtype)
    (got,) = torch.autograd.grad((add_norm(x, x, frozen)[0] * weights).sum(), x)
    (true,) = torch.autograd.grad((formula(x, x, frozen) * weights).sum(), x)
    torch.testing.assert_close(got, true, rtol=1e-10, atol=1e-12)


def test_bf16_with_an_fp32_norm():
    frozen = norm(64, torch.float32)
    torch.manual_seed(2)
    x, residual = (torch.randn(6, 64).to(torch.bfloat16).requires_grad_() for _ in range(2))
    ours, normed = add_norm(x, residual, frozen)
    assert ours.dtype == torch.bfloat16
    assert torch.equal(normed.again(), ours)
    wide = [value.detach().double().requires_grad_() for value in (x, residual)]
    written = formula(*wide, frozen)
    weights = torch.randn(ours.shape, dtype=torch.bfloat16)
    got = torch.autograd.grad((ours * weights).sum(), [x, residual])
    true = torch.autograd.grad((written * weights.double()).sum(), wide)
    for mine, right in zip([ours, *got], [written, *true], strict=True):
        assert (mine.double() - right).abs().max() < 2e-2 * right.abs().max()
