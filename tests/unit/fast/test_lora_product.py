"""The frozen product with LoRA updates: the numbers and gradients of the written-out formula."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from submillion.budget.methods import FAST
from submillion.fast.adapted import AdaptedProduct, is_served
from submillion.fast.dropout import MaskPool
from submillion.fast.frozen import FrozenProduct
from submillion.fast.lora_product import LoraPart, lora_product

N_TOKENS, D_IN, WIDTHS = 4, 3, (5, 4, 3)
ROWS = (slice(0, 5), slice(9, 12), slice(0, 5))  # the third is a second update of the first layer
SCALINGS, RANKS = (2.0, 0.7, -1.3), (1, 2, 3)


def frozen(dtype=torch.float64, d_in=D_IN, widths=WIDTHS) -> FrozenProduct:
    torch.manual_seed(0)
    linears = [nn.Linear(d_in, width).to(dtype).requires_grad_(False) for width in widths]
    return FrozenProduct(linears, "plain")


def leaves(n_parts: int, d_in=D_IN, n_tokens=N_TOKENS) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return an input and the A and B of each part, in float64."""
    torch.manual_seed(1)
    x = torch.randn(n_tokens, d_in, dtype=torch.float64)
    matrices: list[torch.Tensor] = []
    for rank, rows in zip(RANKS[:n_parts], ROWS, strict=False):
        matrices.append(torch.randn(rank, d_in, dtype=torch.float64, requires_grad=True))
        matrices.append(torch.randn(rows.stop - rows.start, rank, dtype=torch.float64, requires_grad=True))
    return x, matrices


def masks_of(n_parts: int, masked: str) -> list[torch.Tensor | None]:
    """Return a mask for every part, for every other, or for none."""
    torch.manual_seed(2)
    drawn = [(torch.rand(N_TOKENS, D_IN) > 0.4).double() / 0.6 for _ in range(n_parts)]
    return [
        mask if masked == "all" or (masked == "some" and i % 2 == 0) else None for i, mask in enumerate(drawn)
    ]


def parts_of(matrices, masks) -> list[LoraPart]:
    return [
        LoraPart(rows, scaling, a, b, mask)
        for rows, scaling, a, b, mask in zip(
            ROWS, SCALINGS, matrices[0::2], matrices[1::2], masks, strict=False
        )
    ]


def formula(x: torch.Tensor, product: FrozenProduct, parts: list[LoraPart]) -> torch.Tensor:
    output = x @ product.weight.t() + product.bias
    for part in parts:
        update = torch.zeros_like(output)
        dropped = x if part.mask is None else x * part.mask
        update[:, part.rows] = part.scaling * (dropped @ part.a.t() @ part.b.t())
        output = output + update
    return output


MASKED = [(1, "none"), (1, "all"), (2, "some"), (3, "none"), (3, "all")]
CASES = pytest.mark.parametrize(
    ("n_parts", "masked", "of_input"),
    [(0, "none", True), *((*case, of_input) for case in MASKED for of_input in (True, False))],
)
OF_GELU = pytest.mark.parametrize("of_gelu", [False, True], ids=["plain", "of_gelu"])
KEEPS = pytest.mark.parametrize("keeps_dropped", [False, True], ids=["again", "kept"])


@CASES
@OF_GELU
@KEEPS
def test_gradcheck(n_parts, masked, of_input, of_gelu, keeps_dropped):
    product = frozen()
    x, matrices = leaves(n_parts)
    x.requires_grad_(of_input)
    masks = masks_of(n_parts, masked)

    def run(x, *matrices):
        parts = parts_of(matrices, masks)
        return lora_product(x, product, parts, of_gelu=of_gelu, keeps_dropped=keeps_dropped)

    assert torch.autograd.gradcheck(run, (x, *matrices))


