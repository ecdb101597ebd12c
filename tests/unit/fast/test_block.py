"""A whole block of the fast pieces: the stock block's numbers and gradients, and the stock block where none serves."""

import copy
from contextlib import nullcontext
from functools import cache

import pytest
import torch
from peft import IA3Config, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import AutoModel

from submillion.budget import FAMILIES, make_plan
from submillion.budget.methods import FAST
from submillion.errors import ConfigError
from submillion.fast import adapted
from submillion.fast.block import FastBlock
from submillion.fast.dropout import drawn_mask
from submillion.fast.features import can_pack
from submillion.fast.install import every_token, install
from submillion.model.build import Classifier, build_model, make_fast
from submillion.model.device import choose_numerics
from submillion.speedups import SPEEDUPS

ALL = frozenset(SPEEDUPS)
OF_BLOCKS = sorted(name for name, speedup in SPEEDUPS.items() if speedup.serves == "blocks")
LABELS = ("space", "sport", "trade")
PIECES = [ALL, *(ALL - {name} for name in OF_BLOCKS)]

SERVED_FAMILIES = [name for name, family in FAMILIES.items() if family.has_fast_block]


def name_pieces(pieces: frozenset[str]) -> str:
    return "-".join(["all", *sorted(ALL - pieces)])


@pytest.fixture(scope="module")
def stock(tiny_encoder):
    """Return a function: a wish to a model of stock blocks in fp32, each B drawn so that it is not zero."""

    @cache
    def build(family: str, options: tuple) -> Classifier:
        wish = {"target_modules": "all-linear", "rank": 2, "lora_dropout": 0.0} | dict(options)
        base_dropout = wish.pop("base_dropout", 0.0)
        plan = make_plan(tiny_encoder(family), len(LABELS), **wish)
        model = build_model(plan, tiny_encoder(family), LABELS, seed=3, base_dropout=base_dropout)
        torch.manual_seed(4)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name or name.endswith(("LayerNorm.weight", "bias")):
                    parameter.add_(torch.randn_like(parameter), alpha=0.2)
            model.last_projection.weight.mul_(40)
        return model.eval()

    return lambda family="roberta", **options: copy.deepcopy(build(family, tuple(options.items())))


def batch() -> dict[str, torch.Tensor]:
    """Return token ids of three rows, two with padding."""
    ids = torch.randint(4, 40, (3, 7), generator=torch.Generator().manual_seed(5))
    mask = torch.ones(3, 7, dtype=torch.long)
    mask[1, 5:], mask[2, 2:] = 0, 0
    return {"input_ids": ids.masked_fill(mask == 0, 0), "attention_mask": mask}


def blocks_of(model: Classifier) -> list[nn.Module]:
    return list(model.bare_encoder.encoder.layer)


