"""Rows without some of their tokens: light noise for training, and a stand-in for texts that come from elsewhere.

Iyyer et al. 2015 (aclanthology.org/P15-1162, word dropout) drop whole words; here it is tokens, which are words or parts
of them. Which ones depends on nothing but a seed, the epoch and the row, so that a resumed training drops the same.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np

from submillion.data.token_lists import TokenLists
from submillion.data.windows import Windows
from submillion.encoders import load_tokenizer, resolve_encoder
from submillion.training.trainer import TrainRows

SHIFTED_SHARE = 0.2
"""Share of the tokens that validation rows lose for `shifted_accuracy`."""


class NoisyRows(TrainRows):
    """Train rows that lose a share of their tokens, others in each epoch.

    Args:
        input_ids: Token numbers of each row.
        labels: `[n]` int64.
        share: Of the tokens, from 0 up to below 1.
        seed: Draws which, together with epoch and row.
        kept: Token numbers that are never dropped.
    """

    def __init__(
        self,
        input_ids: Sequence[Sequence[int]],
        labels: np.ndarray,
        share: float,
        seed: int,
        kept: Collection[int],
    ):
        super().__init__(input_ids, labels, seed)
        self.share, self.kept = share, kept

    def __getitem__(self, row: int) -> dict[str, Any]:
        whole = super().__getitem__(row)
        key = (self.seed, self.epoch(), row)
        return whole | {"input_ids": drop_tokens(whole["input_ids"], self.share, key, self.kept)}


def drop_tokens(
    input_ids: Sequence[int], share: float, key: Sequence[int], kept: Collection[int]
) -> list[int]:
    """Return a row without tokens that are dropped each with probability ``share``; one at least stays.

    Args:
        input_ids: Token numbers.
        share: From 0 up to below 1.
        key: Seeds the draw.
        kept: Token numbers that are never dropped, and do not count as the one that stays.

    >>> drop_tokens([101, 7, 8, 9, 10, 102], 0.5, key=(0, 1), kept={101, 102})
    [101, 7, 8, 9, 102]
    >>> len(drop_tokens([101, 7, 8, 102], 0.999, key=(0,), kept={101, 102}))
    3
    """
    draws = np.random.default_rng(key).random(len(input_ids))
    words = [place for place, token in enumerate(input_ids) if token not in kept]
    dropped = {place for place in words if draws[place] < share}
    if words and len(dropped) == len(words):
        dropped.remove(max(words, key=draws.__getitem__))
    return [token for place, token in enumerate(input_ids) if place not in dropped]


def shifted(input_ids: Sequence[Sequence[int]], seed: int, kept: Collection[int]) -> Sequence[Sequence[int]]:
    """Return validation rows with a fifth of their tokens dropped, the same ones each time."""
    if isinstance(input_ids, Windows):
        fewer = shifted(input_ids.windows, seed, kept)
        return Windows(TokenLists.of(fewer), input_ids.counts)
    return [drop_tokens(ids, SHIFTED_SHARE, (seed, row), kept) for row, ids in enumerate(input_ids)]


@cache
def special_ids(model: str) -> frozenset[int]:
    """Return the special tokens of an encoder, but for the one that stands for unknown words.

    Args:
        model: As the recipe names it: a hub id or a folder.
    """
    tokenizer = load_tokenizer(resolve_encoder(model))
    return frozenset(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
