"""Scores of two that are put together."""

import numpy as np
import pytest

from submillion.temperature import fit_temperature
from submillion.together import pooled, with_together


def halves(n=400, seed=0):
    """Return labels, and scores of two that are sure of one half of the rows each and know nothing of the other."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    right = 4 * np.eye(3)[labels] + rng.normal(size=(n, 3))
    guess = rng.normal(size=(n, 3))
    first = np.arange(n)[:, None] < n // 2
    return labels, {"adapter": np.where(first, right, guess), "tfidf_svm": np.where(first, guess, right)}


def test_two_that_each_know_half_know_nearly_all_together():
    labels, scores = halves()
    temperatures = {name: fit_temperature(values, labels) for name, values in scores.items()}
    right = {name: np.mean(values.argmax(axis=1) == labels) for name, values in scores.items()}
    assert max(right.values()) < 0.75
    assert np.mean(pooled(scores, temperatures).argmax(axis=1) == labels) > 0.9


def test_the_two_have_a_temperature_where_each_has_one():
    labels, scores = halves()
    temperatures = {name: fit_temperature(values, labels) for name, values in scores.items()}
    fitted = fit_temperature(pooled(scores, temperatures), labels)
    assert with_together(temperatures, scores, labels)["adapter_and_tfidf"] == pytest.approx(fitted)
    assert with_together({"adapter": 1.0}, scores, labels) == {"adapter": 1.0}


def test_a_label_that_one_cannot_give_is_not_given():
    scores = {"adapter": np.array([[1.0, 3.0]]), "tfidf_svm": np.array([[0.5, -np.inf]])}
    assert pooled(scores, {"adapter": 1.0, "tfidf_svm": 1.0}).argmax(axis=1).tolist() == [0]
