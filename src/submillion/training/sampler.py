"""The order of rows within an epoch: a function of the seed and the epoch alone.

The stock samplers draw from the global generator when they are iterated, so that a resume inside an epoch
sees another order; this one does not.
"""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class SeededSampler(Sampler[int]):
    """A uniform shuffle of ``n_rows`` rows that depends on ``seed`` and the epoch only."""

    def __init__(self, n_rows: int, seed: int):
        self.n_rows = n_rows
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, numbered from 0, whose order is drawn next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_rows

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator()
        generator.manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)
        yield from torch.randperm(self.n_rows, generator=generator).tolist()
