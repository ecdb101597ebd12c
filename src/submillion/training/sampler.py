"""The order of rows within an epoch: a function of the seed and the epoch alone.

The stock samplers draw from the global generator when they are iterated, so that a resume inside an epoch
sees another order; this one does not.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler

_MOST_BATCHES = 50
"""Batches that are sorted together, at most; transformers' ``LengthGroupedSampler`` takes as many."""


class SeededSampler(Sampler[int]):
    """A uniform shuffle that depends on ``seed`` and the epoch only, its batches grouped by length where asked.

    With ``lengths``, the shuffled rows are cut into pieces of up to 50 batches, each piece is sorted by length, and
    the batches are shuffled. Which rows form the last, smaller batch is left to the shuffle, so that no length is
    favoured; with few rows the pieces are smaller, so that batches differ from epoch to epoch.

    Args:
        n_rows: Rows, numbered from 0.
        seed: Draws the order, together with the epoch.
        lengths: Tokens of each row; None: a plain shuffle.
        batch_size: Rows a batch, for ``lengths``.
    """

    def __init__(self, n_rows: int, seed: int, lengths: Sequence[int] | None = None, batch_size: int = 1):
        self.n_rows = n_rows
        self.seed = seed
        self.lengths = None if lengths is None else np.asarray(lengths)
        self.batch_size = batch_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, numbered from 0, whose order is drawn next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_rows

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator()
        generator.manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)
        order = torch.randperm(self.n_rows, generator=generator)
        if self.lengths is None:
            yield from order.tolist()
            return
        size = self.batch_size
        n_whole = self.n_rows // size * size
        n_together = size * max(1, min(self.n_rows // (4 * size), _MOST_BATCHES))
        batches: list[np.ndarray] = []
        for piece in np.split(order[:n_whole].numpy(), range(n_together, n_whole, n_together)):
            ordered = piece[np.argsort(self.lengths[piece], kind="stable")]
            batches += np.split(ordered, range(size, len(ordered), size))
        for batch in torch.randperm(len(batches), generator=generator).tolist():
            yield from batches[batch].tolist()
        yield from order[n_whole:].tolist()
