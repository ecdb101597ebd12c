"""Texts made worse on purpose: slips of the keyboard, of a scanner, of a form that cuts."""

import re
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

HOMOGLYPHS = {
    "a": "\u0430", "c": "\u0441", "e": "\u0435", "i": "\u0456", "j": "\u0458", "o": "\u043e", "p": "\u0440", "s": "\u0455",
    "x": "\u0445", "y": "\u0443", "v": "\u03bd", "u": "\u03c5", "A": "\u0410", "B": "\u0412", "C": "\u0421", "E": "\u0415",
    "H": "\u041d", "I": "\u0406", "K": "\u039a", "M": "\u041c", "N": "\u039d", "O": "\u041e", "P": "\u0420", "S": "\u0405",
    "T": "\u0422", "X": "\u0425", "Y": "\u03a5", "Z": "\u0396",
}  # fmt: skip
"""Cyrillic and Greek letters that look like Latin ones (Unicode's confusables, UTS 39)."""

MARKS = ".,;:!?-\"'()"
"""Punctuation that is dropped, or put where none was."""

DEBRIS = (
    " <br /> ",
    "&nbsp;",
    " </p><p> ",
    " <b>",
    "</b> ",
    " &lt;br&gt; ",
    ' <a href="#"> ',
    " </a> ",
    "&#160;",
)
"""What a page leaves behind where it is taken for plain text."""

ENTITIES = {"&": "&amp;", '"': "&quot;", "'": "&#39;", "<": "&lt;", ">": "&gt;", "-": "&ndash;"}
"""Characters as a page writes them."""


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


def dropped(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return texts without about ``share`` of their letters and digits.

    Args:
        texts: The texts.
        share: Share of the letters, 0 to 1.
        seed: Seed of which.

    >>> dropped(["so, 1"], 1.0, seed=0)
    [', ']
    """
    return [_each_letter(text, share, rng, _dropped) for text, rng in _with_rng(texts, seed)]


def swapped(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return texts in which about ``share`` of the letters and digits change places with the next one of their word.

    Args:
        texts: The texts.
        share: Share of the letters, 0 to 1.
        seed: Seed of which.

    >>> swapped(["modern art"], 1.0, seed=0)
    ['omednr rat']
    """
    return [_each_letter(text, share, rng, _swapped) for text, rng in _with_rng(texts, seed)]


def recased(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return texts in which about ``share`` of the words stand in capitals, in small letters, or with the case turned round.

    Args:
        texts: The texts.
        share: Share of the words, 0 to 1.
        seed: Seed of which, and of how.

    >>> recased(["Stocks fell"], 1.0, seed=2)
    ['STOCKS FELL']
    """
    return [_recased(text, share, rng) for text, rng in _with_rng(texts, seed)]


def repunctuated(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return texts in which about ``share`` of the marks are gone or are others, and of the spaces have a mark before them.

    Args:
        texts: The texts.
        share: Share of the marks and of the spaces, 0 to 1.
        seed: Seed of which, and of how.

    >>> repunctuated(["Stocks fell, then rose."], 1.0, seed=0)
    ['Stocks! fell? then( rose(']
    """
    return [_each_letter(text, share, rng, _repunctuated) for text, rng in _with_rng(texts, seed)]


def marked_up(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return texts with the debris of a web page: tags in about ``share`` of the spaces, entities for as many characters.

    Args:
        texts: The texts.
        share: Share of the spaces, and of the characters that have an entity, 0 to 1.
        seed: Seed of which, and of how.

    >>> marked_up(["AT&T fell"], 1.0, seed=0)
    ['AT&amp;T &lt;br&gt; fell']
    """
    return [_each_letter(text, share, rng, _marked_up) for text, rng in _with_rng(texts, seed)]


def disguised(texts: Sequence[str], share: float, seed: int) -> list[str]:
    r"""Return texts in which about ``share`` of the Latin letters that have a Cyrillic or Greek twin are that twin.

    Args:
        texts: The texts.
        share: Share of the letters, 0 to 1.
        seed: Seed of which.

    >>> disguised(["so"], 1.0, seed=0) == ["\u0455\u043e"]
    True
    """
    return [_each_letter(text, share, rng, _disguised) for text, rng in _with_rng(texts, seed)]


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


def _dropped(text: str, place: int, rng: np.random.Generator) -> tuple[str, int]:
    return ("" if text[place].isalnum() else text[place]), 1


def _swapped(text: str, place: int, rng: np.random.Generator) -> tuple[str, int]:
    both = text[place : place + 2]
    return (both[::-1], 2) if len(both) == 2 and both.isalnum() else (text[place], 1)


def _repunctuated(text: str, place: int, rng: np.random.Generator) -> tuple[str, int]:
    character = text[place]
    if character == " ":
        return MARKS[rng.integers(len(MARKS))] + " ", 1
    if character not in MARKS:
        return character, 1
    return ("" if rng.random() < 0.5 else MARKS[rng.integers(len(MARKS))]), 1


def _marked_up(text: str, place: int, rng: np.random.Generator) -> tuple[str, int]:
    if text[place] == " ":
        return DEBRIS[rng.integers(len(DEBRIS))], 1
    return ENTITIES.get(text[place], text[place]), 1


def _disguised(text: str, place: int, rng: np.random.Generator) -> tuple[str, int]:
    return HOMOGLYPHS.get(text[place], text[place]), 1


def _recased(text: str, share: float, rng: np.random.Generator) -> str:
    parts = re.split(r"(\s+)", text)
    drawn = rng.random(len(parts)) < share
    ways = (str.upper, str.lower, str.swapcase)
    chosen = rng.integers(len(ways), size=len(parts))
    return "".join(
        ways[way](part) if is_drawn else part
        for part, is_drawn, way in zip(parts, drawn, chosen, strict=True)
    )