def entering(model: Classifier, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the hidden states and the mask that transformers gives a block."""
    caught: list[tuple[torch.Tensor, torch.Tensor]] = []
    handle = blocks_of(model)[index].register_forward_pre_hook(
        lambda _block, inputs: caught.append((inputs[0], inputs[1]))
    )
    model(**batch())
    handle.remove()
    return caught[0]


def fast_block(block: nn.Module, pieces: frozenset[str] = ALL, *, first_token_only=False) -> FastBlock:
    """Return a fast block over a copy of a stock one."""
    return FastBlock(
        copy.deepcopy(block),
        pieces=pieces,
        form="plain",
        masks=None,
        draws_masks=True,
        first_token_only=first_token_only,
        output_dtype=None,
    ).train(block.training)


def gradients(block: nn.Module, hidden: torch.Tensor, mask: torch.Tensor | None, first_token_only: bool):
    """Return a block's output, and the gradients of its input and of its adapters under fixed weights."""
    leaf = hidden.detach().clone().requires_grad_()
    output = block(leaf, mask)
    output = output[:, :1] if first_token_only else output
    torch.manual_seed(6)
    (output * torch.randn(output.shape, dtype=output.dtype)).sum().backward()
    trained = {name: value.grad for name, value in block.named_parameters() if value.requires_grad}
    return {"output": output.detach(), "input": leaf.grad, **trained}


def assert_near(got: dict[str, torch.Tensor], true: dict[str, torch.Tensor], tolerance: float) -> None:
    assert got.keys() == true.keys()
    for name, value in true.items():
        assert value.abs().max() > 1e-6, f"{name}: nothing is compared"
        assert got[name].shape == value.shape, name
        assert (got[name] - value).abs().max() <= tolerance * value.abs().max(), name


def compare(block: nn.Module, hidden, mask, pieces, first_token_only) -> None:
    fast = fast_block(block, pieces, first_token_only=first_token_only)
    assert fast.is_served
    assert fast(hidden.detach(), mask).shape[1] == (1 if first_token_only else hidden.shape[1])
    assert_near(
        gradients(fast, hidden, mask, first_token_only),
        gradients(copy.deepcopy(block), hidden, mask, first_token_only),
        1e-10,
    )


@pytest.fixture(params=["kept", "again"])
def width(request, monkeypatch) -> None:
    """What narrow blocks keep for the backward pass, and wide ones make again."""
    if request.param == "again":
        monkeypatch.setattr("submillion.fast.block.NARROW", 0)


FIRST = pytest.mark.parametrize("first_token_only", [False, True], ids=["every", "first"])


@FIRST
@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize("family", SERVED_FAMILIES)
def test_stock_blocks_numbers_and_gradients(stock, family, method, first_token_only):
    model = stock(family, method=method).double()
    assert sum("lora_B" in name for name, _ in blocks_of(model)[1].named_parameters()) == 6
    hidden, mask = entering(model, 1)
    assert mask is not None
    compare(blocks_of(model)[1], hidden, mask, ALL, first_token_only)


@FIRST
@pytest.mark.parametrize("padded", [True, False], ids=["padded", "whole"])
@pytest.mark.parametrize("pieces", PIECES, ids=name_pieces)
def test_each_piece_alone_may_be_off(stock, width, pieces, padded, first_token_only):
    model = stock().double()
    hidden, mask = entering(model, 1)
    compare(blocks_of(model)[1], hidden, mask if padded else None, pieces, first_token_only)


def test_an_additive_mask_as_of_eager_attention(stock):
    model = stock().double()
    hidden, mask = entering(model, 1)
    added = torch.zeros(mask.shape, dtype=hidden.dtype).masked_fill(~mask, torch.finfo(hidden.dtype).min)
    compare(blocks_of(model)[1], hidden, added, ALL, False)


class GivenDropout(nn.Module):
    """PEFT's dropout with a mask that is given."""

    def __init__(self, mask: torch.Tensor, p: float):
        super().__init__()
        self.mask, self.p = mask, p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.mask.view(x.shape) / (1 - self.p)


def test_without_a_pool_lora_dropout_is_pefts_own_with_the_same_masks(stock, monkeypatch):
    block = blocks_of(stock(lora_dropout=0.3).double().train())[1]
    hidden = torch.randn(3, 7, 32, dtype=torch.float64)
    masks: list[torch.Tensor] = []

    def drawing(x: torch.Tensor, p: float) -> torch.Tensor:
        masks.append(drawn_mask(x, p))
        return masks[-1]

    monkeypatch.setattr(adapted, "drawn_mask", drawing)
    of_fast = gradients(fast_block(block), hidden, None, False)
    layers = [module for module in block.modules() if isinstance(module, LoraLayer)]
    assert len(masks) == len(layers) == 6
    assert all(0 < mask.mean() < 1 for mask in masks)
    for layer, mask in zip(layers, masks, strict=True):
        layer.lora_dropout["default"] = GivenDropout(mask, 0.3)
    assert_near(of_fast, gradients(block, hidden, None, False), 1e-10)


@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("family", SERVED_FAMILIES)
def test_whole_models_numbers_and_gradients(stock, width, family, pooling):
    model = stock(family, pooling=pooling).double()
    fast = make_fast(copy.deepcopy(model), "exact", ALL)
    assert [type(block) for block in blocks_of(fast)] == [FastBlock] * 2
    assert [block.first_token_only for block in blocks_of(fast)] == [False, pooling == "first"]
    results = []
    for one in (fast, model):
        output = one(**batch(), labels=torch.tensor([0, 1, 2]))
        output.loss.backward()
        trained = {name: value.grad for name, value in one.named_parameters() if value.requires_grad}
        results.append({"logits": output.logits, "loss": output.loss, **trained})
    assert all(block.is_served for block in blocks_of(fast))
    assert_near(*results, 1e-10)


def test_without_pieces_of_blocks_nothing_is_replaced(stock):
    for pieces in (frozenset(), frozenset({"length_groups", "keep_memory"})):
        model = stock()
        assert not install(model.bare_encoder, pieces, "exact", first_token_only=True)
        assert not any(isinstance(module, FastBlock) for module in model.modules())


@pytest.fixture
def pair(stock):
    """Return a function: a wish to the fast model in fp32 and the stock one."""

    def build(**options):
        model = stock(**options)
        return make_fast(copy.deepcopy(model), "exact", ALL).eval(), model

    return build


def test_installing_keeps_the_mode(stock):
    model = make_fast(stock(), "exact", ALL)
    assert not any(module.training for module in model.modules())


def served(model: Classifier) -> list[bool]:
    return [block.is_served for block in blocks_of(model)]


def logits(model: Classifier) -> torch.Tensor:
    with torch.no_grad():
        return model(**batch()).logits


def assert_logits(got: torch.Tensor, true: torch.Tensor) -> None:
    torch.testing.assert_close(got, true, rtol=0, atol=1e-5)


@pytest.mark.parametrize("safe", [False, True])
def test_merged_adapters_go_through_the_stock_block(pair, safe):
    fast, plain = pair()
    before, without = logits(fast), None
    with fast.encoder.disable_adapter():
        without = logits(fast)
    assert (before - without).abs().max() > 1e-2, "adapters that change nothing prove nothing"
    for _ in range(2):
        fast.encoder.merge_adapter(safe_merge=safe)
        plain.encoder.merge_adapter(safe_merge=safe)
        assert served(fast) == [False, False]
        assert_logits(logits(fast), logits(plain))
        assert_logits(logits(fast), before)
        fast.encoder.unmerge_adapter()
        plain.encoder.unmerge_adapter()
        assert served(fast) == [True, True]
        assert_logits(logits(fast), before)


def test_disabled_adapters_leave_the_frozen_encoder(pair):
    fast, plain = pair()
    with fast.encoder.disable_adapter(), plain.encoder.disable_adapter():
        assert served(fast) == [True, True]
        assert_logits(logits(fast), logits(plain))
        without = logits(fast)
    assert (logits(fast) - without).abs().max() > 1e-2
    fast.encoder.merge_adapter()
    with fast.encoder.disable_adapter():  # PEFT's layers unmerge themselves in the stock block
        assert_logits(logits(fast), without)
    assert served(fast) == [True, True]


def test_embeddings_and_scores_are_the_stock_models(pair):
    fast, plain = pair()
    for run in ("score", "embed_frozen", "head_input"):
        with torch.no_grad():
            ours, theirs = getattr(fast, run)(**batch()), getattr(plain, run)(**batch())
        for got, true in zip(ours, theirs, strict=True):
            assert got.shape == true.shape
            assert_logits(got, true)


@pytest.mark.parametrize("lora_dropout", [0.0, 0.3])
def test_dropout_inside_the_encoder_goes_through_the_stock_block(pair, lora_dropout):
    fast, plain = pair(base_dropout=0.2, lora_dropout=lora_dropout)
    assert served(fast) == [True, True]
    assert_logits(logits(fast), logits(plain))
    fast.train(), plain.train()
    assert served(fast) == [False, False]
    torch.manual_seed(8)
    got = logits(fast)
    torch.manual_seed(8)
    assert_logits(got, logits(plain))
    assert (got - logits(fast.eval())).abs().max() > 1e-2, "nothing was dropped"


def last_output(model: Classifier, context=nullcontext) -> torch.Tensor:
    caught: list[torch.Tensor] = []
    handle = blocks_of(model)[-1].register_forward_hook(lambda _block, _inputs, output: caught.append(output))
    with context(), torch.no_grad():
        model(**batch())
    handle.remove()
    return caught[0]


def test_first_token_of_the_last_block_and_every_token_on_demand(pair):
    fast, plain = pair()
    whole = last_output(plain)
    assert last_output(fast).shape == (3, 1, 32)
    assert_logits(last_output(fast), whole[:, :1])
    real = batch()["attention_mask"].bool()
    assert_logits(last_output(fast, lambda: every_token(fast))[real], whole[real])
    assert blocks_of(fast)[-1].first_token_only
    with pytest.raises(KeyError), every_token(fast):
        raise KeyError
    assert last_output(fast).shape == (3, 1, 32)


def test_mean_pooling_keeps_every_token(pair):
    fast, plain = pair(pooling="mean")
    real = batch()["attention_mask"].bool()
    assert_logits(last_output(fast)[real], last_output(plain)[real])
    with every_token(fast):
        pass
    assert not blocks_of(fast)[-1].first_token_only


@pytest.mark.parametrize("numerics", ["exact", "fast"])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_state_dict_keys_stay(stock, pooling, numerics):
    model = stock(pooling=pooling)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained = [name for name, value in model.named_parameters() if value.requires_grad]
    make_fast(model, numerics, ALL)
    after = model.state_dict()
    assert list(after) == list(before)
    assert [name for name, value in model.named_parameters() if value.requires_grad] == trained
    compared = trained if numerics == "fast" else list(before)
    assert all(torch.equal(after[name], before[name]) for name in compared)
    model.eval()(**batch())
    assert list(model.state_dict()) == list(before)


def test_a_loaded_state_is_used(pair):
    fast, plain = pair()
    other = {name: value + 0.01 * torch.randn_like(value) for name, value in plain.state_dict().items()}
    before = logits(fast)
    for assign in (False, True):
        state = {name: value.clone() for name, value in other.items()}
        fast.load_state_dict(state, assign=assign)
        plain.load_state_dict(other)
        assert_logits(logits(fast), logits(plain))
        assert (logits(fast) - before).abs().max() > 1e-4
        other = {name: value * 1.01 for name, value in other.items()}


@pytest.mark.parametrize("numerics", ["exact", "fast"])
@pytest.mark.parametrize(("layers", "reached"), [("last:1", False), ("all", True)])
def test_no_gradient_runs_below_the_lowest_adapter(stock, layers, reached, numerics):
    model = make_fast(stock(target_modules="value", layers=layers), numerics, ALL).train()
    entered: list[torch.Tensor] = []
    left: list[torch.Tensor] = []
    last = blocks_of(model)[-1]
    last.register_forward_pre_hook(lambda _block, inputs: entered.append(inputs[0]))
    last.register_forward_hook(lambda _block, _inputs, output: left.append(output))
    model(**batch(), labels=torch.tensor([0, 1, 2])).loss.backward()
    assert served(model) == [True, True]
    assert [hidden.requires_grad for hidden in entered] == [reached]
    assert [hidden.requires_grad for hidden in left] == [True]
    adapters = {name: value.grad for name, value in model.named_parameters() if "lora_" in name}
    assert len(adapters) == (4 if reached else 2)
    assert all(gradient.abs().max() > 0 for gradient in adapters.values())


LOGITS_IN_BF16 = 0.03
"""What bf16, whose numbers have 8 bits, may move a logit, of the logits' spread over rows; found are 0.008 to 0.023."""


def assert_near_in_bf16(got: torch.Tensor, true: torch.Tensor) -> None:
    assert got.dtype == torch.float32
    assert (got - true).abs().max() < LOGITS_IN_BF16 * true.std(0).max()


def test_on_a_gpu_norms_are_of_their_inputs_dtype(stock):
    model = stock("roberta").to("meta")  # as little a CPU as a GPU is
    make_fast(model, "fast", ALL - {"fused_lora"})
    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert norms
    assert {norm.weight.dtype for norm in norms} == {torch.bfloat16}


@pytest.mark.parametrize("lora_dropout", [0.0, 0.1])
@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_bf16_dtypes_logits_and_gradients(stock, width, family, pooling, lora_dropout):
    exact = stock(family, pooling=pooling, lora_dropout=lora_dropout)
    fast = make_fast(copy.deepcopy(exact), "fast", ALL)
    for name, parameter in fast.named_parameters():
        frozen_matrix = not parameter.requires_grad and "LayerNorm" not in name
        narrowed = frozen_matrix and (".encoder.layer." in name or ".embeddings." in name)
        assert parameter.dtype == (torch.bfloat16 if narrowed else torch.float32), name
    assert_near_in_bf16(logits(fast.eval()), logits(exact))
    results = []
    for model in (fast, exact):
        model.train(lora_dropout > 0)
        torch.manual_seed(9)
        model(**batch(), labels=torch.tensor([0, 1, 2])).loss.backward()
        results.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    assert served(fast) == [True, True]
    errors = []
    for name, gradient in results[0].items():
        assert gradient.dtype == torch.float32, name
        errors.append((gradient - results[1][name]).norm() / results[1][name].norm())
    if not lora_dropout:  # found are 0.012 on average and at most 0.11, without the pieces 0.010 and 0.08
        assert sum(errors) / len(errors) < 0.03
        assert max(errors) < 0.2


def test_a_wide_block_keeps_less(stock, monkeypatch):
    def kept() -> int:
        sizes = []
        fast = make_fast(stock(lora_dropout=0.1), "fast", ALL).train()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.append(tensor.nbytes) or tensor, lambda x: x
        ):
            fast(**batch(), labels=torch.tensor([0, 1, 2]))
        return sum(sizes)

    by_narrow = kept()
    monkeypatch.setattr("submillion.fast.block.NARROW", 0)
    assert kept() < by_narrow


