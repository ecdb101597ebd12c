"""What plain counting shows: rows with hardly any text, rows that are too long, and how uneven the labels are."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from submillion.auditing.finding import Finding
from submillion.auditing.sources import UNREAD, AuditedRows
from submillion.data.words import count_words

LEAST_CHARACTERS = 3
"""A text of fewer letters and digits is nearly empty."""

SMALL_CLASS = 10
"""A label of fewer rows is named: hardly anything can be learnt or measured of it."""

UNEVEN = 10
"""From how many times the rows of the rarest label the most frequent one has, weights are advised."""


def find_nearly_empty(texts: Sequence[str]) -> list[Finding]:
    """Return rows with hardly any letter or digit.

    >>> [(each.place, round(each.score, 2)) for each in find_nearly_empty(["a text", "--", "ok"])]
    [(1, 1.0), (2, 0.33)]
    """
    found = []
    for place, text in enumerate(texts):
        n_characters = len(list(islice(filter(str.isalnum, text), LEAST_CHARACTERS)))
        if n_characters < LEAST_CHARACTERS:
            found.append(Finding(place, "nearly empty", 1 - n_characters / LEAST_CHARACTERS))
    return found


def find_too_long(lengths: np.ndarray, limit: int) -> list[Finding]:
    """Return rows of more tokens than an encoder reads; the score is the share that it does not read.

    >>> find_too_long(np.array([10, 40]), limit=30)
    [Finding(place=1, issue='too long', score=0.25, suggested=None, like=None)]
    """
    return [
        Finding(place, "too long", float(1 - limit / lengths[place]))
        for place in np.flatnonzero(lengths > limit).tolist()
    ]


def describe_lengths(rows: AuditedRows, lengths: np.ndarray | None, limit: int | None) -> dict[str, Any]:
    """Return how long the rows are: in words, and in tokens where they were counted.

    Args:
        rows: The rows.
        lengths: Tokens of each row `[n]`.
        limit: Tokens that the encoder reads.
    """
    described: dict[str, Any] = {"words": _quantiles([count_words(text) for text in rows.texts])}
    if lengths is not None and limit is not None:
        described |= {
            "tokens": _quantiles(lengths),
            "limit": limit,
            "share_too_long": float((lengths > limit).mean()),
        }
    return described


def _quantiles(values: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Return some quantiles.

    >>> _quantiles([1, 2, 3])["median"]
    2.0
    """
    shares = {"least": 0.0, "median": 0.5, "95 %": 0.95, "99 %": 0.99, "most": 1.0}
    return {name: float(np.quantile(values, share, method="higher")) for name, share in shares.items()}


def describe_balance(rows: AuditedRows) -> tuple[list[dict[str, Any]], list[str]]:
    """Return how many rows each label has in each split whose labels were read, the most frequent first, and what to mind."""
    read = rows.codes != UNREAD
    n_labels = len(rows.names)
    total = np.bincount(rows.codes[read], minlength=n_labels)
    counts = {
        split.name: np.bincount(rows.codes[read & (rows.split_of == place)], minlength=n_labels)
        for place, split in enumerate(rows.splits)
        if split.has_labels
    }
    balance = [
        {
            "label": rows.names[code],
            "n": int(total[code]),
            "share": float(total[code] / total.sum()),
            "by_split": {name: int(of_split[code]) for name, of_split in counts.items()},
        }
        for code in np.argsort(-total, kind="stable").tolist()
    ]
    return balance, _mind(rows.names, total)


def _mind(names: Sequence[str], total: np.ndarray) -> list[str]:
    notes = []
    small = [names[code] for code in np.flatnonzero(total < SMALL_CLASS).tolist()]
    if small:
        listed = ", ".join(small[:10]) + (", ..." if len(small) > 10 else "")
        notes.append(
            f"{len(small)} of {len(names)} labels have fewer than {SMALL_CLASS} rows, and their rows are not judged: {listed}."
        )
    if len(total) > 1 and total.max() >= UNEVEN * max(1, total.min()):
        notes.append(
            f"{names[int(total.argmax())]} has {total.max():,} rows and {names[int(total.argmin())]} {total.min():,}: look at "
            "macro F1 beside accuracy, and at --class-weights balanced."
        )
    return notes