@CASES
@OF_GELU
@KEEPS
def test_numbers_and_gradients_are_the_formulas(n_parts, masked, of_input, of_gelu, keeps_dropped):
    product = frozen()
    x, matrices = leaves(n_parts)
    x.requires_grad_(of_input)
    wanted = [x, *matrices] if of_input else matrices
    parts = parts_of(matrices, masks_of(n_parts, masked))
    ours = lora_product(x, product, parts, of_gelu=of_gelu, keeps_dropped=keeps_dropped)
    written = formula(nn.functional.gelu(x) if of_gelu else x, product, parts)
    torch.testing.assert_close(ours, written, rtol=1e-10, atol=1e-12)
    weights = torch.randn(ours.shape, dtype=ours.dtype)
    for got, true in zip(
        torch.autograd.grad((ours * weights).sum(), wanted),
        torch.autograd.grad((written * weights).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(got, true, rtol=1e-10, atol=1e-12)


def test_without_updates_it_is_the_frozen_product_and_its_gradient():
    product = frozen()
    x = leaves(1)[0].requires_grad_()
    output = lora_product(x, product, [])
    torch.testing.assert_close(output, x @ product.weight.t() + product.bias, rtol=1e-10, atol=1e-12)
    (gradient,) = torch.autograd.grad(output.sum(), x)  # an expanded gradient, of stride 0
    torch.testing.assert_close(gradient[0], product.weight.sum(0), rtol=1e-10, atol=1e-12)
    assert not lora_product(x.detach(), product, []).requires_grad


@OF_GELU
@KEEPS
def test_what_is_kept_for_the_backward_pass(of_gelu, keeps_dropped):
    """Of the input's size: it, or what was made of it, and the mask; GELU's gradient needs what went in besides."""
    x, matrices = leaves(1)
    shapes = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: shapes.append(tensor.shape) or tensor, lambda kept: kept
    ):
        lora_product(
            x,
            frozen(),
            parts_of(matrices, masks_of(1, "all")),
            of_gelu=of_gelu,
            keeps_dropped=keeps_dropped,
        )
    assert shapes.count(x.shape) == (3 if of_gelu and keeps_dropped else 2)


@OF_GELU
def test_the_input_is_not_changed(of_gelu):
    x, matrices = leaves(3)
    before = x.clone()
    lora_product(x, frozen(), parts_of(matrices, masks_of(3, "all")), of_gelu=of_gelu).sum().backward()
    assert torch.equal(x, before)


@pytest.mark.parametrize("rank", [1, 3, 8, 11])
def test_bf16_product_with_fp32_masters(rank):
    """Ranks below eight are filled up inside; their gradients have the masters' shape and dtype."""
    product = frozen(torch.bfloat16, 32, (16, 24))
    torch.manual_seed(3)
    x = torch.randn(20, 32).to(torch.bfloat16).requires_grad_()
    a, b = torch.randn(rank, 32).requires_grad_(), torch.randn(24, rank).requires_grad_()
    mask = (torch.rand(20, 32) > 0.5).to(torch.bfloat16) * 2
    ours = lora_product(x, product, [LoraPart(slice(16, 40), 0.5, a, b, mask)])
    weights = torch.randn(ours.shape)
    got = torch.autograd.grad((ours * weights).sum(), [x, a, b])
    assert [ours.dtype, *(part.dtype for part in got)] == [torch.bfloat16] * 2 + [torch.float32] * 2

    wide = [value.detach().double().requires_grad_() for value in (x, a, b)]
    exact = wide[0] @ product.weight.double().t() + product.bias.double()
    update = 0.5 * ((wide[0] * mask.double()) @ wide[1].t() @ wide[2].t())
    exact = torch.cat([exact[:, :16], exact[:, 16:] + update], 1)
    true = torch.autograd.grad((exact * weights.double()).sum(), wide)
    for mine, right in zip([ours, *got], [exact, *true], strict=True):
        assert mine.shape == right.shape
        assert (mine.double() - right).abs().max() < 2e-2 * right.abs().max()


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(6, 4)

    def forward(self, x):
        return torch.cat([self.first(x), self.second(x)], -1)


def adapted(dropout=0.0, method="lora", **options):
    """Return PEFT's wrapping of two layers, both adapted, in float64 with B that is not zero."""
    torch.manual_seed(4)
    config = LoraConfig(
        r=2,
        lora_alpha=6,
        lora_dropout=dropout,
        target_modules=["first", "second"],
        use_rslora=method == "rslora",
        **options,
    )
    model = get_peft_model(Two(), config).double()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    return model


def layers_of(model) -> list[nn.Module]:
    return [model.base_model.model.first, model.base_model.model.second]


def assert_same_step(ours, stock, x, model):
    wanted = [x, *(parameter for parameter in model.parameters() if parameter.requires_grad)]
    torch.testing.assert_close(ours, stock, rtol=1e-10, atol=1e-12)
    weights = torch.randn(ours.shape, dtype=ours.dtype)
    for got, true in zip(
        torch.autograd.grad((ours * weights).sum(), wanted),
        torch.autograd.grad((stock * weights).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(got, true, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", FAST)
def test_pefts_layers_of_every_fast_method(method):
    model = adapted(method=method)
    x = torch.randn(7, 6, dtype=torch.float64, requires_grad=True)
    stock = model(x)
    layers = layers_of(model)
    assert all(is_served(layer) for layer in layers)
    assert_same_step(AdaptedProduct(layers, None, form="plain")(x), stock, x, model)


def test_two_active_adapters_and_one_on_a_single_layer():
    model = adapted()
    model.add_adapter("more", LoraConfig(r=3, lora_alpha=3, target_modules=["second"]))
    model.base_model.set_adapter(["default", "more"])
    model.double()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    x = torch.randn(7, 6, dtype=torch.float64, requires_grad=True)
    stock = model(x)
    assert_same_step(AdaptedProduct(layers_of(model), None, form="plain")(x), stock, x, model)


def test_disabled_adapters_are_left_out():
    model = adapted()
    product = AdaptedProduct(layers_of(model), None, form="plain")
    x = torch.randn(7, 6, dtype=torch.float64)
    with model.disable_adapter():
        torch.testing.assert_close(product(x), model(x), rtol=1e-10, atol=1e-12)
        without = product(x)
    assert (product(x) - without).abs().max() > 0.1


@pytest.mark.parametrize("change", ["merged", "dora", "bias"])
def test_what_is_not_served_is_told(change):
    model = adapted(**{"dora": {"use_dora": True}, "bias": {"lora_bias": True}, "merged": {}}[change])
    if change == "merged":
        assert is_served(layers_of(model)[0])
        model.merge_adapter()
    assert not is_served(layers_of(model)[0])


def test_each_layer_drops_its_own_window_of_the_pool(monkeypatch):
    model = adapted(dropout=0.4).train()
    given: list[torch.Tensor] = []

    def fixed(self, n_tokens, width):
        torch.manual_seed(len(given))
        given.append((torch.rand(n_tokens, width) > self.p).double())
        return given[-1]

    monkeypatch.setattr(MaskPool, "mask", fixed)
    layers = layers_of(model)
    x = torch.randn(7, 6, dtype=torch.float64, requires_grad=True)
    product = AdaptedProduct(layers, {0.4: MaskPool(0.4, torch.float64, 6)}, form="plain")
    ours = product(x)
    assert len(given) == 2
    written = torch.cat(
        [
            layer.base_layer(x) + 3 / 0.6 * layer.lora_B["default"](layer.lora_A["default"](x * mask))
            for layer, mask in zip(layers, given, strict=True)
        ],
        -1,
    )
    assert_same_step(ours, written, x, model)
    model.eval()
    torch.testing.assert_close(product(x), model(x), rtol=1e-10, atol=1e-12)
    assert len(given) == 2
