"""Two texts that are one row: a question and an answer, a premise and a hypothesis."""

from collections.abc import Sequence
from typing import Any

from submillion.errors import DataError

SEAM = " | "
"""Stands between the two where they are read as one text: by TF-IDF, and by people."""


class TextPair(str):
    """Two texts; where one text is wanted, both with `SEAM` between them, or the only one that is not empty.

    >>> pair = TextPair("It rains.", "It is dry.")
    >>> pair, pair.first, pair.second
    ('It rains. | It is dry.', 'It rains.', 'It is dry.')
    """

    first: str
    second: str

    def __new__(cls, first: str, second: str) -> "TextPair":
        """Join two texts."""
        pair = super().__new__(cls, SEAM.join(text for text in (first, second) if text))
        pair.first, pair.second = first, second
        return pair

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """Return what a copy or a pickle is made of."""
        return self.first, self.second


class PairColumns(tuple[str, ...]):
    """Names of text columns, of which the last holds the second text; the others, if any, make up the first."""


def text_columns_of(text_columns: Sequence[str] | None, pair_column: str | None) -> Sequence[str] | None:
    """Return the text columns as readers take them.

    >>> text_columns_of(["premise"], "hypothesis"), text_columns_of(["title", "body"], None)
    (('premise', 'hypothesis'), ['title', 'body'])
    """
    if pair_column is None or isinstance(text_columns, str):
        return text_columns
    return PairColumns((*(text_columns or ()), pair_column))


def is_pair(value: Any) -> bool:
    """Whether a Python value is two texts.

    >>> is_pair(("a", "b")), is_pair("ab"), is_pair(TextPair("a", "b"))
    (True, False, True)
    """
    if isinstance(value, str):
        return isinstance(value, TextPair)
    return (
        isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(text, str) for text in value)
    )


def as_pair(value: Any) -> Any:
    """Return two texts as a `TextPair`, anything else as it is."""
    return TextPair(*value) if is_pair(value) and not isinstance(value, str) else value


def hold_pairs(texts: Sequence[str], source: str = "the texts") -> bool:
    """Return whether texts are pairs.

    Raises:
        DataError: If some are and some are not.
    """
    n_pairs = sum(isinstance(text, TextPair) for text in texts)
    if n_pairs not in (0, len(texts)):
        raise DataError(
            f"{source}: {n_pairs:,} of {len(texts):,} rows hold two texts and the others one; give all of them two, or one"
        )
    return n_pairs > 0


def check_pairs(texts: Sequence[str], are_pairs: bool, source: str, other: str) -> None:
    """Refuse single texts where pairs are read, and pairs where single texts are.

    Args:
        texts: What was read.
        are_pairs: Whether they have to be pairs.
        source: Where they come from.
        other: What says so, such as ``train``.

    Raises:
        DataError: Says what to do.
    """
    if not texts or hold_pairs(texts, source) == are_pairs:
        return
    if are_pairs:
        raise DataError(
            f"{source} holds single texts, and {other} pairs of texts: name the second text's column by "
            "--text-pair-column, or give (text, text) pairs"
        )
    raise DataError(f"{source} holds pairs of texts, and {other} single texts: leave the second text out")
