"""Micro-batches replayed from a recording: the same training, by a recorder that needs no GPU. See `tests/gpu` for the card's."""

import io
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from torch import nn
from transformers.training_args import ParallelMode

from conftest import learnable_rows
from submillion.errors import RunError
from submillion.recipe import load_recipe
from submillion.training import fit as module
from submillion.training import step_graphs
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


def to_train(tiny_encoder, folder, **fields):
    """Return a trainer that has not begun, without dropout."""
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
    return make_trainer(model, prepared.plan, prepared.recipe, prepared.train, None, folder, QUIET)


def trained(tiny_encoder, folder, **fields):
    """Train a little and return the trainer, and how many shapes were recorded."""
    trainer, most = to_train(tiny_encoder, folder, **fields), 0
    if trainer.graphs is not None:
        forget = trainer.graphs.forget

        def count_and_forget() -> None:
            nonlocal most
            most = max(most, trainer.graphs.n_recorded)
            forget()

        trainer.graphs.forget = count_and_forget
    fit_adapter(trainer)
    return trainer, most


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
    plain, _ = trained(tiny_encoder, tmp_path / "plain", **fields)
    request.getfixturevalue("recorded")
    replayed, n_recorded = trained(tiny_encoder, tmp_path / "replayed", **fields)
    assert plain.graphs is None
    assert n_recorded > 1
    assert replayed.graphs.n_recorded == 0  # the card has its memory back
    for one, other in zip(plain.model.parameters(), replayed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    losses = [[entry.get("loss") for entry in trainer.state.log_history] for trainer in (plain, replayed)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("fields", "arguments", "expected"),
    [
        ({}, {}, True),
        ({"numerics": "exact"}, {}, True),
        ({"method": "rslora"}, {}, True),
        ({}, {"use_cpu": True}, False),
        ({}, {"fp16": True}, False),
        ({}, {"parallel_mode": ParallelMode.DISTRIBUTED}, False),
        ({"speedups": "-step_graphs"}, {}, False),
        ({"speedups": "none", "numerics": "exact"}, {}, False),
        ({"method": "adalora"}, {}, False),
        ({"method": "boft", "layers": "last:1"}, {}, False),
        ({"init_lora_weights": "pissa"}, {}, False),
    ],
    ids=str,
)
def test_what_is_recorded(tiny_encoder, fields, arguments, expected):
    recipe = load_recipe(model=tiny_encoder("bert"), **{"rank": 2, "min_rows_to_split": 10_000, **fields})
    prepared = prepare(recipe, Sources(learnable_rows(62)), QUIET)
    on_one_gpu = {"use_cpu": False, "fp16": False, "parallel_mode": ParallelMode.NOT_PARALLEL}
    of_trainer = SimpleNamespace(**on_one_gpu | arguments)
    assert module._can_record(prepared.build(), prepared.plan, prepared.recipe, of_trainer) == expected


def test_on_a_cpu_nothing_is_recorded(tiny_encoder, tmp_path):
    assert to_train(tiny_encoder, tmp_path).graphs is None


def test_the_forecast_counts_a_recording_once_a_shape(tiny_encoder, tmp_path, monkeypatch):
    def slowly(function):
        time.sleep(0.5)
        return again(function)

    monkeypatch.setattr(module, "_can_record", lambda *_: True)
    monkeypatch.setattr(module, "on_card", lambda: slowly)
    trainer = to_train(tiny_encoder, tmp_path, num_train_epochs=100)
    n_shapes = len({shape for step in trainer.slices() for shape in step})
    minutes = forecast(trainer, 0.0).minutes
    assert 0.4 * n_shapes < 60 * minutes < 0.5 * n_shapes + 100 * len(trainer.slices()) * 0.1
    assert trainer.graphs.n_recorded == 0


def test_recordings_hold_memory_that_the_forecast_counts(tiny_encoder, tmp_path, recorded):
    with_them = forecast(to_train(tiny_encoder, tmp_path), 0.0).peak_gb
    plain = to_train(tiny_encoder, tmp_path)
    plain.graphs = None
    assert with_them > forecast(plain, 0.0).peak_gb


@pytest.fixture
def weight() -> nn.Parameter:
    return nn.Parameter(torch.tensor([1.0, 2.0]))


def graphs_of(weight: nn.Parameter, record=again) -> StepGraphs:
    def run(inputs, divisor):
        loss = (weight * inputs["input_ids"]).sum() / divisor
        loss.backward()
        return loss.detach()

    return StepGraphs(run, [weight], record)


def test_each_shape_is_recorded_once_it_has_been_met_often(weight):
    graphs = graphs_of(weight)
    for n_rows in (3, 3, 5, 3, 3, 5):
        loss = graphs.step({"input_ids": torch.ones(n_rows, 2)}, torch.tensor(1))
        assert loss == 3 * n_rows
    assert graphs.n_recorded == 1
    assert weight.grad.tolist() == [22, 22]


def test_what_is_replayed_reads_the_new_inputs_and_divisor(weight):
    graphs = graphs_of(weight)
    for number in range(1, 8):
        weight.grad = weight.grad if weight.grad is None else weight.grad.zero_()
        loss = graphs.step({"input_ids": torch.full((2,), float(number))}, torch.tensor(number))
        assert loss == 3
        assert weight.grad.tolist() == [1, 1]


def test_large_shapes_and_more_than_so_many_run_as_they_come(weight, monkeypatch):
    monkeypatch.setattr(step_graphs, "MOST_TOKENS", 8)
    monkeypatch.setattr(step_graphs, "MOST_RECORDINGS", 2)
    graphs = graphs_of(weight)
    for n_rows in (5, 4, 3, 2) * 5:
        assert graphs.step({"input_ids": torch.ones(n_rows, 2)}, torch.tensor(1)) == 3 * n_rows
    assert graphs.n_recorded == 2
    assert weight.grad.tolist() == [70, 70]


def test_a_few_rows_of_many_labels_are_not_large(weight, monkeypatch):
    monkeypatch.setattr(step_graphs, "MOST_TOKENS", 8)
    graphs = graphs_of(weight)
    batch = {"input_ids": torch.ones(3, 2), "labels": torch.zeros(3, 3_000)}
    for _ in range(AS_THEY_COME + 2):
        graphs.step(batch, torch.tensor(1))
    assert graphs.n_recorded == 1


def test_recordings_are_dropped_where_gradients_are_other_tensors(weight):
    graphs = graphs_of(weight)
    batch = {"input_ids": torch.ones(2)}
    for _ in range(AS_THEY_COME + 2):
        graphs.step(batch, torch.tensor(1))
    assert graphs.n_recorded == 1
    weight.grad = None
    graphs.step(batch, torch.tensor(1))
    assert graphs.n_recorded == 0
    assert weight.grad.tolist() == [1, 1]


def test_the_processors_random_numbers_are_those_of_the_shape_and_none_is_used_up():
    drawn = []

    def run(inputs, divisor):
        drawn.append(torch.rand(()).item())
        return torch.zeros(())

    torch.manual_seed(1)
    state = torch.get_rng_state()
    graphs = StepGraphs(run, [], again, seed=3)
    for _ in range(AS_THEY_COME + 2):
        graphs.step({"input_ids": torch.ones(2)}, torch.tensor(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert len(drawn) == AS_THEY_COME + 2
    assert len(set(drawn)) == 1
    StepGraphs(run, [], again, seed=4).step({"input_ids": torch.ones(2)}, torch.tensor(1))
    assert drawn[-1] != drawn[0]


def test_what_cannot_be_recorded_is_told_with_what_to_do(weight):
    def fail(function):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    graphs = graphs_of(weight, fail)
    for _ in range(AS_THEY_COME + 1):  # the first gave the weight its gradient
        graphs.step({"input_ids": torch.ones(2)}, torch.tensor(1))
    with pytest.raises(
        RunError, match=r"recorded for the GPU \(operation not permitted .*capturing\).*step_graphs"
    ):
        graphs.step({"input_ids": torch.ones(2)}, torch.tensor(1))
