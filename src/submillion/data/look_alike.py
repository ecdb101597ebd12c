"""Labels that a reader takes for one and the same, and the tool does not."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence


def seen_as(label: str) -> str:
    r"""Return what two labels share that differ in case, white space, Unicode form or characters that are not seen.

    >>> seen_as("Caf\u00e9 \u00a0 noir\u200b") == seen_as("cafe\u0301 noir")
    True
    """
    folded = unicodedata.normalize("NFKC", label).casefold()
    seen = "".join(" " if letter.isspace() else letter for letter in folded)
    return " ".join("".join(letter for letter in seen if unicodedata.category(letter) != "Cf").split())


def look_alike(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of labels that look alike, in the order given.

    >>> look_alike(["sport", "trade", "Sport"])
    [['sport', 'Sport']]
    """
    groups = defaultdict(list)
    for name in names:
        groups[seen_as(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def written_out(names: Sequence[str]) -> str:
    r"""Return labels as Python writes them in ASCII, so that what differs can be seen.

    >>> written_out(["caf\u00e9", "cafe\u0301"])
    "'caf\\xe9', 'cafe\\u0301'"
    """
    return ", ".join(map(ascii, names))


def said_of_look_alikes(names: Iterable[str], source: str) -> list[str]:
    """Return what to say of labels that look alike, a sentence a group."""
    return [
        f"{source}: labels {written_out(group)} differ only in case, white space or Unicode form, and are taken for "
        f"{len(group)} different ones."
        for group in look_alike(names)[:MOST_TOLD]
    ]


MOST_TOLD = 5
"""Groups that are told of."""
