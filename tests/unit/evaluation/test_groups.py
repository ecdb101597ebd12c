"""Groups among the rows most unlike training."""

import numpy as np

from submillion.data.surface import surface
from submillion.evaluation.groups import find_groups


def made(n_other):
    """Return 200 known-like texts and two groups that are not, with their embeddings."""
    rng = np.random.default_rng(0)
    texts = (
        ["markets rose today"] * 200
        + ["der hund läuft heim"] * n_other
        + ["goal by the striker 123"] * n_other
    )
    centres = np.eye(3, 16)[[0] * 200 + [1] * n_other + [2] * n_other]
    scores = np.r_[np.zeros(200), np.full(2 * n_other, 0.9)]
    return texts, scores, centres + 0.05 * rng.normal(size=centres.shape)


def found(n_other, *, both=True):
    texts, scores, embeddings = made(n_other)
    words = {"markets": 0.5, "rose": 0.4, "today": 0.4, "the": 0.6, "by": 0.3}
    looks = surface(texts, set(words))
    return find_groups(
        texts, scores, embeddings, looks, looks[:200], words, set("abcdefghijklmnopqrstuvwxyz "), 0
    )


def test_each_group_is_told_by_its_own_words_and_characters():
    german, sports = sorted(found(40), key=lambda group: "hund" not in group.words)
    assert {"hund", "läuft"} <= set(german.words) == set(german.unknown_words)
    assert german.characters == "ä"
    assert {"goal", "striker"} <= set(sports.words)
    assert "the" not in sports.words  # as frequent in training
    assert sports.characters == "123"
    assert "unknown words" in german.striking
    assert len(german.rows) == len(sports.rows) == 40


def test_few_unlike_rows_make_no_group():
    assert found(5) == []
