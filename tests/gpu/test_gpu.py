"""What holds on a GPU: the blocks' numbers, no waiting for the device inside a step, a run from end to end.

Where there is none, all but the waiting runs on the CPU, so that these tests stay right.
"""

import copy

import pytest
import torch

import submillion
from conftest import learnable_rows
from submillion.budget import make_plan
from submillion.model.build import Classifier, build_model, make_fast
from submillion.model.device import choose_device, has_bf16
from submillion.speedups import SPEEDUPS

pytestmark = pytest.mark.gpu
DEVICE = choose_device()
ALL = frozenset(SPEEDUPS)
LABELS = ("space", "sport", "trade")


@pytest.fixture
def stock(tiny_encoder) -> Classifier:
    """A model of stock blocks in fp32, each B drawn so that it is not zero, and no dropout anywhere.

    CUDA's dropout draws by memory layout: the same seed drops other elements where the first token is a view.
    """
    encoder = tiny_encoder("roberta")
    plan = make_plan(encoder, len(LABELS), target_modules="all-linear", rank=2, lora_dropout=0.0)
    model = build_model(plan, encoder, LABELS, seed=3, base_dropout=0.0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def batch() -> dict[str, torch.Tensor]:
    ids = torch.randint(4, 40, (16, 24), generator=torch.Generator().manual_seed(5))
    mask = torch.ones_like(ids)
    mask[1, 5:], mask[2, 2:] = 0, 0
    tensors = {"input_ids": ids, "attention_mask": mask, "labels": torch.arange(16) % 3}
    return {name: value.to(DEVICE) for name, value in tensors.items()}


def losses_and_gradients(model: Classifier) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    loss = model.train()(**batch()).loss
    loss.backward()
    return loss.detach(), {
        name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None
    }


@pytest.mark.parametrize(("numerics", "tolerance"), [("exact", 1e-4), ("fast", 0.1)])
def test_loss_and_gradients_are_the_stock_blocks(stock, numerics, tolerance):
    torch.backends.cuda.matmul.allow_tf32 = False
    expected, of_stock = losses_and_gradients(copy.deepcopy(stock))
    loss, gradients = losses_and_gradients(make_fast(stock, numerics, ALL))
    torch.testing.assert_close(loss, expected, rtol=tolerance, atol=0)
    for name, gradient in of_stock.items():
        distance = (gradients[name] - gradient).norm() / gradient.norm()
        assert distance < tolerance, name


@pytest.mark.skipif(DEVICE.type == "cpu", reason="no GPU here")
def test_blocks_do_not_wait_for_the_device(stock):
    plan_dropout = copy.deepcopy(stock)
    for module in plan_dropout.modules():
        for dropout in getattr(module, "lora_dropout", {}).values():
            if isinstance(dropout, torch.nn.Dropout):
                dropout.p = 0.1
    model = make_fast(plan_dropout, "fast", ALL).train()
    blocks = list(model.bare_encoder.encoder.layer)
    hidden = torch.randn(16, 24, model.config.hidden_size, device="cuda", dtype=torch.bfloat16)
    hidden.requires_grad_()
    mask = torch.ones(16, 1, 24, 24, dtype=torch.bool, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(2):
            output = hidden
            for block in blocks:
                output = block(output, mask)
            output.sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_run_from_end_to_end(tiny_encoder, tmp_path):
    record = submillion.train(
        learnable_rows(300),
        output=tmp_path / "run",
        model=tiny_encoder("bert"),
        num_train_epochs=6,
        learning_rate=3e-3,
        quiet=True,
    )
    assert record["with"]["device"].startswith(DEVICE.type)
    assert record["with"]["numerics"] == ("fast" if has_bf16() else "exact")
    assert record["forecast"]["peak_gb"] > 0
    test = learnable_rows(60, seed=9)
    report = submillion.evaluate(tmp_path / "run", test)
    assert report["accuracy"]["value"] > 0.8
