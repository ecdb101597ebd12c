"""What holds on a GPU: the blocks' numbers, no waiting for the device inside a step, recorded steps, a run from end to end.

Where there is none, all but the waiting and the recording runs on the CPU, so that these tests stay right.
"""

import copy

import pytest
import torch
from safetensors.torch import load_file

import submillion
from conftest import learnable_rows
from submillion.budget import make_plan
from submillion.model.build import Classifier, build_model, make_fast
from submillion.model.device import choose_device, has_bf16
from submillion.speedups import SPEEDUPS
from submillion.training.step_graphs import Inputs, Run, StepGraphs, on_card

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
    plan = make_plan(encoder, len(LABELS), target_modules="all-linear", rank=2, lora_dropout=0.1)
    model = build_model(plan, encoder, LABELS, seed=3, base_dropout=0.0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def drop_before_lora(model: Classifier, p: float) -> None:
    """Set the adapters' dropout."""
    for module in model.modules():
        for dropout in getattr(module, "lora_dropout", {}).values():
            if isinstance(dropout, torch.nn.Dropout):
                dropout.p = p


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
    drop_before_lora(stock, 0.1)
    model = make_fast(stock, "fast", ALL).train()
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


def run_of(model: Classifier) -> Run:
    """Return what runs a micro-batch forward and backward."""

    def run(inputs: Inputs, divisor: torch.Tensor) -> torch.Tensor:
        loss = model(**inputs, num_items_in_batch=divisor).loss
        loss.backward()
        return loss.detach()

    return run


def steps(model: Classifier, n_steps: int, *, recorded: bool) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Run a few steps of plain gradient descent on one batch; return their losses and what was trained."""
    trained = [parameter for parameter in model.train().parameters() if parameter.requires_grad]
    graphs = StepGraphs(run_of(model), trained, on_card()) if recorded else None
    inputs, divisor, losses = batch(), torch.tensor(16, device=DEVICE), []
    optimizer = torch.optim.SGD(trained, lr=0.05)
    for _ in range(n_steps):
        losses.append(
            (run_of(model)(inputs, divisor) if graphs is None else graphs.step(inputs, divisor)).item()
        )
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
    assert graphs is None or graphs.n_recorded == 1
    return losses, {name: each for name, each in model.named_parameters() if each.requires_grad}


@pytest.mark.skipif(DEVICE.type == "cpu", reason="no GPU here")
@pytest.mark.parametrize("numerics", ["exact", "fast"])
def test_recorded_steps_train_as_plain_ones_do(stock, numerics):
    torch.backends.cuda.matmul.allow_tf32 = False
    losses, plain = steps(make_fast(copy.deepcopy(stock), numerics, ALL), 12, recorded=False)
    replayed, recorded = steps(make_fast(stock, numerics, ALL), 12, recorded=True)
    assert losses[-1] < losses[0]
    torch.testing.assert_close(torch.tensor(replayed), torch.tensor(losses), rtol=1e-4, atol=1e-5)
    for name, value in plain.items():
        torch.testing.assert_close(recorded[name], value, rtol=1e-2, atol=1e-4)


@pytest.mark.skipif(DEVICE.type == "cpu", reason="no GPU here")
@pytest.mark.parametrize("numerics", ["exact", "fast"])
def test_each_replay_draws_dropout_anew(stock, numerics):
    drop_before_lora(stock, 0.3)
    model = make_fast(stock, numerics, ALL)
    trained = [parameter for parameter in model.train().parameters() if parameter.requires_grad]
    graphs = StepGraphs(run_of(model), trained, on_card())
    losses = [graphs.step(batch(), torch.tensor(16, device=DEVICE)).item() for _ in range(24)]
    assert len({round(loss, 6) for loss in losses[-20:]}) > 15
    model.eval()
    with torch.no_grad():
        expected = model(**batch()).loss.item()
    assert sum(losses) / len(losses) == pytest.approx(expected, rel=0.1)


def test_a_whole_training_is_recorded_and_comes_to_what_a_plain_one_does(tiny_encoder, tmp_path, monkeypatch):
    torch.backends.cuda.matmul.allow_tf32 = False
    recorded, weights = [], {}
    plain = StepGraphs._recorded
    monkeypatch.setattr(StepGraphs, "_recorded", lambda *given: (recorded.append(1), plain(*given))[1])
    for speedups in ("all", "-step_graphs"):
        submillion.train(
            learnable_rows(300),
            output=tmp_path / speedups,
            model=tiny_encoder("roberta"),
            numerics="exact",
            lora_dropout=0.0,
            num_train_epochs=4,
            gradient_accumulation_steps=3,
            class_weights="balanced",
            speedups=speedups,
            quiet=True,
        )
        weights[speedups] = load_file(tmp_path / speedups / "adapter" / "adapter_model.safetensors")
        if DEVICE.type == "cuda" and speedups == "all":
            assert len(recorded) > 4  # three of them by the forecast
            recorded.clear()
    assert recorded == []
    for name, value in weights["all"].items():
        torch.testing.assert_close(value, weights["-step_graphs"][name], rtol=1e-2, atol=1e-3)


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
