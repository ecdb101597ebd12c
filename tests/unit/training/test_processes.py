"""Several processes that train one model (`torchrun`), told in one: each runs its share of the batches."""

import io

import pytest
from accelerate.data_loader import BatchSamplerShard
from rich.console import Console
from torch.utils.data import BatchSampler
from transformers import TrainingArguments

from conftest import learnable_rows
from submillion.recipe import load_recipe
from submillion.training import forecast as module
from submillion.training.callbacks import ProgressBar, SaveWithinEpoch
from submillion.training.fit import make_trainer
from submillion.training.forecast import forecast
from submillion.training.prepare import Sources, prepare

QUIET = Console(file=io.StringIO())
N_ROWS, BATCH_SIZE = 66, 4


@pytest.fixture
def trainer_of(tiny_encoder, tmp_path, monkeypatch):
    """Return a function: a number of processes to the trainer of one of them."""

    def build(n_processes: int, **fields):
        monkeypatch.setattr(TrainingArguments, "world_size", n_processes)
        settings = {"rank": 2, "per_device_train_batch_size": BATCH_SIZE, **fields}
        recipe = load_recipe(
            model=tiny_encoder("bert"), head_init="random", min_rows_to_split=10_000, **settings
        )
        prepared = prepare(recipe, Sources(learnable_rows(N_ROWS)), QUIET)
        parts = (prepared.build(), prepared.plan, prepared.recipe, prepared.train, None, tmp_path, QUIET)
        return make_trainer(*parts)

    return build


@pytest.mark.parametrize(("n_processes", "n_batches"), [(1, 17), (2, 9), (3, 6), (20, 1)])
def test_steps_of_an_epoch_and_rows_of_a_step(trainer_of, n_processes, n_batches):
    trainer = trainer_of(n_processes, gradient_accumulation_steps=2)
    batches = BatchSampler(range(N_ROWS), BATCH_SIZE, drop_last=False)
    assert len(BatchSamplerShard(batches, n_processes)) == n_batches
    callbacks = {type(callback): callback for callback in trainer.callback_handler.callbacks}
    assert callbacks[SaveWithinEpoch].steps_in_epoch == -(-n_batches // 2)
    assert callbacks[ProgressBar].rows_per_step == 2 * BATCH_SIZE * n_processes


@pytest.mark.parametrize(("n_processes", "n_batches"), [(1, 17), (2, 9), (20, 1)])
def test_the_forecast_is_of_one_share(trainer_of, monkeypatch, n_processes, n_batches):
    given: list[int] = []
    monkeypatch.setattr(
        module, "_training_seconds", lambda _trainer, shapes, _epochs: given.append(len(shapes)) or 0.0
    )
    forecast(trainer_of(n_processes), 0.0)
    assert given == [n_batches]


def test_one_process_writes_the_checkpoint(trainer_of, tmp_path, monkeypatch):
    trainer = trainer_of(1)
    monkeypatch.setattr(TrainingArguments, "should_save", False)
    trainer._save(str(tmp_path / "checkpoint"))
    assert not (tmp_path / "checkpoint").exists()
