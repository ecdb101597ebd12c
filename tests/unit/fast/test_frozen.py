"""Frozen products: packed and not, stacked and alone, and what becomes of the layers' own weights."""

import copy
import pickle

import pytest
import torch
from torch import nn

from submillion.fast.features import can_multiply_int8, can_pack
from submillion.fast.frozen import FrozenProduct

D_IN = 48
packs = pytest.mark.skipif(not can_pack(), reason="this processor or torch has no bf16 packing")
STACKS = pytest.mark.parametrize("widths", [(64,), (D_IN,), (32, 32, 32), (24, 40)], ids=str)


def layers(widths, dtype=torch.bfloat16) -> list[nn.Linear]:
    torch.manual_seed(0)
    return [nn.Linear(D_IN, width).to(dtype).requires_grad_(False) for width in widths]


def copies(linears) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(linear.weight.clone(), linear.bias.clone()) for linear in linears]


def formula(linears_before, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x @ weight.t() + bias for weight, bias in linears_before], -1)


@STACKS
def test_product_and_gradient_are_the_layers(widths):
    linears = layers(widths, torch.float64)
    before = copies(linears)
    product = FrozenProduct(linears)
    x, gradient = torch.randn(7, D_IN).double(), torch.randn(7, sum(widths)).double()
    torch.testing.assert_close(product.forward(x), formula(before, x), rtol=1e-12, atol=1e-12)
    stack = torch.cat([weight for weight, _ in before])
    torch.testing.assert_close(product.backward(gradient), gradient @ stack, rtol=1e-12, atol=1e-12)


@STACKS
def test_layers_share_the_stacks_storage(widths):
    linears = layers(widths, torch.float32)
    before = copies(linears)
    product = FrozenProduct(linears, "plain")
    for linear, (weight, bias) in zip(linears, before, strict=True):
        assert linear.weight.untyped_storage().data_ptr() == product.weight.untyped_storage().data_ptr()
        assert linear.bias.untyped_storage().data_ptr() == product.bias.untyped_storage().data_ptr()
        assert torch.equal(linear.weight, weight)
        assert torch.equal(linear.bias, bias)
    x = torch.randn(7, D_IN)
    linears[-1].weight.mul_(2)
    before[-1] = (before[-1][0] * 2, before[-1][1])
    torch.testing.assert_close(product.forward(x), formula(before, x))


@packs
@STACKS
@pytest.mark.parametrize("n_tokens", [1, 37, 1030])
def test_packed_and_unpacked_agree(widths, n_tokens):
    """Both round one sum to bf16: they may differ by one last place, 2**-7 of the number at most."""
    packed, plain = (FrozenProduct(layers(widths), form) for form in ("packed", "plain"))
    torch.manual_seed(1)
    x = torch.randn(n_tokens, D_IN).to(torch.bfloat16)
    gradient = torch.randn(n_tokens, sum(widths)).to(torch.bfloat16)
    for got, true, exact in (
        (
            packed.forward(x),
            plain.forward(x),
            formula([(w.double(), b.double()) for w, b in copies(layers(widths))], x.double()),
        ),
        (packed.backward(gradient), plain.backward(gradient), gradient.double() @ plain.weight.double()),
    ):
        assert got.dtype == torch.bfloat16
        torch.testing.assert_close(got, true, rtol=2**-7, atol=1e-3)
        torch.testing.assert_close(got.double(), exact, rtol=2**-7, atol=1e-3)


