"""Rows, and how some of them are held back."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from submillion.data.duplicates import text_hashes
from submillion.data.opened import plural
from submillion.data.read import RawRows


@dataclass(frozen=True)
class Rows:
    """Texts with their class numbers.

    Attributes:
        texts: One text a row.
        labels: Index into the label names; int64, shape ``[n_rows]``.
        row_numbers: Zero-based position among the source's rows; int64, shape ``[n_rows]``.
        source: Where the rows come from.
    """

    texts: list[str]
    labels: np.ndarray
    row_numbers: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Rows":
        """Return the rows at ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Rows(
            [self.texts[i] for i in chosen], self.labels[chosen], self.row_numbers[chosen], self.source
        )


@dataclass(frozen=True)
class Pool:
    """Labelled rows with the hashes of their normalised texts, so that no text is hashed twice."""

    rows: Rows
    labels: np.ndarray
    hashes: list[str]

    @classmethod
    def of(cls, raw: RawRows, codes: np.ndarray) -> "Pool":
        """Make a pool of rows as read and their class numbers."""
        numbers = np.array(raw.row_numbers, dtype=np.int64)
        return cls(Rows(raw.texts, codes, numbers, raw.source), codes, text_hashes(raw.texts))

    def take(self, indices: np.ndarray) -> "Pool":
        """Return the rows at ``indices``, in that order."""
        return Pool(self.rows.take(indices), self.labels[indices], [self.hashes[i] for i in indices])


def drawn(keys: Iterable[str], seed: int, use: str) -> list[str]:
    """Return a number drawn for each key that depends on nothing but seed, use and key.

    Sorting by it shuffles rows in a way that their order in the file cannot change.

    >>> drawn(["a", "b"], 1, "x") == drawn(["b", "a"], 1, "x")[::-1]
    True
    """
    return [hashlib.sha256(f"{seed}:{use}:{key}".encode()).hexdigest() for key in keys]


def carve(
    pool: Pool,
    names: Sequence[str],
    shares: Mapping[str, float],
    min_rows_to_split: int,
    seed: int,
    notes: list[str],
) -> dict[str, Pool]:
    """Hold back a share of each class's distinct texts for each split named in ``shares``.

    Own code where scikit-learn has none: its stratified splits know no groups of equal texts, depend on the
    order of rows, and refuse small classes. A text with several labels counts for its most frequent one.

    Args:
        pool: Rows to divide; every one is in exactly one of the parts.
        names: Name of each class.
        shares: Split -> share, from 0; together below 1.
        min_rows_to_split: With fewer rows nothing is held back.
        seed: Decides which texts are drawn.
        notes: Takes a sentence for what was and what could not be held back.

    Returns:
        ``train`` and every split of ``shares``, the rows of each in the order of the pool.
    """
    shares = {name: share for name, share in shares.items() if share > 0}
    source = pool.rows.source
    if not shares:
        return {"train": pool}
    if len(pool.rows) < min_rows_to_split:
        notes.append(
            f"{source}: {plural(len(pool.rows), 'row')}, fewer than {min_rows_to_split:,}: nothing is held back "
            f"for {' or '.join(shares)}, all rows train."
        )
        return {"train": pool}
    of_class = _texts_per_class(pool)
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
    where = np.array([part_of.get(key, "train") for key in pool.hashes])
    return {name: pool.take(np.flatnonzero(where == name)) for name in ("train", *shares)}


def _texts_per_class(pool: Pool) -> dict[int, list[str]]:
    """Return each class's distinct texts; a text with several labels goes to the most frequent, then lowest."""
    labels = pool.labels.tolist()
    n_rows_of = Counter(pool.hashes)
    label_of: dict[str, int] = dict(zip(pool.hashes, labels, strict=True))
    votes: dict[str, Counter[int]] = {}
    for key, label in zip(pool.hashes, labels, strict=True):
        if n_rows_of[key] > 1:
            votes.setdefault(key, Counter())[label] += 1
    for key, counts in votes.items():
        label_of[key] = min(counts, key=lambda x: (-counts[x], x))
    of_class: dict[int, list[str]] = {}
    for key, label in label_of.items():
        of_class.setdefault(label, []).append(key)
    return of_class
