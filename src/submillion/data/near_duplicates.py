"""Pairs of texts that are nearly the same, found without comparing each with each.

A text is the set of its runs of `SHINGLE` letters; two are alike by the Jaccard index of their sets. Min-wise hashing (Broder
1997, On the resemblance and containment of documents) draws from each set a signature whose places agree as often as the sets
are alike; only texts that agree in all places of some band are compared (Leskovec, Rajaraman and Ullman, Mining of Massive
Datasets, section 3.4), and then by the sets themselves.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from submillion.data.duplicates import normalise_text

SHINGLE = 5
"""Letters of a run. A word that is changed spoils a few runs, in a text of 200 letters some 5 % of them."""

N_BANDS, PLACES = 25, 5
"""Bands of a signature, and places of a band: of pairs alike by 0.8, 0.7, 0.6 it misses 0.005 %, 1 % and 13 %."""

THRESHOLD = 0.7
"""From how alike two texts are near duplicates."""

_SLACK = 0.15
"""A signature of 125 places is off by 0.04 (one deviation): less than this below the threshold is looked at closely."""

_BLOCK_LETTERS = 1 << 22
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F],
                    dtype=np.uint64)  # fmt: skip
"""Odd numbers that mix the letters of a run, and the places of a band, into 64 bits."""


def near_duplicates(
    texts: Sequence[str], threshold: float = THRESHOLD, seed: int = 0
) -> list[tuple[int, int, float]]:
    """Return pairs of rows that are alike, and how much, from ``threshold`` to 1, in the order of rows.

    Of a group of texts that are all alike each stands in some pair, but not every pair is given: each is compared with the
    first and the one before of those that share a band. Texts of fewer than `SHINGLE` letters are left out.

    Args:
        texts: Texts; equal ones are alike by 1.
        threshold: Least Jaccard index, above 0.3.
        seed: Seed of the signatures.

    >>> texts = ["Stocks fell on Monday in London", "A rocket left its orbit", "stocks fell on Monday  in London!"]
    >>> [(one, other, round(alike, 2)) for one, other, alike in near_duplicates(texts)]
    [(0, 2, 0.96)]
    """
    folded = [normalise_text(text) for text in texts]
    rows = np.array([row for row, text in enumerate(folded) if len(text) >= SHINGLE], dtype=np.int64)
    if len(rows) < 2:
        return []
    kept = [folded[row] for row in rows]
    signatures = _signatures(kept, seed)
    pairs = _candidates(signatures)
    alike = np.concatenate(
        [
            (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1)
            for part in np.array_split(pairs, len(pairs) // 100_000 + 1)
        ]
    )
    found = []
    runs_of = lru_cache(maxsize=10_000)(lambda place: np.unique(shingles(kept[place])))
    for one, other in pairs[alike >= threshold - _SLACK].tolist():
        value = _jaccard(runs_of(one), runs_of(other))
        if value >= threshold:
            found.append((int(rows[one]), int(rows[other]), value))
    return found


def shingles(text: str) -> np.ndarray:
    """Return a hash of each run of `SHINGLE` letters, in their order, uint64; none of a shorter text.

    >>> len(shingles("abcdefg")), len(set(shingles("aaaaaaa").tolist())), len(shingles("abc"))
    (3, 1, 0)
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    return _runs(codes)


def _runs(codes: np.ndarray) -> np.ndarray:
    n_runs = max(0, len(codes) - SHINGLE + 1)
    mixed = np.zeros(n_runs, dtype=np.uint64)
    for place in range(SHINGLE):
        mixed += (codes[place : place + n_runs] + np.uint64(1)) * _FACTORS[place]
    return mixed ^ (mixed >> np.uint64(29))


def _jaccard(one: np.ndarray, other: np.ndarray) -> float:
    n_shared = len(np.intersect1d(one, other, assume_unique=True))
    return n_shared / (len(one) + len(other) - n_shared)


def _signatures(texts: Sequence[str], seed: int) -> np.ndarray:
    """Return the signature of each text, `[n, 125]` uint32."""
    from rensa import RMinHash

    signatures = np.empty((len(texts), N_BANDS * PLACES), dtype=np.uint32)
    for start, end in _blocks(texts):
        runs = [shingles(text) for text in texts[start:end]]
        ends = np.cumsum([0, *map(len, runs)]).astype(np.uint64)
        digests = RMinHash.digest_matrix_from_flat_token_hashes(
            np.concatenate(runs), ends, N_BANDS * PLACES, seed
        )
        signatures[start:end] = digests.to_rows()
    return signatures


def _blocks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield first and last (exclusive) place of blocks of texts that bound memory."""
    start, n_letters = 0, 0
    for place, text in enumerate(texts):
        if place > start and (n_letters + len(text) > _BLOCK_LETTERS or place - start == 8192):
            yield start, place
            start, n_letters = place, 0
        n_letters += len(text)
    yield start, len(texts)


def _candidates(signatures: np.ndarray) -> np.ndarray:
    """Return pairs that share a band, `[n_pairs, 2]`, each once, the lower place first: a row with the first, and the one before."""
    n_rows = len(signatures)
    found = np.empty(0, dtype=np.int64)
    for band in range(N_BANDS):
        places = signatures[:, band * PLACES : (band + 1) * PLACES].astype(np.uint64)
        keys = (places * _FACTORS).sum(axis=1, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        is_new = np.r_[True, keys[order][1:] != keys[order][:-1]]
        first = order[np.maximum.accumulate(np.where(is_new, np.arange(n_rows), 0))]
        others = np.flatnonzero(~is_new)
        with_first = first[others] * n_rows + order[others]
        with_last = order[others - 1] * n_rows + order[others]
        found = np.union1d(found, np.r_[with_first, with_last])
    return np.stack(np.divmod(found, n_rows), axis=1)