@pytest.mark.parametrize("pieces", [*PIECES[1:], frozenset()], ids=lambda pieces: name_pieces(pieces)[:40])
def test_bf16_with_each_piece_off(stock, pieces):
    exact = stock(lora_dropout=0.1)
    fast = make_fast(copy.deepcopy(exact), "fast", pieces)
    assert_near_in_bf16(logits(fast.eval()), logits(exact))
    fast.train()(**batch(), labels=torch.tensor([0, 1, 2])).loss.backward()
    assert all(value.grad.dtype == torch.float32 for value in fast.parameters() if value.requires_grad)


def test_masks_of_bf16_are_drawn_once_a_batch_and_only_in_training(stock, monkeypatch):
    from submillion.fast.dropout import MaskPool

    drawn: list[int] = []
    draw = MaskPool.draw
    monkeypatch.setattr(MaskPool, "draw", lambda self, n, device: drawn.append(n) or draw(self, n, device))
    model = make_fast(stock(lora_dropout=0.1), "fast", ALL).eval()
    assert torch.equal(logits(model), logits(model))
    assert drawn == []
    model.train()
    torch.manual_seed(10)
    first, second = logits(model), logits(model)
    assert drawn == [21, 21]
    assert not torch.equal(first, second)
    torch.manual_seed(10)
    assert torch.equal(logits(model), first)


