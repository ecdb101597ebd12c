"""Temperatures on few rows, and on rows of labels that cannot be given."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from submillion.temperature import (
    LOWEST,
    fit_temperature,
    fit_temperatures,
    probabilities_at,
    tempered_log_loss,
)


def drawn(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return scores that are right in 96 of 100 rows, and the labels."""
    labels = rng.integers(0, 4, n)
    scores = rng.normal(size=(n, 4))
    scores[np.arange(n), labels] += 3
    return scores, labels


def test_a_few_rows_that_are_all_right_do_not_make_it_certain():
    rng = np.random.default_rng(0)
    new, truth = drawn(4_000, rng)
    losses = []
    for _ in range(20):
        temperature = fit_temperature(*drawn(25, rng))
        losses.append(-log_softmax(new / temperature, axis=1)[np.arange(4_000), truth].mean())
    assert max(losses) < 0.3  # 0.13 at the best temperature; above 2 where 25 right rows alone decide


def test_many_rows_decide_alone():
    scores, labels = drawn(20_000, np.random.default_rng(1))
    assert 0.3 < fit_temperature(scores, labels) < 0.4  # 1/3 is the true one


def test_labels_that_cannot_be_given_count_nothing():
    scores, labels = drawn(200, np.random.default_rng(2))
    wider = np.c_[scores, np.full(200, -np.inf)]
    assert np.isclose(fit_temperature(wider, labels), fit_temperature(scores, labels))
    assert fit_temperature([[2.0, -np.inf]] * 3, [0] * 3) >= LOWEST
    assert fit_temperatures({"a": wider}, np.full(200, 4)) == {}


def test_the_log_loss_at_the_best_temperature_is_of_the_order_and_not_of_the_confidence():
    scores, labels = drawn(2_000, np.random.default_rng(3))
    found = tempered_log_loss(scores, labels)
    assert np.isclose(found, log_loss(labels, np.exp(log_softmax(3 * scores, axis=1))), atol=2e-3)
    assert np.isclose(tempered_log_loss(scores / 10, labels), found, atol=1e-4)
    assert (
        tempered_log_loss(scores + np.random.default_rng(4).normal(size=scores.shape), labels) > found + 0.05
    )


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan])
def test_what_is_no_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        probabilities_at(np.zeros((1, 2)), temperature)
    assert str(caught.value) == f"temperature={temperature}: need a number above 0"
