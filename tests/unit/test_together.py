"""Scores of two that are put together."""

import numpy as np
import pytest

from submillion.temperature import fit_temperature
from submillion.together import fit_all, pooled, pooled_by_others


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
    assert fit_all(scores, labels) == pytest.approx(temperatures | {"adapter_and_tfidf": fitted})
    assert fit_all({"adapter": scores["adapter"]}, labels).keys() == {"adapter"}


def test_a_fold_is_pooled_at_the_temperatures_of_the_others():
    labels, scores = halves()
    fold_of = np.arange(len(labels)) % 2
    together = pooled_by_others(scores, labels, fold_of)
    for fold in (0, 1):
        here, there = fold_of == fold, fold_of != fold
        temperatures = {
            name: fit_temperature(values[there], labels[there]) for name, values in scores.items()
        }
        expected = pooled({name: values[here] for name, values in scores.items()}, temperatures)
        assert np.array_equal(together[here], expected)
        own = {name: fit_temperature(values[here], labels[here]) for name, values in scores.items()}
        assert not np.array_equal(
            expected, pooled({name: values[here] for name, values in scores.items()}, own)
        )


def test_a_label_that_one_cannot_give_is_not_given():
    scores = {"adapter": np.array([[1.0, 3.0]]), "tfidf_svm": np.array([[0.5, -np.inf]])}
    assert pooled(scores, {"adapter": 1.0, "tfidf_svm": 1.0}).argmax(axis=1).tolist() == [0]
