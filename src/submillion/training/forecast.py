"""How long a training will take, and how much memory, told before it starts.

Time: a few micro-batches are run forward and backward, nothing is kept of them, and their seconds are laid over the
shapes of all batches that an epoch holds. Memory: the bytes that a small batch keeps for its backward pass are counted,
exactly, and grown to the longest batch. On a CPU a lack of memory is no exception but the end of the process, so that
only a forecast can warn.
"""

import math
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import psutil
import torch

from submillion.data.windows import Windows
from submillion.errors import RunError
from submillion.scoring import score
from submillion.training.crowding import Crowding, measured_crowding
from submillion.training.free_memory import free_in_groups
from submillion.training.step_graphs import AS_THEY_COME, MOST_TOKENS
from submillion.training.trainer import BudgetTrainer, Shape

_SMALL_LENGTHS = (8, 16, 32)
"""Tokens a row of the small batches whose kept bytes are counted."""

_BEYOND = 100_000_000
"""Bytes for what is not counted: holes between tensors, the last checkpoint, the optimizer's own."""

_SHAPE_BYTES = 23_000_000
"""Bytes of the code that oneDNN builds and keeps for one shape of micro-batch (about 36 products)."""

_LOOP_SECONDS = 0.003
"""What a step takes beside forward and backward: optimizer, clipping, the next batch, callbacks."""

_SAMPLED_ROWS = 128
"""Validation rows that are scored to measure scoring."""


@dataclass(frozen=True)
class Forecast:
    """What a training will need.

    Attributes:
        minutes: Training and scoring validation, cross-validation included; early stopping is not foreseen.
        peak_gb: The process's largest resident memory, or the GPU's, in 10**9 bytes.
        share_cut: Share of the train rows that are longer than ``max_length``, from 0 to 1.
        crowding: How far other processes took the cores meanwhile.
        is_most: The minutes are what it takes at most: how many texts will join train is not known.
    """

    minutes: float
    peak_gb: float
    share_cut: float
    crowding: Crowding = field(default_factory=Crowding)
    is_most: bool = False

    def to_json(self) -> dict[str, float]:
        """Return it for `run.json`."""
        return {"minutes": round(self.minutes, 2), "peak_gb": round(self.peak_gb, 2)}

    def sentence(self) -> str:
        """Return it in words.

        >>> Forecast(12.4, 1.63, 0.05).sentence()
        'forecast: about 12 minutes of training, 1.6 GB of memory at the peak, 5.0 % of the train rows cut'
        """
        minutes = f"{60 * self.minutes:.0f} seconds" if self.minutes < 2 else f"{self.minutes:.0f} minutes"
        return (
            f"forecast: {'at most' if self.is_most else 'about'} {minutes} of training, {self.peak_gb:.1f} GB of memory at the peak, "
            f"{100 * self.share_cut:.1f} % of the train rows cut"
        )


def forecast(
    trainer: BudgetTrainer,
    share_cut: float,
    trainings: float = 1.0,
    held_bytes: int = 0,
    baseline_bytes: int = 0,
) -> Forecast:
    """Measure a few micro-batches and return what the whole training will need.

    Weights and random state are as before afterwards, and no gradient is left.

    Args:
        trainer: Ready to train.
        share_cut: Share of the train rows that are cut.
        trainings: How many such trainings there will be: more than one with cross-validation, less than one where
            a part is done already.
        held_bytes: What else the process will hold while it trains.
        baseline_bytes: What it will take after training, to fit the baselines.

    Raises:
        RunError: If more memory is needed than is free; it says what to lower.
    """
    steps, epochs = trainer.slices(), float(trainer.args.num_train_epochs)
    own = steps[
        :: trainer.args.world_size
    ]  # of several processes each runs its share, the first no smaller one
    with _undone(trainer):
        peak = _peak_bytes(trainer, steps, held_bytes, baseline_bytes)
        trainer.build_ahead(steps)
        with measured_crowding() as crowding:
            seconds = _training_seconds(trainer, [shape for step in own for shape in step], epochs)
    seconds += epochs * _LOOP_SECONDS * len(own) / trainer.args.gradient_accumulation_steps
    if trainer.validation is not None:
        times = (
            2 if trainer.args.metric_for_best_model == "shifted_accuracy" else 1
        )  # as they are, and with noise
        rows = trainer.validation
        scored = rows.windows if isinstance(rows, Windows) else rows
        seconds += times * epochs * _scoring_seconds(trainer, scored)
    return Forecast(trainings * seconds / 60, peak / 1e9, share_cut, crowding)


