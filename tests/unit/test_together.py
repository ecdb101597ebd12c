"""Scores of two that are put together."""

import numpy as np
import pytest

from submillion.temperature import fit_temperature, tempered_log_loss
from submillion.together import (
    best_weights,
    by_own_temperatures,
    fit_all,
    fit_weights,
    pooled,
    pooled_by_others,
    weights_of,
)


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
    right = {name: np.mean(values.argmax(axis=1) == labels) for name, values in scores.items()}
    assert max(right.values()) < 0.75
    assert np.mean(pooled(scores, fit_weights(scores, labels)).argmax(axis=1) == labels) > 0.9


def test_no_other_weights_have_a_lower_log_loss():
    labels, scores = halves()
    weights = best_weights(scores, labels)
    best = tempered_log_loss(pooled(scores, weights), labels)
    assert fit_temperature(pooled(scores, weights), labels) == pytest.approx(1, abs=1e-3)
    for factor in (0.8, 0.95, 1.05, 1.25):
        moved = weights | {"adapter": factor * weights["adapter"]}
        assert tempered_log_loss(pooled(scores, moved), labels) > best


def test_one_that_repeats_the_other_worse_takes_less_from_it_than_at_its_own_temperature():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=600)
    clear = 3 * np.eye(3)[labels] + rng.normal(size=(600, 3))
    scores = {"adapter": clear, "tfidf_svm": clear + 3 * rng.normal(size=(600, 3))}

    def right(weights):
        return np.mean(pooled(scores, weights).argmax(axis=1) == labels)

    own = by_own_temperatures({name: fit_temperature(values, labels) for name, values in scores.items()})
    best, halfway = best_weights(scores, labels), fit_weights(scores, labels)
    assert right({"adapter": 1.0}) == pytest.approx(right(best), abs=0.002)
    assert right(own) < right(halfway) < right(best)
    of_own, of_halfway, of_best = (each["tfidf_svm"] / each["adapter"] for each in (own, halfway, best))
    assert of_halfway == pytest.approx((of_own * of_best) ** 0.5)
    assert fit_temperature(pooled(scores, halfway), labels) == pytest.approx(1, abs=1e-3)


def test_a_few_rows_that_are_all_right_do_not_make_the_two_certain():
    labels = np.array([0, 1, 2, 0, 1, 2])
    scores = {"adapter": 4 * np.eye(3)[labels], "tfidf_svm": np.eye(3)[labels]}
    both = pooled(scores, fit_weights(scores, labels))
    sure = np.exp(both[0, 0]) / np.exp(both[0]).sum()
    assert sure == pytest.approx(7 / 8, abs=0.01)  # (n + 1) / (n + 2)


def test_the_two_have_weights_where_each_has_a_temperature():
    labels, scores = halves()
    temperatures = {name: fit_temperature(values, labels) for name, values in scores.items()}
    fitted = fit_all(scores, labels)
    assert fitted["temperatures"] == pytest.approx(temperatures | {"adapter_and_tfidf": 1.0})
    assert fitted["pool_weights"] == fit_weights(scores, labels)
    alone = fit_all({"adapter": scores["adapter"]}, labels)
    assert alone["temperatures"].keys() == {"adapter"}
    assert alone["pool_weights"] == {}


def test_a_run_of_before_takes_each_at_its_own_temperature():
    temperatures = {"adapter": 2.0, "probe_mean": 3.0, "tfidf_svm": 0.25, "adapter_and_tfidf": 1.1}
    own = {"adapter": 0.5, "tfidf_svm": 4.0}
    assert weights_of({"temperatures": temperatures}) == own
    assert weights_of({"temperatures": temperatures, "pool_weights": {}}) == own
    fitted = {"adapter": 0.7, "tfidf_svm": 2.0}
    assert weights_of({"temperatures": temperatures, "pool_weights": fitted}) == fitted
    assert weights_of({"temperatures": temperatures, "pool_weights": {"adapter": 0.7}}) is None
    assert weights_of({"temperatures": None}) is None


def test_a_fold_is_pooled_at_the_weights_of_the_others():
    labels, scores = halves()
    fold_of = np.arange(len(labels)) % 2
    together = pooled_by_others(scores, labels, fold_of)
    for fold in (0, 1):
        here, there = fold_of == fold, fold_of != fold
        weights = fit_weights({name: values[there] for name, values in scores.items()}, labels[there])
        of_fold = {name: values[here] for name, values in scores.items()}
        assert np.array_equal(together[here], pooled(of_fold, weights))
        assert not np.array_equal(together[here], pooled(of_fold, fit_weights(of_fold, labels[here])))


def test_a_label_that_one_cannot_give_is_not_given():
    scores = {"adapter": np.array([[1.0, 3.0]]), "tfidf_svm": np.array([[0.5, -np.inf]])}
    assert pooled(scores, {"adapter": 1.0, "tfidf_svm": 1.0}).argmax(axis=1).tolist() == [0]
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=50)
    scores = {"adapter": rng.normal(size=(50, 3)) + 2 * np.eye(3)[labels], "tfidf_svm": np.eye(3)[labels]}
    scores["tfidf_svm"][:, 2] = -np.inf
    assert all(np.isfinite(weight) for weight in fit_weights(scores, labels).values())
