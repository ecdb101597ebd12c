"""The mean of several epochs' weights: flatter than any of them, and less bound to the rows that it was trained on.

Izmailov et al. 2018 (arXiv:1803.05407, section 3.2) average the weights along one training, Wortsman et al. 2022
(arXiv:2203.05482) those of several. Here it is the trained parameters at the ends of the last epochs of one training.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from submillion.model.adapter import assert_planned
from submillion.run import read_json, written_atomically
from submillion.training.checkpoints import complete_checkpoints
from submillion.training.trainer import BudgetTrainer, read_trained, write_trained

MEAN = "mean.safetensors"

_NAME = re.compile(r"epoch-(\d+)-step-(\d+)\.safetensors")

End = tuple[int, int]
"""The end of an epoch: its number from 1, and the optimiser steps done by then."""


class KeepEpochEnds(TrainerCallback):
    """Write the trained parameters at each epoch's end, and drop those that no mean will need.

    They are written before the epoch's evaluation and its checkpoint, so that a run that goes on from a checkpoint finds
    the ends before it.

    Args:
        folder: Where.
        n_epochs: How many a mean is of.
    """

    def __init__(self, folder: Path, n_epochs: int):
        self.folder = folder
        self.n_epochs = n_epochs

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop what was written after the step that training goes on from."""
        for end, path in _written(self.folder).items():
            if end[1] > state.global_step:
                path.unlink()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the parameters; what counts for the mean is here, whether this epoch is the best one or an earlier is."""
        if not state.is_world_process_zero:
            return
        epoch = math.ceil(state.epoch)
        write_trained(kwargs["model"], self.folder / f"epoch-{epoch}-step-{state.global_step}.safetensors")
        written = _written(self.folder)
        best = state.best_global_step
        needed = {*averaged(list(written), None, self.n_epochs)}
        if best is not None:
            needed |= {*averaged(list(written), best, self.n_epochs)}
        for end in written.keys() - needed:
            written[end].unlink()


def averaged(ends: Sequence[End], best_step: int | None, n_epochs: int) -> list[End]:
    """Return the epochs whose weights are averaged: so many up to the best one, that included.

    Where fewer stand before the best one, the mean is of those.

    Args:
        ends: Of all epochs, in any order.
        best_step: Steps done at the end of the best epoch; None: nothing chose one, and the last counts.
        n_epochs: How many, at least 1.

    >>> ends = [(1, 10), (2, 20), (3, 30), (4, 40)]
    >>> averaged(ends, best_step=30, n_epochs=2), averaged(ends, best_step=None, n_epochs=2)
    ([(2, 20), (3, 30)], [(3, 30), (4, 40)])
    """
    return sorted(end for end in ends if best_step is None or end[1] <= best_step)[-n_epochs:]


def load_mean(trainer: BudgetTrainer, n_epochs: int) -> list[int]:
    """Lay the mean of the last epochs' trained parameters into the model and return the epochs' numbers.

    Args:
        trainer: Done; it kept the ends of its epochs by `KeepEpochEnds`.
        n_epochs: How many; see `averaged`.

    Raises:
        RunError: If a file is missing or damaged.
    """
    best_step = None
    if trainer.validation is not None:
        # Not the trainer's own state: that of a run which had ended already is not loaded.
        newest = complete_checkpoints(trainer.folder)[-1]
        best_step = read_json(newest / "trainer_state.json")["best_global_step"]
    written = _written(trainer.folder)
    ends = averaged(list(written), best_step, n_epochs)
    path = trainer.folder / MEAN
    with written_atomically(path) as temporary:
        save_file(mean_of([written[end] for end in ends]), temporary, metadata={"format": "pt"})
    read_trained(trainer.model, path)
    assert_planned(trainer.model, trainer.plan, "after averaging")
    return [epoch for epoch, _ in ends]


def mean_of(paths: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Return the mean of the tensors of each name, in their own type; summed in float64."""
    files = [load_file(path) for path in paths]
    return {
        name: (sum(file[name].double() for file in files) / len(files)).to(value.dtype).contiguous()
        for name, value in files[0].items()
    }


def _written(folder: Path) -> dict[End, Path]:
    found = {path: _NAME.fullmatch(path.name) for path in folder.glob("epoch-*.safetensors")}
    return {(int(name[1]), int(name[2])): path for path, name in found.items() if name is not None}