@packs
@STACKS
def test_unpacking_gives_the_weights_back(widths):
    linears = layers(widths)
    before = copies(linears)
    product = FrozenProduct(linears, "packed")
    x = torch.randn(5, D_IN).to(torch.bfloat16)
    packed = product.forward(x)
    assert [linear.weight.numel() for linear in linears] == [0] * len(linears)
    for _ in range(2):  # a second time does nothing
        product.unpack()
        assert product.form == "plain"
        for linear, (weight, bias) in zip(linears, before, strict=True):
            assert torch.equal(linear.weight, weight)
            assert torch.equal(linear.bias, bias)
            assert not linear.weight.requires_grad
        product.follow()
        torch.testing.assert_close(product.forward(x), packed, rtol=2**-7, atol=1e-3)
        stack = torch.cat([weight for weight, _ in before])
        gradient = torch.randn(5, sum(widths)).to(torch.bfloat16)
        torch.testing.assert_close(product.backward(gradient), gradient @ stack)


@pytest.mark.parametrize("how", ["data", "parameter", "assigned", "moved"])
@STACKS
def test_a_replaced_weight_is_followed(widths, how):
    linears = layers(widths, torch.float32)
    product = FrozenProduct(linears, "plain")
    fresh = nn.Linear(D_IN, widths[-1]).requires_grad_(False)
    if how == "data":
        linears[-1].weight.data = fresh.weight.data
    elif how == "parameter":
        linears[-1].weight = fresh.weight
    elif how == "assigned":
        linears[-1].load_state_dict(fresh.state_dict(), assign=True)
    else:
        for linear in linears:
            linear.double()
    before = copies(linears)
    product.follow()
    x = torch.randn(7, D_IN, dtype=linears[0].weight.dtype)
    torch.testing.assert_close(product.forward(x), formula(before, x))
    for linear in linears:
        assert linear.weight.untyped_storage().data_ptr() == product.weight.untyped_storage().data_ptr()


def test_following_nothing_stacks_nothing_anew():
    product = FrozenProduct(layers((24, 40), torch.float32), "plain")
    stack = product.weight
    product.follow()
    assert product.weight is stack


@pytest.mark.skipif(not can_multiply_int8(), reason="this processor or torch has no fast int8 products")
@STACKS
def test_int8_is_near_and_leaves_the_layers_alone(widths):
    linears = layers(widths)
    before = copies(linears)
    product = FrozenProduct(linears, "int8")
    torch.manual_seed(1)
    x, gradient = torch.randn(37, D_IN), torch.randn(37, sum(widths))
    x[3], gradient[3] = 0, 0
    x[4] *= 1000
    wide = [(weight.double(), bias.double()) for weight, bias in before]
    stack = torch.cat([weight for weight, _ in wide])
    for got, exact in (
        (product.forward(x.to(torch.bfloat16)), formula(wide, x.to(torch.bfloat16).double())),
        (product.backward(gradient.to(torch.bfloat16)), gradient.to(torch.bfloat16).double() @ stack),
    ):
        assert got.dtype == torch.bfloat16
        error = (got.double() - exact).norm(dim=1)
        assert (error <= 0.03 * exact.norm(dim=1)).all(), "each row by its own scale"
        assert (error > 0.001 * exact.norm(dim=1)).sum() > 30, "more exact than int8 can be"
    for linear, (weight, bias) in zip(linears, before, strict=True):
        assert torch.equal(linear.weight, weight)
        assert torch.equal(linear.bias, bias)
    product.unpack()
    x = x.to(torch.bfloat16)
    torch.testing.assert_close(product.forward(x), formula(before, x), rtol=2**-7, atol=1e-2)


@pytest.mark.parametrize(
    "form",
    [
        "plain",
        pytest.param("packed", marks=packs),
        pytest.param("int8", marks=pytest.mark.skipif(not can_multiply_int8(), reason="no fast int8 here")),
    ],
)
def test_every_form_can_be_copied_and_pickled(form):
    product = FrozenProduct(layers((32, 32, 32)), form)
    x, gradient = torch.randn(9, D_IN).bfloat16(), torch.randn(9, 96).bfloat16()
    for other in (copy.deepcopy(product), pickle.loads(pickle.dumps(product))):
        assert torch.equal(other.forward(x), product.forward(x))
        assert torch.equal(other.backward(gradient), product.backward(gradient))