@pytest.mark.skipif(not can_pack(), reason="this processor or torch has no bf16 packing")
def test_unpacked_blocks_give_their_layers_weights_back(stock):
    exact = stock()
    fast = make_fast(copy.deepcopy(exact), "fast", ALL)
    packed = logits(fast)
    for block in blocks_of(fast):
        block.unpack()
    assert_near_in_bf16(logits(fast), packed)
    true = exact.state_dict()
    for name, value in fast.state_dict().items():
        assert torch.equal(value, true[name].to(value.dtype)), name


def test_under_autocast_the_stock_block_runs(stock):
    """PEFT and autocast cast as they always do; the products in place of theirs would meet two dtypes."""
    model = stock()
    plain, fast = copy.deepcopy(model).train(), make_fast(model, "exact", ALL).train()
    labels = torch.tensor([0, 1, 2])
    losses = []
    for each in (plain, fast):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            loss = each(**batch(), labels=labels).loss
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == losses[1]


def test_fp16_is_for_exact_numerics():
    assert choose_numerics(None, 0.0, "bert", fp16=True) == "exact"
    with pytest.raises(ConfigError, match="numerics='fast' needs no fp16"):
        choose_numerics("fast", 0.0, "bert", fp16=True)


def test_an_adapter_of_another_kind_is_left_to_the_stock_blocks(tiny_encoder):
    base = AutoModel.from_pretrained(tiny_encoder("bert"))
    config = IA3Config(target_modules=["key", "output.dense"], feedforward_modules=["output.dense"])
    model = get_peft_model(base, config).eval()
    input_ids = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
    before = model(input_ids, attention_mask=(input_ids > 0).long()).last_hidden_state
    install(base, frozenset(SPEEDUPS), "exact", first_token_only=False)
    after = model(input_ids, attention_mask=(input_ids > 0).long()).last_hidden_state
    assert torch.equal(before, after)
