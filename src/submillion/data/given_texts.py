"""Texts that Python code gives to a loaded classifier."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

from submillion.data.columns import is_missing
from submillion.data.pairs import as_pair
from submillion.data.whole_letters import made_whole
from submillion.errors import DataError
from submillion.shortened import by_its_ends


def given_texts(values: Any) -> list[str]:
    """Return texts, or (text, text) pairs, as a list; a missing one as the empty text, as in a file.

    Args:
        values: Whatever gives one text after the other: a list, an array, a column of a DataFrame, a generator.

    Raises:
        DataError: If it is one text, a table, has no order, or holds something else than texts.

    >>> given_texts(text for text in ("one", None))
    ['one', '']
    """
    kind = type(values).__name__
    if isinstance(values, str | bytes):
        raise DataError(f"texts={by_its_ends(repr(values))} is a single {kind}: give a list of texts, [text]")
    is_table = isinstance(values, Mapping) or hasattr(values, "columns") or hasattr(values, "column_names")
    if is_table or isinstance(values, Set) or not isinstance(values, Iterable):
        raise DataError(f"texts is a {kind}: give a list of texts, such as one column of a table")
    texts = ["" if is_missing(value) else as_pair(value) for value in values]
    for row, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise DataError(
                f"texts: row {row} is {type(text).__name__} {by_its_ends(repr(text))}; give texts, or (text, text) pairs"
            )
    return [made_whole(text) for text in texts]
