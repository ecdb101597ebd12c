"""Groups among the rows most unlike training, described by what sets them apart."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.data.surface import FEATURES
from submillion.data.words import words_of

MIN_ROWS = 20
"""Fewer unlike rows are not divided; a smaller group is not described."""

MOST_GROUPS = 5
MOST_CLUSTERED = 2_000
CLEAR = 0.1
"""Rows are divided only where the mean silhouette (Rousseeuw 1987) reaches this."""

N_WORDS = 8
TELLING = 2.0
"""A word is named where its share is so many times that of training."""

N_EXAMPLES = 3
STRIKING = 1.0
"""A feature of the surface is told where the group's median lies so many of training's deviations away."""


@dataclass(frozen=True)
class Group:
    """Rows that are unlike training in the same way.

    Attributes:
        rows: Places among the new rows, the most unlike first.
        words: Words that many of them hold and few train rows do, the most telling first.
        unknown_words: Those of ``words`` that no train row holds.
        characters: Characters of theirs that no train row holds, the most frequent first.
        striking: Name of a surface feature -> medians ``here`` and ``in training``.
    """

    rows: np.ndarray
    words: tuple[str, ...]
    unknown_words: tuple[str, ...]
    characters: str
    striking: Mapping[str, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Return the group as it stands in ``report.json``, without texts."""
        return {
            "n": len(self.rows),
            "words": list(self.words),
            "unknown_words": list(self.unknown_words),
            "characters": self.characters,
            "striking": {
                name: {"here": here, "in_training": there} for name, (here, there) in self.striking.items()
            },
            "examples": self.rows[:N_EXAMPLES].tolist(),
        }


def find_groups(
    texts: Sequence[str],
    scores: np.ndarray,
    embeddings: np.ndarray,
    surface: np.ndarray,
    known_surface: np.ndarray,
    word_shares: Mapping[str, float],
    characters: Collection[str],
    seed: int,
) -> list[Group]:
    """Return the groups among the rows that are more likely unlike than not, largest first.

    Args:
        texts: New rows `[n]`.
        scores: How likely each is unlike, `[n]`.
        embeddings: Their frozen embeddings `[n, width]`.
        surface: Their surface features `[n, 8]`.
        known_surface: Those of known rows `[m, 8]`.
        word_shares: Word -> share of the train rows that hold it.
        characters: Characters that train rows hold.
        seed: Seed of the clustering.
    """
    rows = np.flatnonzero(scores >= 0.5)
    if len(rows) < MIN_ROWS:
        return []
    member = _clustered(embeddings[rows], seed)
    groups = []
    for group in np.unique(member):
        places = rows[member == group]
        if len(places) >= MIN_ROWS:
            places = places[np.argsort(-scores[places], kind="stable")]
            words, unknown = _telling_words([texts[row] for row in places], word_shares)
            groups.append(
                Group(
                    places,
                    words,
                    unknown,
                    _new_characters([texts[row] for row in places], characters),
                    _striking(surface[places], known_surface),
                )
            )
    return sorted(groups, key=lambda group: -len(group.rows))


def _clustered(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """Return each row's cluster: k-means on directions, as many as the silhouette likes best, one where none is clear."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    drawn = np.random.default_rng(seed).permutation(len(unit))[:MOST_CLUSTERED]
    best, clear = np.zeros(len(unit), dtype=np.int64), CLEAR
    n_distinct = len(np.unique(unit[drawn].round(4), axis=0))  # equal texts cannot be parted
    for n_groups in range(2, min(MOST_GROUPS, len(drawn) // MIN_ROWS, n_distinct) + 1):
        found = KMeans(n_groups, n_init=3, random_state=seed).fit(unit[drawn])
        silhouette = float(silhouette_score(unit[drawn], found.labels_))
        if silhouette > clear:
            best, clear = found.predict(unit), silhouette
    return best


def _telling_words(
    texts: Sequence[str], word_shares: Mapping[str, float]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words that set texts apart, and those of them that are unknown.

    >>> _telling_words(["the moon", "the moon", "the sea"], {"the": 0.9, "sea": 0.3})
    (('moon',), ('moon',))
    """
    held = Counter(word for text in texts for word in set(words_of(text.lower())))
    least = max(2, len(texts) // 50)
    floor = 0.5 * min(word_shares.values(), default=1e-4)
    weight = {
        word: n / len(texts) * np.log(n / len(texts) / max(word_shares.get(word, 0.0), floor))
        for word, n in held.items()
        if n >= least and n / len(texts) >= TELLING * word_shares.get(word, 0.0)
    }
    words = tuple(sorted(weight, key=lambda word: (-weight[word], word))[:N_WORDS])
    return words, tuple(word for word in words if word not in word_shares)


def _new_characters(texts: Sequence[str], known: Collection[str]) -> str:
    """Return characters that training lacks, the most frequent first, at most 20.

    >>> _new_characters(["naïve café é"], set("nave cf"))
    'éï'
    """
    found = Counter(character for text in texts for character in text if character not in known)
    return "".join(character for character, _ in found.most_common(20) if character.isprintable())


def _striking(here: np.ndarray, there: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return the surface features whose median is far from training's, as they are counted: not as logarithms."""
    medians = np.median(here, axis=0), np.median(there, axis=0)
    far = np.abs(medians[0] - medians[1]) / np.maximum(there.std(axis=0), 1e-6)
    told = {}
    for column in np.argsort(-far, kind="stable"):
        if far[column] >= STRIKING:
            is_log = column < 2
            here_, there_ = (
                float(np.exp(m[column]) - (column == 0)) if is_log else float(m[column]) for m in medians
            )
            told[FEATURES[column]] = (round(here_, 3), round(there_, 3))
    return told
