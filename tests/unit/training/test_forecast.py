"""What is told before training starts, and the refusal where memory is short."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import submillion
from conftest import learnable_rows
from submillion.errors import RunError
from submillion.recipe import load_recipe
from submillion.training import forecast as module
from submillion.training.checkpoints import mark_complete, share_done
from submillion.training.fit import fit_adapter, make_trainer
from submillion.training.forecast import forecast
from submillion.training.prepare import Sources, prepare

QUIET = Console(file=io.StringIO())


def told_before(tiny_encoder, tmp_path: Path, tell, **fields):
    """Train a little, ``tell`` called with the trainer before the first step; return what it returned."""
    settings = {"num_train_epochs": 2, "rank": 2, "min_rows_to_split": 10_000, **fields}
    recipe = load_recipe(model=tiny_encoder("bert"), head_init="random", **settings)
    prepared = prepare(recipe, Sources(learnable_rows(60)), QUIET)
    model = prepared.build()
    parts = (model, prepared.plan, prepared.recipe, prepared.train, None, tmp_path, QUIET)
    told = tell(make_trainer(*parts))
    fit_adapter(make_trainer(*parts))
    return told, model


@pytest.mark.parametrize("numerics", ["exact", "fast"])
def test_it_leaves_everything_as_it_was(tiny_encoder, tmp_path, numerics):
    def same(trainer) -> None:
        before = [parameter.clone() for parameter in trainer.model.parameters() if parameter.requires_grad]
        state = torch.get_rng_state()
        forecast(trainer, 0.0)
        assert torch.equal(torch.get_rng_state(), state)
        after = [parameter for parameter in trainer.model.parameters() if parameter.requires_grad]
        assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
        assert all(parameter.grad is None for parameter in trainer.model.parameters())

    _, told = told_before(tiny_encoder, tmp_path / "a", same, numerics=numerics)
    _, untold = told_before(tiny_encoder, tmp_path / "b", lambda trainer: None, numerics=numerics)
    for one, other in zip(told.parameters(), untold.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.alone
def test_minutes_grow_with_the_epochs_and_the_share_is_passed_on(tiny_encoder, tmp_path):
    def both(trainer):
        once = forecast(trainer, 0.25)
        trainer.args.num_train_epochs = 200
        many = forecast(trainer, 0.25)
        trainer.args.num_train_epochs = 2
        return once, many

    (once, many), _ = told_before(tiny_encoder, tmp_path, both)
    assert once.share_cut == 0.25
    assert 25 * once.minutes < many.minutes < 400 * once.minutes
    assert once.peak_gb > 0.2


def test_kept_bytes_are_those_of_the_longest_batch(tiny_encoder, tmp_path):
    def grown_and_counted(trainer):
        return [
            (module._kept_bytes(trainer, shape), module._count_kept(trainer, shape))
            for shape in ((16, 48), (8, 64))
        ]

    figures, _ = told_before(tiny_encoder, tmp_path, grown_and_counted)
    for grown, counted in figures:
        assert grown == pytest.approx(counted, rel=0.1)


@pytest.mark.parametrize("numerics", ["exact", "fast"])
def test_masks_of_dropout_are_among_what_is_kept(tiny_encoder, tmp_path, numerics):
    def kept(trainer):
        return module._count_kept(trainer, (4, 16))

    figures = [
        told_before(tiny_encoder, tmp_path / str(p), kept, numerics=numerics, lora_dropout=p)[0]
        for p in (0.0, 0.1)
    ]
    assert figures[1] > figures[0]


def test_too_little_memory_is_refused_before_the_first_step(tiny_encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_memory", lambda: (0, 1_000_000, 0))
    with pytest.raises(RunError) as refusal:
        submillion.train(learnable_rows(60), output=tmp_path / "run", model=tiny_encoder("bert"), quiet=True)
    assert "GB are free: lower per_device_train_batch_size (now 16) or max_length" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()  # the same command may be given again, with a smaller batch


def test_baselines_that_memory_is_too_short_for_are_refused_before_training(
    tiny_encoder, tmp_path, monkeypatch
):
    rows, given = learnable_rows(60), {"model": tiny_encoder("bert"), "quiet": True}
    letters = sum(len(text) for text, _ in rows)
    plain, seen = module.forecast, []
    monkeypatch.setattr("submillion.training.train.forecast", lambda *all_: seen.append(all_) or plain(*all_))
    submillion.train(rows, output=tmp_path / "enough", **given)
    *_, held, of_baselines = seen[0]
    assert held == 60 * 2 * 4 * 32
    assert of_baselines == held + max(25 * 60 * 32, 35 * letters)

    monkeypatch.setattr("submillion.training.train.baseline_bytes", lambda _: 10**15)
    with pytest.raises(RunError, match=r"the baselines need about 1000000\.\d GB more memory after training"):
        submillion.train(rows, output=tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_cross_validation_is_foretold_and_refused_before_its_first_fold(tiny_encoder, tmp_path, monkeypatch):
    told = []
    plain = module.forecast
    monkeypatch.setattr(
        "submillion.training.train.forecast",
        lambda trainer, share, trainings, *more: (
            told.append(trainings) or plain(trainer, share, trainings, *more)
        ),
    )
    fields = {"model": tiny_encoder("bert"), "num_train_epochs": 1, "quiet": True}
    submillion.train(learnable_rows(45), output=tmp_path / "run", cv=3, **fields)
    assert told == [3.0]
    monkeypatch.setattr(module, "_memory", lambda: (0, 1_000_000, 0))
    monkeypatch.setattr(
        "submillion.training.train.cross_validate", lambda *_: pytest.fail("a fold was trained")
    )
    with pytest.raises(RunError, match="GB are free"):
        submillion.train(learnable_rows(45), output=tmp_path / "other", cv=3, **fields)


@pytest.mark.alone
def test_seconds_of_the_forecast_are_not_seconds_of_training(tiny_encoder, tmp_path, monkeypatch):
    plain = module.forecast

    def slow(*arguments):
        time.sleep(1.5)
        return plain(*arguments)

    monkeypatch.setattr("submillion.training.train.forecast", slow)
    record = submillion.train(
        learnable_rows(45),
        output=tmp_path / "run",
        model=tiny_encoder("bert"),
        num_train_epochs=1,
        quiet=True,
    )
    assert record["seconds"]["preparing"] >= 1.5 > record["seconds"]["training"]


def test_a_resumed_run_is_told_what_is_left(tmp_path):
    assert share_done(tmp_path) == 0
    (tmp_path / "checkpoint-30").mkdir()
    (tmp_path / "checkpoint-30" / "trainer_state.json").write_text('{"global_step": 30, "max_steps": 120}')
    assert share_done(tmp_path) == 0
    mark_complete(tmp_path / "checkpoint-30", 30, 1.0)
    assert share_done(tmp_path) == 0.25


def test_a_run_keeps_what_was_told_and_what_was_held(tiny_encoder, tmp_path):
    record = submillion.train(
        learnable_rows(60), output=tmp_path / "run", model=tiny_encoder("bert"), quiet=True, rank=2
    )
    assert set(record["forecast"]) == {"minutes", "peak_gb"}
    assert np.isfinite(record["forecast"]["minutes"])
    assert record["peak_gb"] > 0.2
