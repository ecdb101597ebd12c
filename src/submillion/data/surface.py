"""What a text looks like from outside, whatever it says: its length, its signs, how many of its words are known."""

import math
import operator
import re
from collections.abc import Collection, Sequence

import numpy as np

from submillion.data.words import words_of

FEATURES = (
    "words",
    "letters a word",
    "capitals",
    "digits",
    "signs",
    "beyond ASCII",
    "unknown words",
    "repeated words",
)
"""The columns of `surface`; the first two as logarithms, the rest as shares of the letters or words."""

_DIGITS, _SIGNS, _BEYOND = re.compile(r"\d"), re.compile(r"[^\w\s]|_"), re.compile(r"[^\x00-\x7f]")


def surface(texts: Sequence[str], vocabulary: Collection[str]) -> np.ndarray:
    """Return the features of `FEATURES` for each text, `[n, 8]` float32.

    Args:
        texts: The texts.
        vocabulary: The words that training knew, in small letters; a set, for speed.

    >>> surface(["Stocks fell 3 %"], {"fell"}).round(2)[0].astype(str).tolist()
    ['1.61', '1.16', '0.07', '0.07', '0.07', '0.0', '0.5', '0.0']
    """
    return np.array([_of_text(text, vocabulary) for text in texts], dtype=np.float32).reshape(
        -1, len(FEATURES)
    )


def _of_text(text: str, vocabulary: Collection[str]) -> list[float]:
    small = text.lower()
    words, n_letters = words_of(small), max(len(text), 1)
    n_words, n_tokens = max(len(words), 1), len(text.split())
    return [
        math.log1p(n_tokens),
        math.log1p(len(text)) - math.log1p(n_tokens),
        sum(map(operator.ne, text, small)) / n_letters,
        len(_DIGITS.findall(text)) / n_letters,
        len(_SIGNS.findall(text)) / n_letters,
        len(_BEYOND.findall(text)) / n_letters,
        sum(word not in vocabulary for word in words) / n_words,
        1 - len(set(words)) / n_words if words else 0.0,
    ]
