"""Rows of token numbers in one flat array: a tenth of the memory of lists of Python integers."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import overload

import numpy as np


class TokenLists(Sequence[Sequence[int]]):
    """Token numbers of each row; reads as a list of lists of integers.

    Attributes:
        flat: The rows one after the other; int32, shape ``[n_tokens]``.
        lengths: Tokens of each row; int64, shape ``[n_rows]``, their sum is ``n_tokens``.

    >>> rows = TokenLists.of([[101, 7, 102], [], [101, 102]])
    >>> len(rows), rows[-1], rows[:2], list(rows)
    (3, [101, 102], [[101, 7, 102], []], [[101, 7, 102], [], [101, 102]])
    """

    def __init__(self, flat: np.ndarray, lengths: np.ndarray):
        self.flat = flat
        self.lengths = lengths
        self._ends = np.cumsum(lengths)

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "TokenLists":
        """Make the arrays of a list of lists."""
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(lengths.sum()))
        return cls(flat, lengths)

    @classmethod
    def joined(cls, parts: Iterable["TokenLists"]) -> "TokenLists":
        """Return the rows of all parts, one after the other.

        >>> TokenLists.joined([TokenLists.of([[1]]), TokenLists.of([[2, 3]])])
        [[1], [2, 3]]
        """
        parts = [cls.of([]), *parts]
        return cls(
            np.concatenate([part.flat for part in parts]), np.concatenate([part.lengths for part in parts])
        )

    def take(self, rows: np.ndarray) -> "TokenLists":
        """Return the rows at ``rows``, int64 of shape ``[n_taken]``, in that order.

        >>> TokenLists.of([[1], [2, 3], [4]]).take(np.array([2, 1]))
        [[4], [2, 3]]
        """
        lengths = self.lengths[rows]
        starts = self._ends[rows] - lengths
        # Where each token stands here, less where it will stand, is the same for all tokens of a row.
        shift = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        return TokenLists(self.flat[np.arange(len(shift)) + shift], lengths)

    def cut(self, max_length: int) -> "TokenLists":
        """Return the rows with at most ``max_length`` tokens, from 1: of a longer one the first and the last.

        >>> TokenLists.of([[101, 7, 8, 9, 102], [101, 7, 102]]).cut(4)
        [[101, 7, 8, 102], [101, 7, 102]]
        """
        if not (self.lengths > max_length).any():
            return self
        place = np.arange(len(self.flat)) - np.repeat(self._ends - self.lengths, self.lengths)
        is_last = place == np.repeat(self.lengths, self.lengths) - 1
        return TokenLists(self.flat[(place < max_length - 1) | is_last], np.minimum(self.lengths, max_length))

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> list[int]: ...
    @overload
    def __getitem__(self, index: slice) -> "TokenLists": ...
    def __getitem__(self, index: int | slice) -> "list[int] | TokenLists":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        end = int(self._ends[index])
        row: list[int] = self.flat[end - int(self.lengths[index]) : end].tolist()
        return row

    def __iter__(self) -> Iterator[list[int]]:
        return (self[row] for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TokenLists):
            return np.array_equal(self.lengths, other.lengths) and np.array_equal(self.flat, other.flat)
        return list(self) == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))
