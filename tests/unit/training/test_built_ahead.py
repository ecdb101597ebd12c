"""What oneDNN builds for a shape: built before training's first step of it, and nothing else changed by that."""

import io
from collections import Counter

import pytest
import torch
from rich.console import Console

from conftest import learnable_rows
from submillion.fast.block import FastBlock
from submillion.fast.built_ahead import build_ahead
from submillion.fast.features import can_pack
from submillion.recipe import load_recipe
from submillion.training import trainer as module
from submillion.training.fit import fit_adapter, make_trainer
from submillion.training.forecast import forecast
from submillion.training.prepare import Sources, prepare

QUIET = Console(file=io.StringIO())


@pytest.fixture
def trainer_of(tiny_encoder, tmp_path):
    """Return a function: recipe fields to a trainer that has not begun."""

    def build(**fields):
        settings = {
            "rank": 2,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4,
            "numerics": "fast",
            **fields,
        }
        recipe = load_recipe(
            model=tiny_encoder("bert"), head_init="random", min_rows_to_split=10_000, **settings
        )
        prepared = prepare(recipe, Sources(learnable_rows(62)), QUIET)
        parts = (prepared.build(), prepared.plan, prepared.recipe, prepared.train, None, tmp_path, QUIET)
        return make_trainer(*parts)

    return build


@pytest.fixture
def built(monkeypatch):
    """Return the list that each shape is appended to when it is built."""
    shapes: list[tuple[int, int]] = []

    def noted(model, new):
        shapes.extend(new)
        build_ahead(model, new)

    monkeypatch.setattr(module, "build_ahead", noted)
    return shapes


def trained_by(trainer) -> dict[str, torch.Tensor]:
    fit_adapter(trainer)
    return {name: value for name, value in trainer.model.named_parameters() if value.requires_grad}


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_the_same_training_bit_for_bit(trainer_of, built, pooling):
    ahead = trained_by(trainer_of(pooling=pooling))
    assert built
    so_far = len(built)
    as_it_comes = trained_by(trainer_of(pooling=pooling, speedups="-built_ahead"))
    assert len(built) == so_far
    assert all(torch.equal(value, as_it_comes[name]) for name, value in ahead.items())


@pytest.mark.parametrize("is_foretold", [True, False])
def test_every_shape_of_an_epoch_is_built_once_and_before_the_first_step(
    trainer_of, built, monkeypatch, is_foretold
):
    trainer = trainer_of()
    shapes = {shape for slices in trainer.slices() for shape in slices}
    assert len(shapes) > 1
    if is_foretold:
        laid_out, calls = trainer.slices(), []
        monkeypatch.setattr(trainer, "slices", lambda: calls.append(1) or laid_out)
        forecast(trainer, 0.0)
        assert len(calls) == 1, "an epoch was laid out twice"
        assert sorted(built) == sorted(shapes)
    met: list[int] = []
    forward = type(trainer.model).forward
    monkeypatch.setattr(
        type(trainer.model),
        "forward",
        lambda self, input_ids, *others, **named: (
            met.append(len(built)) or forward(self, input_ids, *others, **named)
        ),
    )
    fit_adapter(trainer)
    assert set(met) == {len(shapes)}
    assert sorted(built) == sorted(shapes)


def test_nothing_is_built_ahead_for_exact_numerics(trainer_of, built):
    fit_adapter(trainer_of(numerics="exact"))
    assert built == []


def test_of_very_many_shapes_the_commonest_are_built(trainer_of, built, monkeypatch):
    monkeypatch.setattr(module, "MOST_SHAPES", 2)
    trainer = trainer_of(per_device_train_batch_size=3, speedups="-few_lengths")
    counts = Counter(shape for slices in trainer.slices() for shape in slices)
    assert len(counts) > 2
    fit_adapter(trainer)
    assert sorted(built) == sorted(shape for shape, _ in counts.most_common(2))


@pytest.mark.parametrize(
    ("pooling", "layers", "kinds"),
    [("mean", "all", [0]), ("mean", "last:1", [0, 1]), ("first", "all", [0, 1])],
)
def test_one_block_of_each_kind_runs_and_leaves_no_trace(trainer_of, monkeypatch, pooling, layers, kinds):
    trainer = trainer_of(pooling=pooling, target_modules="query", layers=layers)
    trainer.model.train()
    ran: list[FastBlock] = []
    run = FastBlock._run
    monkeypatch.setattr(
        FastBlock, "_run", lambda self, hidden, mask: ran.append(self) or run(self, hidden, mask)
    )
    state = torch.get_rng_state()
    build_ahead(trainer.model, [(2, 8)])
    blocks = [block for block in trainer.model.modules() if isinstance(block, FastBlock)]
    assert ran == [blocks[kind] for kind in kinds]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


@pytest.mark.skipif(not can_pack(), reason="oneDNN's bf16 products are not used on this processor")
def test_a_step_of_a_shape_that_was_built_builds_no_more(trainer_of, capfd):
    def products_built(trainer, n_tokens: int) -> int:
        ids = torch.full((4, n_tokens), 7)
        trainer.model.train()
        capfd.readouterr()
        with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON_CREATION):
            loss = trainer.model(ids, torch.ones_like(ids), labels=torch.zeros(4, dtype=torch.long)).loss
            loss.backward()
        return sum("create:cache_miss" in line for line in capfd.readouterr().out.splitlines())

    trainer = trainer_of(target_modules="all-linear")
    assert products_built(trainer, 29) >= 10
    build_ahead(trainer.model, [(4, 31)])
    assert products_built(trainer, 31) == 0
