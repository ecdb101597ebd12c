"""How near unlike rows lie to the labels of training."""

import numpy as np
import pytest

from submillion.evaluation.affinity import AnsweredRows, affinity_to_labels
from submillion.evaluation.unlabelled import Known
from submillion.evaluation.unlike import Unlike
from submillion.reference import Look
from submillion.scoring import ScoredRows, Scores
from submillion.statistics import Interval

WIDTH = 64


def rows(places: np.ndarray, seed: int) -> AnsweredRows:
    """Return rows about one centre each; the model gives them the label of that number, of three."""
    noise = np.random.default_rng(seed).normal(size=(len(places), WIDTH))
    return AnsweredRows(8 * np.eye(WIDTH)[places] + noise, places % 3)


LABELS = np.arange(900) % 3


def mixture(n_unlike: int, place: int) -> float:
    """Return the affinity where so many of 1,000 rows lie about one centre, by scores that are right in the mean.

    Of the rows with a score of 0.2 a fifth is unlike, of those with 0.9 nine tenths.
    """
    n_high = round((n_unlike - 200) / 0.7)
    is_unlike = np.r_[np.arange(n_high) < 0.9 * n_high, np.arange(1000 - n_high) < 0.2 * (1000 - n_high)]
    scores = np.r_[np.full(n_high, 0.9), np.full(1000 - n_high, 0.2)]
    new = rows(np.where(is_unlike, place, np.arange(1000) % 3), seed=1)
    return affinity_to_labels(rows(LABELS, seed=0), LABELS, new, scores)


def test_how_many_rows_are_unlike_hardly_matters():
    of_all = affinity_to_labels(rows(LABELS, seed=0), LABELS, rows(np.full(1000, 4), seed=1), np.ones(1000))
    for n_unlike in (250, 400, 600, 800):
        assert mixture(n_unlike, place=4) == pytest.approx(of_all, abs=0.15)


@pytest.mark.parametrize(("n_labels", "n_rows"), [(3, 900), (20, 400), (50, 400)])
def test_known_rows_are_as_near_as_themselves(n_labels, n_rows):
    labels = np.arange(n_rows) % n_labels
    embeddings = [
        1.5 * np.eye(WIDTH)[labels] + 0.3 * np.random.default_rng(seed).normal(size=(n_rows, WIDTH))
        for seed in (0, 1)
    ]
    known, new = (AnsweredRows(each, labels) for each in embeddings)
    for scores in (np.ones(n_rows), np.random.default_rng(2).uniform(0.1, 1, size=n_rows)):
        assert affinity_to_labels(known, labels, new, scores) == pytest.approx(1, abs=0.1)


def test_a_label_with_one_row_has_no_centre_for_it():
    labels = np.r_[LABELS, 3]
    known = rows(labels, seed=0)
    assert affinity_to_labels(known, labels, known, np.ones(901)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("score", "labels", "is_told"),
    [(0.02, LABELS, False), (0.2, LABELS, True), (0.2, np.zeros(900, dtype=np.int64), False)],
)
def test_there_is_no_affinity_where_hardly_a_row_is_unlike_or_one_label_is_known(score, labels, is_told):
    embeddings, rng = rows(LABELS, seed=0).embeddings, np.random.default_rng(0)
    look = Look(embeddings.astype(np.float32), np.zeros((900, 8), np.float32), {})
    scores = Scores(rng.normal(size=(900, 3)), embeddings)
    known = Known((ScoredRows(np.arange(900), labels, scores, {}),), {"calibration": look, "train": look})
    unlike = Unlike(Interval(score, 0, 1, "rows", 0.95), 0.0, np.full(900, score), 0.5)
    assert (known.affinity(LABELS, look, unlike) is not None) == is_told
