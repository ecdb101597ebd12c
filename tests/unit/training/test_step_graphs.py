"""Micro-batches replayed from a recording: the same training, by a recorder that needs no GPU. See `tests/gpu` for the card's."""

import io
from collections.abc import Callable

import pytest
import torch
from rich.console import Console
from torch import nn

from conftest import learnable_rows
from submillion.errors import RunError
from submillion.recipe import load_recipe
from submillion.training import fit as module
from submillion.training.fit import fit_adapter, make_trainer
from submillion.training.forecast import forecast
from submillion.training.prepare import Sources, prepare
from submillion.training.step_graphs import AS_THEY_COME, StepGraphs

QUIET = Console(file=io.StringIO())


def again(function: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
    """Record by keeping the function: like a graph, it is not run now, and writes its result to one place."""
    place = torch.full((), torch.nan)
    return lambda: place.copy_(function()), place


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setattr(module, "_can_record", lambda *_: True)
    monkeypatch.setattr(module, "on_card", lambda: again)


def trained(tiny_encoder, folder, **fields):
    """Train a little and return the trainer."""
    settings = {
        "num_train_epochs": 4,
        "rank": 2,
        "lora_dropout": 0.0,
        "per_device_train_batch_size": 4,
        **fields,
    }
    recipe = load_recipe(model=tiny_encoder("bert"), head_init="random", min_rows_to_split=10_000, **settings)
    prepared = prepare(recipe, Sources(learnable_rows(62)), QUIET)
    model = prepared.build()
    for layer in model.modules():  # it would draw alike for a shape in one, and not in the other
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    trainer = make_trainer(model, prepared.plan, prepared.recipe, prepared.train, None, folder, QUIET)
    fit_adapter(trainer)
    return trainer


@pytest.mark.parametrize(
    "fields",
    [
        {"numerics": "exact"},
        {"numerics": "fast"},
        {"gradient_accumulation_steps": 3, "class_weights": "balanced", "label_smoothing_factor": 0.1},
        {"pooling": "first", "head": "full"},
    ],
    ids=str,
)
def test_a_training_by_recordings_is_the_same_training(tiny_encoder, tmp_path, fields, request):
    plain = trained(tiny_encoder, tmp_path / "plain", **fields)
    request.getfixturevalue("recorded")
    replayed = trained(tiny_encoder, tmp_path / "replayed", **fields)
    assert plain.graphs is None
    assert replayed.graphs.n_recorded > 1
    for one, other in zip(plain.model.parameters(), replayed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    losses = [[entry.get("loss") for entry in trainer.state.log_history] for trainer in (plain, replayed)]
    assert losses[0] == losses[1]


def test_on_a_cpu_nothing_is_recorded(tiny_encoder, tmp_path):
    assert trained(tiny_encoder, tmp_path, num_train_epochs=1).graphs is None


def test_the_forecast_measures_recordings(tiny_encoder, tmp_path, recorded):
    trainer = trained(tiny_encoder, tmp_path, num_train_epochs=1)
    calls = []
    run = trainer.graphs._run
    trainer.graphs._run = lambda *arguments: calls.append(1) or run(*arguments)
    trainer.graphs._recordings.clear()
    assert forecast(trainer, 0.0).minutes > 0
    assert len(calls) >= 2 * (AS_THEY_COME + 4)


@pytest.fixture
def weight() -> nn.Parameter:
    return nn.Parameter(torch.tensor([1.0, 2.0]))


def graphs_of(weight: nn.Parameter, record=again) -> StepGraphs:
    def run(inputs, divisor):
        loss = (weight * inputs["x"]).sum() / divisor
        loss.backward()
        return loss.detach()

    return StepGraphs(run, [weight], record)


def test_each_shape_is_recorded_once_it_has_been_met_often(weight):
    graphs = graphs_of(weight)
    for n_rows in (3, 3, 5, 3, 3, 5):
        loss = graphs.step({"x": torch.ones(n_rows, 2)}, torch.tensor(1))
        assert loss == 3 * n_rows
    assert graphs.n_recorded == 1
    assert weight.grad.tolist() == [22, 22]


def test_what_is_replayed_reads_the_new_inputs_and_divisor(weight):
    graphs = graphs_of(weight)
    for number in range(1, 8):
        weight.grad = weight.grad if weight.grad is None else weight.grad.zero_()
        loss = graphs.step({"x": torch.full((2,), float(number))}, torch.tensor(number))
        assert loss == 3
        assert weight.grad.tolist() == [1, 1]


def test_recordings_are_dropped_where_gradients_are_other_tensors(weight):
    graphs = graphs_of(weight)
    x = {"x": torch.ones(2)}
    for _ in range(AS_THEY_COME + 2):
        graphs.step(x, torch.tensor(1))
    assert graphs.n_recorded == 1
    weight.grad = None
    graphs.step(x, torch.tensor(1))
    assert graphs.n_recorded == 0
    assert weight.grad.tolist() == [1, 1]


def test_the_processors_random_numbers_are_those_of_the_shape_and_none_is_used_up():
    drawn = []

    def run(inputs, divisor):
        drawn.append(torch.rand(()).item())
        return torch.zeros(())

    torch.manual_seed(1)
    state = torch.get_rng_state()
    graphs = StepGraphs(run, [], again)
    for _ in range(AS_THEY_COME + 2):
        graphs.step({"x": torch.ones(2)}, torch.tensor(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert len(drawn) == AS_THEY_COME + 2
    assert len(set(drawn)) == 1


def test_what_cannot_be_recorded_is_told_with_what_to_do(weight):
    def fail(function):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    graphs = graphs_of(weight, fail)
    for _ in range(AS_THEY_COME + 1):  # the first gave the weight its gradient
        graphs.step({"x": torch.ones(2)}, torch.tensor(1))
    with pytest.raises(
        RunError, match=r"recorded for the GPU \(operation not permitted .*capturing\).*step_graphs"
    ):
        graphs.step({"x": torch.ones(2)}, torch.tensor(1))
