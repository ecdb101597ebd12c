"""Rows of token numbers in one flat array: a tenth of the memory of lists of Python integers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import overload

import numpy as np

from submillion.errors import ConfigError


@dataclass(frozen=True)
class Seams:
    """Where the second text stands in rows of two.

    Attributes:
        starts: Place of its first token; int64, shape ``[n_rows]``.
        n_before: Special tokens before the first text.
        n_between: Special tokens between the two.
        n_after: Special tokens after the second.
    """

    starts: np.ndarray
    n_before: int
    n_between: int
    n_after: int

    def take(self, rows: np.ndarray) -> "Seams":
        """Return those of some rows."""
        return replace(self, starts=self.starts[rows])


def longest_first(first: np.ndarray, second: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how many tokens of each text of a pair are kept, so that both have at most ``most``.

    The longer one is cut until both are as long, then both are: `tokenizers`' truncation ``longest_first``.

    Args:
        first: Tokens of the first texts `[n]`, int64.
        second: Of the second ones `[n]`.
        most: Tokens together.

    >>> longest_first(np.array([9, 2, 9, 1]), np.array([3, 2, 9, 9]), 7)
    (array([4, 2, 3, 1]), array([3, 2, 4, 6]))
    """
    shorter = np.minimum(first, second)
    left = np.where(shorter > most, shorter, np.maximum(shorter, most - shorter))
    are_both_cut = shorter + left > most
    shorter_kept = np.where(are_both_cut, most // 2, shorter)
    longer_kept = np.where(are_both_cut, most // 2 + most % 2, left)
    fits = first + second <= most
    kept_first = np.where(first > second, longer_kept, shorter_kept)
    kept_second = np.where(first > second, shorter_kept, longer_kept)
    return np.where(fits, first, kept_first), np.where(fits, second, kept_second)


class TokenLists(Sequence[Sequence[int]]):
    """Token numbers of each row; reads as a list of lists of integers.

    Attributes:
        flat: The rows one after the other; int32, shape ``[n_tokens]``.
        lengths: Tokens of each row; int64, shape ``[n_rows]``, their sum is ``n_tokens``.
        seams: Where rows hold two texts; None where they hold one, or are cut.

    >>> rows = TokenLists.of([[101, 7, 102], [], [101, 102]])
    >>> len(rows), rows[-1], rows[:2], list(rows)
    (3, [101, 102], [[101, 7, 102], []], [[101, 7, 102], [], [101, 102]])
    """

    def __init__(self, flat: np.ndarray, lengths: np.ndarray, seams: Seams | None = None):
        self.flat = flat
        self.lengths = lengths
        self.seams = seams
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
        seams = [part.seams for part in parts if part.seams is not None]
        return cls(
            np.concatenate([part.flat for part in parts]),
            np.concatenate([part.lengths for part in parts]),
            replace(seams[0], starts=np.concatenate([each.starts for each in seams])) if seams else None,
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
        seams = None if self.seams is None else self.seams.take(rows)
        return TokenLists(self.flat[np.arange(len(shift)) + shift], lengths, seams)

    def cut(self, max_length: int) -> "TokenLists":
        """Return the rows with at most ``max_length`` tokens, from 1: of a longer one the first and the last.

        Two texts are cut `longest_first`.

        >>> TokenLists.of([[101, 7, 8, 9, 102], [101, 7, 102]]).cut(4)
        [[101, 7, 8, 102], [101, 7, 102]]
        """
        if not (self.lengths > max_length).any():
            return self
        place = np.arange(len(self.flat)) - np.repeat(self._ends - self.lengths, self.lengths)
        if self.seams is not None:
            return self._cut_pairs(self.seams, place, max_length)
        is_last = place == np.repeat(self.lengths, self.lengths) - 1
        return TokenLists(self.flat[(place < max_length - 1) | is_last], np.minimum(self.lengths, max_length))

    def _cut_pairs(self, seams: Seams, place: np.ndarray, max_length: int) -> "TokenLists":
        n_special = seams.n_before + seams.n_between + seams.n_after
        if max_length < n_special + 2:
            raise ConfigError(
                f"max_length={max_length} leaves no token for two texts beside {n_special} special ones: raise it"
            )
        n_first = seams.starts - seams.n_between - seams.n_before
        n_second = self.lengths - seams.n_after - seams.starts
        first, second = longest_first(n_first, n_second, max_length - n_special)
        each = np.repeat(np.arange(len(self)), self.lengths)  # the row of each token
        start = seams.starts[each]
        is_first = place < seams.n_before + first[each]
        is_second = (place >= start - seams.n_between) & (place < start + second[each])
        is_after = place >= self.lengths[each] - seams.n_after
        return TokenLists(self.flat[is_first | is_second | is_after], first + second + n_special)

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
