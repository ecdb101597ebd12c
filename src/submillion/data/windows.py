"""Long texts as overlapping windows: what a tokenizer gives with ``return_overflowing_tokens``, from tokens kept once."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

from submillion.data.token_lists import TokenLists


class Windows(Sequence[Sequence[int]]):
    """The windows of each text; reads as a list of the first ones, which are the texts as they would be cut.

    Attributes:
        windows: Of all texts, in their order.
        counts: Windows of each text, at least 1; int64, shape ``[n_rows]``, their sum is ``len(windows)``.
    """

    def __init__(self, windows: TokenLists, counts: np.ndarray):
        self.windows = windows
        self.counts = counts
        self.starts = np.cumsum(counts) - counts

    def window(self, row: int, number: int) -> list[int]:
        """Return one window of a text, its number from 0 up to below its count."""
        return self.windows[int(self.starts[row]) + number]

    def take(self, rows: np.ndarray) -> "Windows":
        """Return the texts at ``rows``, int64 of shape ``[n_taken]``, in that order."""
        counts = self.counts[rows]
        shift = np.repeat(self.starts[rows] - (np.cumsum(counts) - counts), counts)
        return Windows(self.windows.take(np.arange(len(shift)) + shift), counts)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of each text's windows `[n_rows, width]`, of values `[n_windows, width]`."""
        sums = np.add.reduceat(values, self.starts, axis=0)
        return np.asarray(sums / self.counts[:, None].astype(values.dtype))

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, index: int) -> list[int]: ...
    @overload
    def __getitem__(self, index: slice) -> "Windows": ...
    def __getitem__(self, index: int | slice) -> "list[int] | Windows":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return self.windows[int(self.starts[index])]

    def __iter__(self) -> Iterator[list[int]]:
        return (self.windows[start] for start in self.starts.tolist())


def windows_of(rows: TokenLists, max_length: int, stride: int) -> Windows:
    """Divide rows that hold all their tokens; each window begins and ends with the row's first and last token.

    Args:
        rows: One special token at each end.
        max_length: Most tokens a window, special ones included.
        stride: Tokens that a window shares with the one before, from 0 up to below ``max_length - 2``.

    >>> found = windows_of(TokenLists.of([[101, 1, 2, 3, 4, 5, 102], [101, 1, 102]]), max_length=5, stride=1)
    >>> found.windows, found.counts
    ([[101, 1, 2, 3, 102], [101, 3, 4, 5, 102], [101, 1, 102]], array([2, 1]))
    """
    size, step = max_length - 2, max_length - 2 - stride
    if step < 1:
        raise ValueError(f"stride={stride} must be below max_length - 2 = {size}")
    inside = np.maximum(rows.lengths - 2, 0)
    counts = np.where(rows.lengths > max_length, 1 + -(-(inside - size) // step), 1)
    row_of = np.repeat(np.arange(len(rows)), counts)
    number = np.arange(len(row_of)) - np.repeat(np.cumsum(counts) - counts, counts)
    lengths = np.where(
        rows.lengths[row_of] > max_length,
        np.minimum(size, inside[row_of] - number * step) + 2,
        rows.lengths[row_of],
    )
    ends = np.cumsum(rows.lengths)
    window_of = np.repeat(np.arange(len(row_of)), lengths)
    place = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    row_starts = (ends - rows.lengths)[row_of]
    source = (row_starts + number * step)[window_of] + place
    source = np.where(place == 0, row_starts[window_of], source)
    source = np.where(place == lengths[window_of] - 1, ends[row_of][window_of] - 1, source)
    return Windows(TokenLists(rows.flat[source], lengths), counts)


def taken(input_ids: Sequence[Sequence[int]], rows: np.ndarray | Sequence[int]) -> Sequence[Sequence[int]]:
    """Return the rows at some places, windows with all of their own.

    >>> taken([[1], [2, 3], [4]], [2, 0])
    [[4], [1]]
    """
    if isinstance(input_ids, TokenLists | Windows):
        return input_ids.take(np.asarray(rows, dtype=np.int64))
    return [input_ids[row] for row in rows]


def joined(first: Any, second: Any) -> Any:
    """Return the rows of one after those of the other: both `TokenLists`, or both `Windows`."""
    if isinstance(first, Windows):
        windows = TokenLists.joined([first.windows, second.windows])
        return Windows(windows, np.concatenate([first.counts, second.counts]))
    return TokenLists.joined([first, second])
