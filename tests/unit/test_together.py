"""Scores of two that are put together."""

import numpy as np
import pytest

from submillion.temperature import fit_temperature, tempered_log_loss
from submillion.together import (
    best_pool_weights,
    fit_all,
    fit_pool_weights,
    own_pool_weights,
    pool_weights_of,
    pooled,
    pooled_by_others,
)


def halves(n=400, seed=0):
    """Return labels, and scores of two that are sure of one half of the rows each and know nothing of the other."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    right = 4 * np.eye(3)[labels] + rng.normal(size=(n, 3))
    guess = rng.normal(size=(n, 3))
    first = np.arange(n)[:, None] < n // 2
    return labels, {"adapter": np.where(first, right, guess), "tfidf_svm": np.where(first, guess, right)}


def clear_and_dull(n=600):
    """Return labels, and scores of which the second repeat the first, with noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=n)
    clear = 3 * np.eye(3)[labels] + rng.normal(size=(n, 3))
    return labels, {"adapter": clear, "tfidf_svm": clear + 3 * rng.normal(size=(n, 3))}


def own(scores, labels):
    return own_pool_weights({name: fit_temperature(values, labels) for name, values in scores.items()})


def share_right(scores, labels, weights):
    return np.mean(pooled(scores, weights).argmax(axis=1) == labels)


def test_two_that_each_know_half_know_nearly_all_together():
    labels, scores = halves()
    right = {name: np.mean(values.argmax(axis=1) == labels) for name, values in scores.items()}
    assert max(right.values()) < 0.75
    assert share_right(scores, labels, fit_pool_weights(scores, labels)) > 0.9


def test_no_weights_have_a_lower_log_loss_than_the_best():
    labels, scores = clear_and_dull()
    weights = best_pool_weights(scores, labels)
    best = tempered_log_loss(pooled(scores, weights), labels)
    assert fit_temperature(pooled(scores, weights), labels) == pytest.approx(1, abs=1e-3)
    assert tempered_log_loss(pooled(scores, own(scores, labels)), labels) > best + 0.01
    labels, scores = halves()
    weights = best_pool_weights(scores, labels)
    best = tempered_log_loss(pooled(scores, weights), labels)
    for factor in (0.8, 0.95, 1.05, 1.25):
        moved = weights | {"adapter": factor * weights["adapter"]}
        assert tempered_log_loss(pooled(scores, moved), labels) > best


def test_one_that_repeats_the_other_worse_takes_less_from_it_than_at_its_own_temperature():
    labels, scores = clear_and_dull()
    best, both = best_pool_weights(scores, labels), fit_pool_weights(scores, labels)
    right = {
        name: share_right(scores, labels, weights) for name, weights in {"best": best, "both": both}.items()
    }
    assert share_right(scores, labels, {"adapter": 1.0}) == pytest.approx(right["best"], abs=0.002)
    assert share_right(scores, labels, own(scores, labels)) < right["both"] < right["best"]
    assert fit_temperature(pooled(scores, both), labels) == pytest.approx(1, abs=1e-3)


def test_the_weights_are_those_of_the_mean_of_two_pools():
    labels, scores = clear_and_dull()

    def calibrated(weights):
        pool = pooled(scores, weights)
        return pool / fit_temperature(pool, labels)

    mean = (calibrated(own(scores, labels)) + calibrated(best_pool_weights(scores, labels))) / 2
    expected = mean / fit_temperature(mean, labels)
    assert pooled(scores, fit_pool_weights(scores, labels)) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("factor", [0.1, 10.0])
@pytest.mark.parametrize("name", ["adapter", "tfidf_svm"])
def test_the_scale_of_scores_does_not_matter(name, factor):
    labels, scores = clear_and_dull()  # the best weight of the dull ones is at its bound
    expected = pooled(scores, fit_pool_weights(scores, labels))
    scaled = scores | {name: factor * scores[name]}
    assert pooled(scaled, fit_pool_weights(scaled, labels)) == pytest.approx(expected, abs=0.01)


