"""The work that is counted for the fast pieces is the plain ones', but for what they save."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from submillion.budget import make_plan
from submillion.fast.features import can_multiply_int8, can_pack
from submillion.fast.flops import register_formulas
from submillion.fast.frozen import FrozenProduct
from submillion.model.build import Classifier, build_model
from submillion.speedups import SPEEDUPS

ALL = frozenset(SPEEDUPS)
N_ROWS, N_TOKENS, WIDTH = 3, 8, 32
RANK = 8  # fewer are filled up to eight in bf16, which is work that plain products do not have

PACKS = pytest.mark.skipif(not can_pack(), reason="no bf16 packing here")
MULTIPLIES_INT8 = pytest.mark.skipif(not can_multiply_int8(), reason="no fast int8 here")


@pytest.mark.parametrize(
    "form", ["plain", pytest.param("packed", marks=PACKS), pytest.param("int8", marks=MULTIPLIES_INT8)]
)
def test_counted_work(form):
    register_formulas()
    product = FrozenProduct([nn.Linear(48, 64).bfloat16().requires_grad_(False)], form)
    with FlopCounterMode(display=False) as counted:
        product.forward(torch.randn(10, 48).bfloat16())
        product.backward(torch.randn(10, 64).bfloat16())
    assert counted.get_total_flops() == 2 * 2 * 10 * 48 * 64


@pytest.fixture
def model_of(tiny_encoder):
    """Return a function: numerics, pieces and options of the plan to a model, with dropout only before its adapters."""

    def build(numerics: str = "exact", pieces: frozenset[str] = frozenset(), **options) -> Classifier:
        encoder = tiny_encoder("bert")
        plan = make_plan(encoder, 3, rank=RANK, **options)
        names = ("space", "sport", "trade")
        return build_model(plan, encoder, names, seed=1, base_dropout=0.0, numerics=numerics, pieces=pieces)

    return build


def work(model: Classifier, index: int = 0) -> int:
    """Return the counted work of one block, forward and backward, in training."""
    register_formulas()
    block = model.train().bare_encoder.encoder.layer[index]
    x = torch.randn(N_ROWS, N_TOKENS, WIDTH, dtype=block.attention.self.key.weight.dtype, requires_grad=True)
    mask = torch.ones(N_ROWS, 1, N_TOKENS, N_TOKENS, dtype=torch.bool)
    mask[1, :, :, 5:] = False
    with FlopCounterMode(display=False) as counted:
        block(x, mask).sum().backward()
    return int(counted.get_total_flops())


def of_four_products(model: Classifier, index: int = 0) -> int:
    """Return the work of a stock block whose attention keeps its probabilities, as the fast one's does."""
    model.config._attn_implementation = "eager"
    return work(model, index)


@pytest.mark.parametrize("lora_dropout", [0.0, 0.1])
@pytest.mark.parametrize(
    "numerics", ["exact", pytest.param("fast", marks=PACKS), pytest.param("int8", marks=MULTIPLIES_INT8)]
)
def test_a_block_is_the_work_of_the_stock_one(model_of, numerics, lora_dropout):
    wish = {"lora_dropout": lora_dropout, "pooling": "mean"}
    assert work(model_of(numerics, ALL, **wish)) == of_four_products(model_of(**wish))


def test_attention_that_makes_its_scores_again_is_a_product_more(model_of):
    """Without `fast_attention` torch's own runs, in the stock block and in ours: its backward pass has no probabilities kept."""
    scores = 2 * N_ROWS * N_TOKENS * N_TOKENS * WIDTH
    stock = work(model_of(pooling="mean"))
    assert stock == of_four_products(model_of(pooling="mean")) + scores
    assert work(model_of("exact", ALL - {"fast_attention"}, pooling="mean")) == stock


@pytest.mark.parametrize("numerics", ["exact", pytest.param("fast", marks=PACKS)])
def test_what_the_first_token_saves_is_not_counted(model_of, numerics):
    """Keys and values are of every token; all else, the queries with their attention included, is of one a row."""
    wish = {"lora_dropout": 0.0, "pooling": "first", "target_modules": ("query", "dense")}
    whole = of_four_products(model_of(**wish), -1)
    keys_and_values = 2 * 2 * 2 * N_ROWS * N_TOKENS * WIDTH * WIDTH
    assert work(model_of(numerics, ALL, **wish), -1) == keys_and_values + (whole - keys_and_values) / N_TOKENS
