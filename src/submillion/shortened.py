"""Names too long for a table or a sentence, by their ends."""

MOST_LETTERS = 60
"""A name is shortened to so many, unless told otherwise."""


def by_its_ends(name: str, most: int = MOST_LETTERS) -> str:
    """Return a name whole, or without its middle where it has more than ``most`` letters; ``most`` is at least 10.

    >>> by_its_ends("sport"), by_its_ends("what all of these have in common", 20)
    ('sport', 'what all of...common')
    """
    if len(name) <= most:
        return name
    n_last = most // 3
    return f"{name[: most - n_last - 3]}...{name[-n_last:]}"