def test_a_few_rows_that_are_all_right_do_not_make_the_two_certain():
    labels = np.array([0, 1, 2, 0, 1, 2])
    scores = {"adapter": 4 * np.eye(3)[labels], "tfidf_svm": np.eye(3)[labels]}
    both = pooled(scores, fit_pool_weights(scores, labels))
    sure = np.exp(both[0, 0]) / np.exp(both[0]).sum()
    assert sure == pytest.approx(7 / 8, abs=0.01)  # (n + 1) / (n + 2)


def test_the_two_have_weights_where_each_has_a_temperature():
    labels, scores = halves()
    temperatures = {name: fit_temperature(values, labels) for name, values in scores.items()}
    fitted = fit_all(scores, labels)
    assert fitted["temperatures"] == pytest.approx(temperatures | {"adapter_and_tfidf": 1.0})
    assert fitted["pool_weights"] == fit_pool_weights(scores, labels)
    alone = fit_all({"adapter": scores["adapter"]}, labels)
    assert alone["temperatures"].keys() == {"adapter"}
    assert alone["pool_weights"] == {}


def test_a_run_of_before_takes_each_at_its_own_temperature():
    temperatures = {"adapter": 2.0, "probe_mean": 3.0, "tfidf_svm": 0.25, "adapter_and_tfidf": 1.1}
    own = {"adapter": 0.5, "tfidf_svm": 4.0}
    assert pool_weights_of({"temperatures": temperatures}) == own
    assert pool_weights_of({"temperatures": temperatures, "pool_weights": {}}) == own
    fitted = {"adapter": 0.7, "tfidf_svm": 2.0}
    assert pool_weights_of({"temperatures": temperatures, "pool_weights": fitted}) == fitted
    assert pool_weights_of({"temperatures": temperatures, "pool_weights": {"adapter": 0.7}}) is None
    assert pool_weights_of({"temperatures": None}) is None


def test_a_fold_is_pooled_at_the_weights_of_the_others():
    labels, scores = halves()
    fold_of = np.arange(len(labels)) % 2
    together = pooled_by_others(scores, labels, fold_of)
    for fold in (0, 1):
        here, there = fold_of == fold, fold_of != fold
        weights = fit_pool_weights({name: values[there] for name, values in scores.items()}, labels[there])
        of_fold = {name: values[here] for name, values in scores.items()}
        assert np.array_equal(together[here], pooled(of_fold, weights))
        assert not np.array_equal(together[here], pooled(of_fold, fit_pool_weights(of_fold, labels[here])))


def test_a_label_that_one_cannot_give_is_not_given():
    scores = {"adapter": np.array([[1.0, 3.0]]), "tfidf_svm": np.array([[0.5, -np.inf]])}
    assert pooled(scores, {"adapter": 1.0, "tfidf_svm": 1.0}).argmax(axis=1).tolist() == [0]
    labels = np.arange(50) % 2
    scores = {
        "adapter": np.random.default_rng(0).normal(size=(50, 3)) + 2 * np.eye(3)[labels],
        "tfidf_svm": np.eye(3)[labels],
    }
    scores["tfidf_svm"][:, 2] = -np.inf
    both = pooled(scores, fit_pool_weights(scores, labels))
    assert fit_temperature(both, labels) == pytest.approx(1, abs=1e-3)
    assert share_right(scores, labels, fit_pool_weights(scores, labels)) == 1.0
    assert 2 not in both.argmax(axis=1)


@pytest.mark.parametrize("n", [1, 2])
def test_one_row_or_two_give_weights_too(n):
    labels = np.arange(n)
    scores = {"adapter": 5 * np.eye(2)[labels], "tfidf_svm": -np.eye(2)[labels]}
    weights = fit_pool_weights(scores, labels)
    assert min(weights.values()) > 0
    sure = np.exp(pooled(scores, weights)[0])
    assert (sure / sure.sum())[0] == pytest.approx((n + 1) / (n + 2), abs=0.01)
