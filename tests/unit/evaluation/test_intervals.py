"""The intervals that only reports use: scikit-learn's figures, published values, and simulated coverage."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import binomtest, sem, t
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef

from submillion.statistics import (
    Interval,
    balanced_accuracy_interval,
    exact_interval,
    exact_lower_bound,
    fisher_exact,
    matthews_interval,
    mean_interval,
)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n_labels=st.integers(2, 6), n=st.integers(1, 40))
def test_figures_are_scikit_learn_s_and_lie_in_their_intervals(
    data: st.DataObject, n_labels: int, n: int
) -> None:
    label = st.lists(st.integers(0, n_labels - 1), min_size=n, max_size=n)
    labels, predictions = np.array(data.draw(label)), np.array(data.draw(label))
    balanced = balanced_accuracy_interval(labels, predictions, n_labels, seed=0, n_resamples=50)
    matthews = matthews_interval(labels, predictions, n_labels, seed=0, n_resamples=50)
    assert 0 <= balanced.low <= balanced.value <= balanced.high <= 1
    assert -1 <= matthews.low <= matthews.value <= matthews.high <= 1
    is_one_label = len({*labels.tolist(), *predictions.tolist()}) == 1  # scikit-learn warns of it
    expected = 0.0 if is_one_label else matthews_corrcoef(labels, predictions)
    assert matthews.value == pytest.approx(expected, abs=1e-7)
    recalls = [(predictions[labels == each] == each).mean() for each in np.unique(labels)]
    assert balanced.value == pytest.approx(np.mean(recalls))
    if set(predictions) <= set(labels) and not is_one_label:
        assert balanced.value == pytest.approx(balanced_accuracy_score(labels, predictions))


@pytest.mark.parametrize("interval_of", [balanced_accuracy_interval, matthews_interval])
def test_of_a_perfect_score_is_no_point(interval_of: Callable[..., Interval]) -> None:
    labels = np.arange(20) % 4
    interval = interval_of(labels, labels, 4, seed=0)
    assert interval.value == interval.high == 1.0
    assert 0.5 < interval.low < 0.97


def test_matthews_of_all_wrong_of_two_labels_is_its_lowest() -> None:
    labels = np.arange(40) % 2
    interval = matthews_interval(labels, 1 - labels, 2, seed=0)
    assert interval.value == interval.low == -1.0
    assert interval.high > -1


class TestExact:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 5.
    @pytest.mark.parametrize(
        ("successes", "n", "low", "high"),
        [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
    )
    def test_published(self, successes: int, n: int, low: float, high: float) -> None:
        interval = exact_interval(successes, n)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-5)

    @pytest.mark.parametrize(("successes", "n"), [(0, 7), (3, 7), (7, 7), (180, 200)])
    def test_bound_is_scipy_s(self, successes: int, n: int) -> None:
        expected = binomtest(successes, n, alternative="greater").proportion_ci(0.99, method="exact").low
        assert exact_lower_bound(successes, n, 0.01) == pytest.approx(expected)

    @pytest.mark.parametrize("accuracy", [0.6, 0.9, 0.98])
    def test_ten_together_hold_together(self, accuracy: float) -> None:
        drawn = np.random.default_rng(0).binomial(50, accuracy, size=(1_000, 10))
        known = {int(k): exact_interval(int(k), 50, n_together=10) for k in np.unique(drawn)}
        held = [all(known[int(k)].low <= accuracy <= known[int(k)].high for k in row) for row in drawn]
        assert np.mean(held) >= 0.95

    def test_fisher_s_tea(self) -> None:  # The Design of Experiments, 1935, chapter 2
        assert fisher_exact((4, 0), (4, 4)) == pytest.approx(2 / 70)
        assert fisher_exact((3, 1), (4, 4)) == pytest.approx(34 / 70)


class TestCoverage:
    """Nominal 95 %: over 1,000 simulated sets of rows each interval holds the truth in 93 to 98 % of them."""

    @pytest.mark.parametrize(
        ("sizes", "recall"),
        [([125] * 4, 0.75), ([450, 50], 0.9), ([271, 174, 30, 22, 20, 19, 9, 3], 0.88)],
    )
    def test_of_redrawn_matrices(self, sizes: list[int], recall: float) -> None:
        n_labels, n, n_sets = len(sizes), sum(sizes), 1_000
        shares = np.array(sizes) / n
        rng = np.random.default_rng(n)
        wrong = rng.dirichlet(np.full(n_labels, 0.5), size=n_labels)
        rates = recall * np.eye(n_labels) + (1 - recall) * wrong
        joint = shares[:, None] * rates
        predicted = joint.sum(axis=0)
        matthews = (np.trace(joint) - shares @ predicted) / np.sqrt(
            (1 - shares @ shares) * (1 - predicted @ predicted)
        )
        cells = np.indices((n_labels, n_labels)).reshape(2, -1)
        held = np.zeros(2)
        for seed in range(n_sets):
            counts = rng.multinomial(n, joint.ravel())
            labels, predictions = (np.repeat(axis, counts) for axis in cells)
            balanced = np.diag(rates)[np.unique(labels)].mean()
            for index, (interval_of, truth) in enumerate(
                [(balanced_accuracy_interval, balanced), (matthews_interval, matthews)]
            ):
                interval = interval_of(labels, predictions, n_labels, seed, n_resamples=400)
                held[index] += interval.low <= truth <= interval.high
        assert (held >= 0.93 * n_sets).all(), held
        assert (held <= 0.98 * n_sets).all(), held

    @pytest.mark.parametrize("n", [100, 1_000])
    def test_of_a_mean_loss(self, n: int) -> None:
        rng = np.random.default_rng(n)
        logits = rng.normal(scale=6, size=(200_000, 4))  # calibrated, 88 % right
        probabilities = softmax(logits, axis=1)
        labels = (probabilities.cumsum(axis=1) > rng.random((200_000, 1))).argmax(axis=1)
        losses = -np.log(np.clip(probabilities[np.arange(200_000), labels], 1e-15, 1))
        distances = ((probabilities - np.eye(4)[labels]) ** 2).sum(axis=1)
        for values, highest in ((losses, 35.0), (distances, 2.0)):
            drawn = values[rng.integers(0, len(values), (1_000, n))]
            intervals = [mean_interval(row, 0.0, highest) for row in drawn]
            assert 0.935 <= np.mean([each.low <= values.mean() <= each.high for each in intervals]) <= 0.975


class TestMean:
    def test_of_figures_without_skew_is_student_s(self) -> None:
        values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
        interval = mean_interval(values, -100.0, 100.0)
        low, high = t.interval(0.95, 4, loc=3.0, scale=sem(values))
        assert (interval.low, interval.high) == pytest.approx((low, high))

    def test_reaches_further_where_the_tail_is(self) -> None:
        interval = mean_interval(np.append(np.full(99, 0.01), 1.0), 0.0, 10.0)
        assert interval.high - interval.value > 2 * (interval.value - interval.low)

    def test_ends(self) -> None:
        assert mean_interval([0.5], 0.0, 2.0).to_json()["high"] == 2.0
        assert mean_interval([0.5, 0.5], 0.0, 2.0).high == 0.5
        assert mean_interval([0.01, 2.0], 0.0, 2.0).high == 2.0

    @settings(deadline=None)
    @given(values=st.lists(st.floats(0, 2), min_size=1, max_size=30))
    def test_its_order(self, values: list[float]) -> None:
        interval = mean_interval(values, 0.0, 2.0)
        assert 0 <= interval.low <= interval.value <= interval.high <= 2.0

    @pytest.mark.parametrize("values", [[], [-0.1, 1.0], [3.0], [np.nan]])
    def test_refusals(self, values: list[float]) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
            mean_interval(values, 0.0, 2.0)
        assert str(caught.value) == f"values ({len(values)},): need one figure a row, each from 0 to 2"