@contextmanager
def _undone(trainer: BudgetTrainer) -> Iterator[None]:
    """Put the random state back, and drop the gradients."""
    try:
        with torch.random.fork_rng():
            yield
    finally:
        for parameter in trainer.model.parameters():
            parameter.grad = None
        if trainer.graphs is not None:
            trainer.graphs.forget()


def _made_up(trainer: BudgetTrainer, shape: Shape) -> dict[str, torch.Tensor]:
    """Return a micro-batch of random tokens on the device."""
    n_rows, n_tokens = shape
    device = next(trainer.model.parameters()).device
    input_ids = torch.randint(5, trainer.model.config.vocab_size, shape, device=device)
    mask = torch.ones_like(input_ids)
    mask[n_rows // 2 :, n_tokens - 1 :] = 0  # some padding, as batches have it
    n_labels = trainer.train_dataset.labels.shape[1:]  # () where a row has one
    labels = torch.zeros(n_rows, *n_labels, dtype=torch.float32 if n_labels else torch.int64, device=device)
    return {"input_ids": input_ids, "attention_mask": mask, "labels": labels}


def _forward(trainer: BudgetTrainer, shape: Shape) -> torch.Tensor:
    """Run a made-up micro-batch forward and return its loss."""
    trainer.model.train()
    loss: torch.Tensor = trainer.model(**_made_up(trainer, shape)).loss
    return loss


def _training_seconds(trainer: BudgetTrainer, shapes: Sequence[Shape], epochs: float) -> float:
    """Return the seconds that slices of these shapes take in so many epochs.

    Three shapes are measured, short, middle and long; the others lie between by their tokens. What a shape takes the
    first times that it is met, beyond later times, is counted once a shape.
    """
    ordered = sorted(set(shapes), key=math.prod)
    chosen = {math.prod(shape): shape for shape in (ordered[0], ordered[len(ordered) // 2], ordered[-1])}
    if trainer.graphs is not None:
        _step(trainer, ordered[0])  # makes the gradients, after which shapes count anew
    measured = [_seconds(trainer, shape) for _, shape in sorted(chosen.items())]
    later = np.interp(
        [math.prod(shape) for shape in shapes], sorted(chosen), [seconds for _, seconds in measured]
    )
    first = np.mean([more for more, _ in measured]) * len(ordered)
    return float(epochs * later.sum() + first)


def _seconds(trainer: BudgetTrainer, shape: Shape) -> tuple[float, float]:
    """Return the seconds by which one shape's first forward and backward passes are longer in all, and those of a later one."""
    times = []
    n_first = 1 if trainer.graphs is None else AS_THEY_COME + 1
    for _ in range(n_first + 3):
        started = time.perf_counter()
        _step(trainer, shape)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
        if times[0] > 3:  # what the first time takes more is little beside this
            break
    later = float(np.mean(times[n_first:] or times))
    return sum(max(0.0, each - later) for each in times[:n_first]), later


def _step(trainer: BudgetTrainer, shape: Shape) -> None:
    """Run a made-up micro-batch forward and backward, recorded where the trainer records."""
    if trainer.graphs is None:
        _forward(trainer, shape).backward()  # type: ignore[no-untyped-call]
    else:
        batch = _made_up(trainer, shape)
        trainer.graphs.step(batch, torch.tensor(shape[0], device=batch["labels"].device))


def _scoring_seconds(trainer: BudgetTrainer, rows: Sequence[Sequence[int]]) -> float:
    """Return the seconds that scoring ``rows`` takes, from a sample of them."""
    sample = list(rows)[:: max(1, len(rows) // _SAMPLED_ROWS)]
    times = []
    for _ in range(2):
        started = time.perf_counter()
        score(trainer.model, sample, int(trainer.args.per_device_eval_batch_size))
        times.append(time.perf_counter() - started)
    return times[-1] * sum(map(len, rows)) / sum(map(len, sample))


def _peak_bytes(
    trainer: BudgetTrainer, steps: list[list[Shape]], held_bytes: int, baseline_bytes: int
) -> float:
    """Return the memory at the peak, in bytes.

    Raises:
        RunError: If that is more than there is.
    """
    shapes = {shape for step in steps for shape in step}
    longest = max(shapes, key=_size)
    n_trainable = trainer.plan.trainable_parameters
    more = _running_bytes(trainer, longest) + 12 * n_trainable  # gradients and AdamW's two moments, in fp32
    recorded = [shape for shape in shapes if trainer.graphs is not None and math.prod(shape) <= MOST_TOKENS]
    if recorded:  # recordings share memory of their own, of which the others have no use
        more += _running_bytes(trainer, max(recorded, key=_size))
    more, after = more + _BEYOND, 0.0  # a GPU has no part in the baselines
    if trainer.args.use_cpu:
        built = _SHAPE_BYTES * len(shapes)
        more, after = more + built + held_bytes, built + baseline_bytes
    held, free, largest = _memory()
    if more > free:
        raise RunError(
            f"training needs about {more / 1e9:.1f} GB more memory and {free / 1e9:.1f} GB are free: lower "
            f"per_device_train_batch_size (now {trainer.args.per_device_train_batch_size}) or max_length "
            f"(the longest batch has {longest[1]} tokens a row)"
            + (", or give --speedups=-step_graphs" if recorded else "")
        )
    if after > free:
        raise RunError(
            f"the baselines need about {after / 1e9:.1f} GB more memory after training and {free / 1e9:.1f} GB are free: train "
            "on fewer rows (max_rows_per_class)"
        )
    return float(max(held + more, held + after, largest))


def _size(shape: Shape) -> tuple[int, int]:
    return math.prod(shape), shape[1]


def _running_bytes(trainer: BudgetTrainer, shape: Shape) -> float:
    """Return what a micro-batch of this shape takes while it runs: what it keeps for its backward pass, and what passes."""
    config = trainer.model.config
    widest: int = getattr(config, "intermediate_size", None) or config.hidden_dim
    return _kept_bytes(trainer, shape) + 3 * math.prod(shape) * widest * 4


def _kept_bytes(trainer: BudgetTrainer, longest: Shape) -> float:
    """Return what the longest batch keeps for its backward pass: counted on small ones, grown from there.

    ``n`` rows of ``t`` tokens keep ``c + n (a t + b t^2)`` bytes: the square is attention's.
    """
    n_rows = min(4, longest[0])
    counted = [_count_kept(trainer, (n_rows, n_tokens)) for n_tokens in _SMALL_LENGTHS]
    square, linear, fixed = np.polyfit(_SMALL_LENGTHS, counted, deg=2)
    share = longest[0] / n_rows
    return float(fixed + share * (linear * longest[1] + square * longest[1] ** 2))


def _count_kept(trainer: BudgetTrainer, shape: Shape) -> int:
    """Return the bytes that one forward pass keeps for the backward pass, parameters apart."""
    owned = {parameter.untyped_storage().data_ptr() for parameter in trainer.model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # itself it may hold the node that keeps it: a cycle, with all its memory

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = _forward(trainer, shape)
    del loss
    return sum(kept.values())


def _memory() -> tuple[int, int, int]:
    """Return bytes held by this process, free for it, and the most that it has held so far."""
    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        held = torch.cuda.memory_allocated()
        return held, free + torch.cuda.memory_reserved() - held, peak_bytes()
    free = min(psutil.virtual_memory().available, free_in_groups())
    return psutil.Process().memory_info().rss, free, peak_bytes()


def peak_bytes() -> int:
    """Return the most memory that this process has held so far, the GPU's where there is one."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_reserved())  # what recordings hold is not allocated between replays
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
