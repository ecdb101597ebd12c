"""Texts made worse on purpose: slips of the keyboard, of a scanner, of a form that cuts."""

from collections.abc import Callable, Sequence

import numpy as np

NEIGHBOURS = {
    "a": "qwsz", "b": "vghn", "c": "xdfv", "d": "serfcx", "e": "wsdr", "f": "drtgvc", "g": "ftyhbv", "h": "gyujnb",
    "i": "ujko", "j": "huiknm", "k": "jiolm", "l": "kop", "m": "njk", "n": "bhjm", "o": "iklp", "p": "ol",
    "q": "wa", "r": "edft", "s": "awedxz", "t": "rfgy", "u": "yhji", "v": "cfgb", "w": "qase", "x": "zsdc",
    "y": "tghu", "z": "asx",
}  # fmt: skip
"""Keys beside each key of an English keyboard."""

LOOKALIKES = {
    "rn": "m", "m": "rn", "cl": "d", "d": "cl", "vv": "w", "w": "vv", "l": "1", "i": "l", "o": "0", "s": "5", "e": "c",
    "c": "e", "h": "b", "b": "h", "u": "ii", "n": "ri", "t": "f", "g": "9", "a": "o",
}  # fmt: skip
"""What a scanner reads in place of a letter or two."""


def typos(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return texts in which about ``share`` of the letters were mistyped: a neighbouring key, doubled, dropped or swapped.

    Args:
        texts: The texts.
        share: Share of the letters, 0 to 1.
        seed: Seed of which.

    >>> typos(["Stocks fell on Monday"], 0.2, seed=2) != ["Stocks fell on Monday"]
    True
    """
    return [_each_letter(text, share, rng, _mistyped) for text, rng in _with_rng(texts, seed)]


def misread(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return texts as a scanner reads them: about ``share`` of the letters taken for others, words split and run together.

    Args:
        texts: The texts.
        share: Share of the letters and of the spaces, 0 to 1.
        seed: Seed of which.

    >>> misread(["modern"], 1.0, seed=0)
    ['rn0clcm']
    """
    return [_each_letter(text, share, rng, _misread) for text, rng in _with_rng(texts, seed)]


def truncated(texts: Sequence[str], n_words: int) -> list[str]:
    """Return the first words of each text.

    >>> truncated(["Stocks fell on Monday"], 2)
    ['Stocks fell']
    """
    return [" ".join(text.split()[:n_words]) for text in texts]


def _with_rng(texts: Sequence[str], seed: int) -> list[tuple[str, np.random.Generator]]:
    """Return each text with a generator of its own, so that a row's noise does not depend on the rows before it."""
    seeds = np.random.SeedSequence(seed).spawn(len(texts))
    return [(text, np.random.default_rng(each)) for text, each in zip(texts, seeds, strict=True)]


Change = Callable[[str, int, np.random.Generator], tuple[str, int]]
"""Takes a text, a place and a generator; returns what is written there and how many letters it stands for."""


def _each_letter(text: str, share: float, rng: np.random.Generator, change: Change) -> str:
    drawn = rng.random(len(text)) < share
    written: list[str] = []
    place = 0
    while place < len(text):
        new, n_letters = change(text, place, rng) if drawn[place] else (text[place], 1)
        written.append(new)
        place += n_letters
    return "".join(written)


def _mistyped(text: str, place: int, rng: np.random.Generator) -> tuple[str, int]:
    letter = text[place]
    near = NEIGHBOURS.get(letter.lower())
    if near is None:
        return letter, 1
    kind = rng.integers(4)
    if kind == 0:
        return near[rng.integers(len(near))], 1
    if kind == 1:
        return 2 * letter, 1
    if kind == 2 or place + 1 == len(text):
        return "", 1
    return text[place + 1] + letter, 2


def _misread(text: str, place: int, rng: np.random.Generator) -> tuple[str, int]:
    if text[place] == " ":
        return "", 1
    for n_letters in (2, 1):
        if (new := LOOKALIKES.get(text[place : place + n_letters].lower())) is not None:
            return new, n_letters
    return (text[place] + " ", 1) if rng.random() < 0.5 else (text[place], 1)
