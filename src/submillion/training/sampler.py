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
        labels: The label of each row, `[n_rows]`: every label is drawn equally often; see `balanced_rows`. None: every
            row once.
    """

    def __init__(
        self,
        n_rows: int,
        seed: int,
        lengths: Sequence[int] | None = None,
        batch_size: int = 1,
        labels: np.ndarray | None = None,
    ):
        self.n_rows = n_rows
        self.seed = seed
        self.lengths = None if lengths is None else np.asarray(lengths)
        self.batch_size = batch_size
        self.labels = labels
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
        if self.labels is not None:
            order = order[torch.from_numpy(balanced_rows(self.labels[order.numpy()], generator))]
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


def balanced_rows(labels: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Return as many rows as there are, shuffled, every label that has some equally often, up to one row.

    A label's rows are taken in their order, and anew from the first when all have been: how often two of them come differs
    by one at most. Which labels get the rows that are left over is drawn.

    Args:
        labels: `[n]`, of rows that are shuffled already.
        generator: Draws.

    Returns:
        Row numbers `[n]` int64.

    >>> rows = balanced_rows(np.array([0, 0, 0, 0, 1, 0, 0, 0]), torch.Generator().manual_seed(0))
    >>> sorted(rows.tolist())
    [0, 1, 2, 3, 4, 4, 4, 4]
    """
    present = np.unique(labels)
    share, left_over = divmod(len(labels), max(1, len(present)))
    lucky = torch.randperm(len(present), generator=generator)[:left_over].tolist()
    taken = [np.empty(0, dtype=np.int64)]
    for place, label in enumerate(present):
        taken.append(np.resize(np.flatnonzero(labels == label), share + (place in lucky)))
    rows = np.concatenate(taken)
    return np.asarray(rows[torch.randperm(len(rows), generator=generator).numpy()])
