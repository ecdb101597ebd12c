"""A micro-batch's kernels recorded once for each shape and replayed from then on (CUDA graphs; Nguyen et al. 2021, PyTorch blog).

At the batch sizes that train well, a card works an eighth of the time that Python takes to launch its kernels one by one
(`docs/how-to/train-fast.md`). A recording launches them all at once. `few_lengths` sees to it that there are few shapes to record.
"""

import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from submillion.errors import RunError

AS_THEY_COME = 2
"""Micro-batches of a shape before one is recorded: a recording takes as long as several of them."""

MOST_RECORDINGS = 64
"""Shapes that are recorded; more, as without `few_lengths`, run as they come."""

MOST_TOKENS = 32_768
"""Tokens of a micro-batch that is recorded, padding included: a larger one keeps the card busy as it comes, and would hold its memory twice."""

Inputs = Mapping[str, torch.Tensor]
Run = Callable[[Inputs, torch.Tensor], torch.Tensor]
"""Runs a micro-batch forward and backward: its inputs and what its loss is divided by, to the loss."""

Record = Callable[[Callable[[], torch.Tensor]], tuple[Callable[[], None], torch.Tensor]]
"""Records a function without running it: returns what replays it, and where its result then stands."""


@dataclass(frozen=True)
class _Recording:
    inputs: dict[str, torch.Tensor]
    divisor: torch.Tensor
    loss: torch.Tensor
    replay: Callable[[], None]

    def run(self, inputs: Inputs, divisor: torch.Tensor) -> torch.Tensor:
        for name, value in inputs.items():
            self.inputs[name].copy_(value, non_blocking=True)
        self.divisor.copy_(divisor, non_blocking=True)
        self.replay()
        return self.loss


class StepGraphs:
    """Runs micro-batches, the first of a shape as they come and later ones by a recording.

    A recording reads and writes fixed places: gradients have to be set to zero where they are, never replaced. Where they
    have been replaced all the same, recordings are dropped and made anew. A recording repeats what was drawn on
    the processor while it was made: that is drawn alike for all micro-batches of a shape, recorded or not.

    Args:
        run: Runs one micro-batch; it adds to the gradients of ``trained``.
        trained: Parameters that get gradients.
        record: See `Record`; `on_card` is the one for a GPU.
        seed: Of what is drawn on the processor.
    """

    def __init__(self, run: Run, trained: Sequence[nn.Parameter], record: Record, seed: int = 0):
        self._run = run
        self._trained = tuple(trained)
        self._record = record
        self._seed = seed
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}
        self._met: Counter[tuple[torch.Size, ...]] = Counter()
        self._gradients: list[torch.Tensor | None] = []

    @property
    def n_recorded(self) -> int:
        """How many shapes are recorded."""
        return len(self._recordings)

    def forget(self) -> None:
        """Drop all recordings, and the memory that they hold."""
        self._recordings.clear()
        self._met.clear()

    def step(self, inputs: Inputs, divisor: torch.Tensor) -> torch.Tensor:
        """Run a micro-batch, its tensors on the device, and return its loss, a scalar that the next one may overwrite.

        Args:
            inputs: ``input_ids`` `[n, tokens]`, and whatever else it runs on.
            divisor: What its loss is divided by, a scalar.

        Raises:
            RunError: If a micro-batch cannot be recorded.
        """
        self._follow()
        shape = tuple(value.shape for value in inputs.values())
        if shape not in self._recordings:
            self._met[shape] += 1
            is_large = inputs["input_ids"].numel() > MOST_TOKENS
            if is_large or self._met[shape] <= AS_THEY_COME or self.n_recorded == MOST_RECORDINGS:
                return self._drawn_alike(inputs, divisor)
            self._recordings[shape] = self._recorded(inputs, divisor)
        return self._recordings[shape].run(inputs, divisor)

    def _follow(self) -> None:
        """Drop the recordings where gradients are no longer the tensors that they write to."""
        present = [parameter.grad for parameter in self._trained]
        if any(one is not other for one, other in zip(present, self._gradients, strict=False)):
            self.forget()
        self._gradients = present

    def _drawn_alike(self, inputs: Inputs, divisor: torch.Tensor) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            of_shape = sum(value.numel() for value in inputs.values())
            torch.default_generator.manual_seed((self._seed * 1_000_003 + of_shape) % 2**63)
            return self._run(inputs, divisor)

    def _recorded(self, inputs: Inputs, divisor: torch.Tensor) -> _Recording:
        kept, kept_divisor = {name: value.clone() for name, value in inputs.items()}, divisor.clone()
        try:
            replay, loss = self._record(lambda: self._drawn_alike(kept, kept_divisor))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            said = str(error.__context__ or error).strip().split("\n")[0][:200]
            raise RunError(
                f"a micro-batch could not be recorded for the GPU ({said}): train again with --speedups=-step_graphs"
            ) from error
        return _Recording(kept, kept_divisor, loss, replay)


def on_card() -> Record:
    """Return what records as a CUDA graph; all recordings of one such function share their memory."""
    pool = torch.cuda.graph_pool_handle()

    def record(function: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        gc.collect()  # a forgotten backward pass holds on to the stream that it ran on, and a recording is made on another
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            result = function()
        return graph.replay, result

    return record
