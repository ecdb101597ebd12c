"""Texts as token numbers, cut at a length that the data choose."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TokenRows:
    """Tokenised texts.

    Attributes:
        input_ids: Token numbers of each row, special tokens included, at most ``max_length`` of them.
        max_length: Where texts were cut.
        n_cut: Rows that were longer.
    """

    input_ids: list[list[int]]
    max_length: int
    n_cut: int

    def __len__(self) -> int:
        return len(self.input_ids)


def choose_max_length(lengths: Sequence[int], limit: int, share: float = 0.95) -> int:
    """Return the smallest cut that leaves ``share`` of the rows whole, at most ``limit``.

    >>> choose_max_length([10] * 95 + [400] * 5, limit=512)
    10
    >>> choose_max_length([600] * 3, limit=512)
    512
    """
    ordered = sorted(lengths)
    if not ordered:
        return limit
    return min(limit, ordered[max(0, math.ceil(share * len(ordered)) - 1)])


def tokenize(tokenizer: Any, texts: Sequence[str], max_length: int) -> TokenRows:
    """Tokenise ``texts`` and cut them at ``max_length`` tokens, the closing special token kept."""
    if not texts:
        return TokenRows([], max_length, 0)
    input_ids = tokenizer(list(texts), truncation=False, padding=False, verbose=False)["input_ids"]
    return cut(TokenRows(input_ids, max_length=max(map(len, input_ids)), n_cut=0), max_length)


def cut(rows: TokenRows, max_length: int) -> TokenRows:
    """Cut rows that hold all their tokens.

    >>> cut(TokenRows([[101, 7, 8, 9, 102], [101, 7, 102]], 5, 0), 4)
    TokenRows(input_ids=[[101, 7, 8, 102], [101, 7, 102]], max_length=4, n_cut=1)
    """
    shortened = [
        ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]] for ids in rows.input_ids
    ]
    return TokenRows(shortened, max_length, rows.n_cut + sum(len(ids) > max_length for ids in rows.input_ids))


def batches_of_like_length(lengths: Sequence[int], batch_size: int) -> list[np.ndarray]:
    """Return row numbers in batches, longest rows first, so that padding is small and lack of memory shows early.

    >>> [batch.tolist() for batch in batches_of_like_length([3, 9, 4, 8], 2)]
    [[1, 3], [2, 0]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
