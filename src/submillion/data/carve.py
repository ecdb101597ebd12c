"""Rows, and how some of them are held back."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from submillion.data.duplicates import text_hashes
from submillion.data.multi_label import strata, stratum_names
from submillion.data.opened import plural
from submillion.data.read import RawRows


@dataclass(frozen=True)
class Rows:
    """Texts with their class numbers.

    Attributes:
        texts: One text a row.
        labels: Index into the label names; int64, shape ``[n_rows]``. Where rows may have several: 0 and 1, shape
            ``[n_rows, n_labels]``.
        row_numbers: Zero-based position among the source's rows; int64, shape ``[n_rows]``.
        source: Where the rows come from.
    """

    texts: list[str]
    labels: np.ndarray
    row_numbers: np.ndarray
    source: str

    @classmethod
    def of(cls, raw: RawRows, codes: np.ndarray) -> "Rows":
        """Make rows of what was read and its class numbers."""
        return cls(raw.texts, codes, np.array(raw.row_numbers, dtype=np.int64), raw.source)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def hashes(self) -> list[str]:
        """The hash of each normalised text; taken once, for the rows of `take` too."""
        return text_hashes(self.texts)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Rows":
        """Return the rows at ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        taken = Rows(
            [self.texts[i] for i in chosen], self.labels[chosen], self.row_numbers[chosen], self.source
        )
        vars(taken)["hashes"] = [self.hashes[i] for i in chosen]
        return taken


def drawn(keys: Iterable[str], seed: int, use: str) -> list[str]:
    """Return a number drawn for each key that depends on nothing but seed, use and key.

    Sorting by it shuffles rows in a way that their order in the file cannot change.

    >>> drawn(["a", "b"], 1, "x") == drawn(["b", "a"], 1, "x")[::-1]
    True
    """
    return [hashlib.sha256(f"{seed}:{use}:{key}".encode()).hexdigest() for key in keys]


def carve(
    rows: Rows,
    names: Sequence[str],
    shares: Mapping[str, float],
    min_rows_to_split: int,
    seed: int,
    notes: list[str],
) -> dict[str, Rows]:
    """Hold back a share of each class's distinct texts for each split named in ``shares``.

    Own code where scikit-learn has none: its stratified splits know no groups of equal texts, depend on the
    order of rows, and refuse small classes. Of several rows with one text the most frequent label counts, and of several
    labels a row, what `strata` says.

    Args:
        rows: What to divide; every one is in exactly one of the parts.
        names: Name of each class.
        shares: Split -> share, from 0; together below 1.
        min_rows_to_split: With fewer rows nothing is held back.
        seed: Decides which texts are drawn.
        notes: Takes a sentence for what was and what could not be held back.

    Returns:
        ``train`` and every split of ``shares``, the rows of each in their order.
    """
    shares = {name: share for name, share in shares.items() if share > 0}
    source = rows.source
    if not shares:
        return {"train": rows}
    if len(rows) < min_rows_to_split:
        notes.append(
            f"{source}: {plural(len(rows), 'row')}, fewer than {min_rows_to_split:,}: nothing is held back "
            f"for {' or '.join(shares)}, all rows train."
        )
        return {"train": rows}
    of_class = _texts_per_class(rows)
    names = stratum_names(rows.labels, names)
    part_of: dict[str, str] = {}
    small: dict[str, list[str]] = {name: [] for name in shares}
    left_share = 1 - sum(shares.values())
    for label, keys in sorted(of_class.items()):
        n_texts = len(keys)
        key_of = dict(zip(drawn(keys, seed, "carve"), keys, strict=True))
        order = [key_of[number] for number in sorted(key_of)]
        start = 0
        for name, share in shares.items():
            if n_texts * share < 1 or n_texts * left_share < 1:
                small[name].append(names[label])
                continue
            n_held = min(int(n_texts * share + 0.5), n_texts - 1 - start)
            part_of.update(dict.fromkeys(order[start : start + n_held], name))
            start += n_held
    for name, classes in small.items():
        if classes:
            listed = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
            notes.append(
                f"{source}: {len(classes)} of {len(of_class)} classes are too small to hold back a row for {name} "
                f"and stay in train: {listed}."
            )
    where = np.array([part_of.get(key, "train") for key in rows.hashes])
    return {name: rows.take(np.flatnonzero(where == name)) for name in ("train", *shares)}


def _texts_per_class(rows: Rows) -> dict[int, list[str]]:
    """Return each class's distinct texts; a text with several labels goes to the most frequent, then lowest."""
    labels = strata(rows.labels).tolist()
    n_rows_of = Counter(rows.hashes)
    label_of: dict[str, int] = dict(zip(rows.hashes, labels, strict=True))
    votes: dict[str, Counter[int]] = {}
    for key, label in zip(rows.hashes, labels, strict=True):
        if n_rows_of[key] > 1:
            votes.setdefault(key, Counter())[label] += 1
    for key, counts in votes.items():
        label_of[key] = min(counts, key=lambda x: (-counts[x], x))
    of_class: dict[int, list[str]] = {}
    for key, label in label_of.items():
        of_class.setdefault(label, []).append(key)
    return of_class
