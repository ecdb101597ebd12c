"""Texts as token numbers, cut at a length that the data choose."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.data.pairs import hold_pairs
from submillion.data.token_lists import Seams, TokenLists
from submillion.data.windows import Windows, windows_of
from submillion.encoders import make_plain

PIECE_ROWS = 4096
"""Texts that are tokenised at a time; the tokenizer's own results take many times the memory of the numbers."""

PIECE_LETTERS = 1 << 23
"""Letters after which a piece ends early."""


@dataclass(frozen=True)
class TokenRows:
    """Tokenised texts.

    Attributes:
        input_ids: Token numbers of each row, special tokens included, at most ``max_length`` of them; or the windows of
            each text.
        max_length: Where texts were cut, or windows end.
        n_cut: Rows that were longer.
    """

    input_ids: TokenLists | Windows
    max_length: int
    n_cut: int

    def __len__(self) -> int:
        return len(self.input_ids)


def choose_max_length(lengths: Sequence[int] | np.ndarray, limit: int, share: float = 0.95) -> int:
    """Return the smallest cut that leaves ``share`` of the rows whole, at most ``limit``.

    >>> choose_max_length([10] * 95 + [400] * 5, limit=512)
    10
    >>> choose_max_length([600] * 3, limit=512)
    512
    """
    ordered = np.sort(lengths)
    if not len(ordered):
        return limit
    return min(limit, int(ordered[max(0, math.ceil(share * len(ordered)) - 1)]))


def tokenize(tokenizer: Any, texts: Sequence[str], max_length: int, stride: int | None = None) -> TokenRows:
    """Tokenise ``texts`` and cut them at ``max_length`` tokens, the closing special token kept.

    With ``stride`` they become windows of so many tokens that share ``stride``.
    """
    return cut(encode(tokenizer, texts), max_length, stride)


def cut(rows: TokenLists, max_length: int, stride: int | None = None) -> TokenRows:
    """Cut rows that hold all their tokens; with ``stride`` into overlapping windows, so that nothing is lost.

    >>> cut(TokenLists.of([[101, 7, 8, 9, 102], [101, 7, 102]]), 4)
    TokenRows(input_ids=[[101, 7, 8, 102], [101, 7, 102]], max_length=4, n_cut=1)
    """
    kept = rows.cut(max_length) if stride is None else windows_of(rows, max_length, stride)
    return TokenRows(kept, max_length, int((rows.lengths > max_length).sum()))


def encode(tokenizer: Any, texts: Sequence[str]) -> TokenLists:
    """Return all tokens of each text.

    In parallel, where TOKENIZERS_PARALLELISM does not forbid it, and in pieces that bound memory.
    """
    make_plain(tokenizer)
    if hold_pairs(texts):
        return TokenLists.joined(_encode_pairs(tokenizer, piece) for piece in _pieces(texts))
    backend = tokenizer.backend_tokenizer
    few = list(texts[:8])
    # A tokenizer may do more in Python than its backend alone: then all texts take the slower way.
    is_plain = not few or [row.ids for row in backend.encode_batch_fast(few)] == _called(tokenizer, few)
    return TokenLists.joined(
        TokenLists.of(
            [row.ids for row in backend.encode_batch_fast(piece)] if is_plain else _called(tokenizer, piece)
        )
        for piece in _pieces(texts)
    )


def _encode_pairs(tokenizer: Any, pairs: Sequence[Any]) -> TokenLists:
    """Return all tokens of each pair, and where its second text stands."""
    batch = tokenizer(
        [pair.first for pair in pairs],
        [pair.second for pair in pairs],
        truncation=False,
        padding=False,
        verbose=False,
    )
    rows = TokenLists.of(batch["input_ids"])
    text_of = [batch.sequence_ids(row) for row in range(len(pairs))]  # 0, 1, or None for a special token
    n_second = np.array([tokens.count(1) for tokens in text_of], dtype=np.int64)
    # Empty texts show no places of special tokens; these are the same in every row.
    n_before, n_between, n_after = _special_tokens(tokenizer)
    return TokenLists(
        rows.flat, rows.lengths, Seams(rows.lengths - n_after - n_second, n_before, n_between, n_after)
    )


def _special_tokens(tokenizer: Any) -> tuple[int, int, int]:
    """Return how many special tokens stand before, between and after two texts."""
    text_of = tokenizer(["a"], ["a"], verbose=False).sequence_ids(0)
    before, after = text_of.index(0), text_of[::-1].index(1)
    return before, text_of.count(None) - before - after, after


def _called(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    called: list[list[int]] = tokenizer(texts, truncation=False, padding=False, verbose=False)["input_ids"]
    return called


def _pieces(texts: Sequence[str]) -> Iterator[list[str]]:
    """Divide texts into pieces of at most so many rows and, but for a single longer text, so many letters.

    >>> [len(piece) for piece in _pieces(["a"] * (PIECE_ROWS + 1))]
    [4096, 1]
    """
    piece: list[str] = []
    n_letters = 0
    for text in texts:
        if piece and (len(piece) == PIECE_ROWS or n_letters + len(text) > PIECE_LETTERS):
            yield piece
            piece, n_letters = [], 0
        piece.append(text)
        n_letters += len(text)
    if piece:
        yield piece


def batches_of_like_length(
    lengths: Sequence[int], batch_size: int, most_tokens: int | None = None
) -> list[np.ndarray]:
    """Return row numbers in batches, longest rows first, so that padding is small and lack of memory shows early.

    Args:
        lengths: Tokens of each row.
        batch_size: Most rows a batch.
        most_tokens: Most tokens a batch, padding included, but for a batch of one row; None: no bound.

    >>> [batch.tolist() for batch in batches_of_like_length([3, 9, 4, 8], 2)]
    [[1, 3], [2, 0]]
    >>> [batch.tolist() for batch in batches_of_like_length([3, 9, 4, 8], 2, most_tokens=10)]
    [[1], [3], [2, 0]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        size = batch_size if most_tokens is None else max(1, min(batch_size, most_tokens // longest))
        batches.append(order[start : start + size])
        start += size
    return batches
