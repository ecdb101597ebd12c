"""The accuracy to expect, on rows whose accuracy is known."""

import numpy as np
import pytest

from submillion.evaluation.expected import MIN_ROWS, above_threshold, expect
from submillion.evaluation.unlike import Unlike
from submillion.statistics import Interval


def unlike(scores, at_least=0.0):
    share = float(np.mean(scores))
    return Unlike(Interval(share, share, share, "test"), at_least, np.asarray(scores), 0.5)


def confident(n, *, seed=0, low=0.5):
    """Return confidences `[n]` and whether each row is right, so often as its confidence says."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(low, 1, size=n)
    return confidence, rng.random(n) < confidence


def test_rows_like_the_known_ones_are_expected_to_be_as_often_right():
    known, right = confident(2000)
    new, truth = confident(2000, seed=1)
    found = expect(known, right, new, unlike(np.zeros(2000)), seed=0)
    assert found.refused is None
    assert abs(found.accuracy.value - truth.mean()) < 0.03
    assert found.accuracy.low <= truth.mean() <= found.accuracy.high


def test_the_interval_covers_the_truth_in_at_least_nine_draws_of_ten():
    held = []
    for seed in range(60):
        known, right = confident(400, seed=seed)
        new, truth = confident(1000, seed=1000 + seed)
        found = expect(known, right, new, unlike(np.zeros(1000)), seed=0).accuracy
        held.append(found.low <= truth.mean() <= found.high)
    assert np.mean(held) >= 0.9


def test_the_interval_widens_with_the_share_unlike_training():
    known, right = confident(2000)
    new, _ = confident(1000, seed=1)
    widths = []
    for share in (0.0, 0.5, 1.0):
        found = expect(known, right, new, unlike(np.full(1000, share)), seed=0).accuracy
        widths.append(found.high - found.low)
    assert widths[0] < widths[1] < widths[2] <= 0.14


def test_parts_are_told_apart():
    known, right = confident(2000)
    scores = np.r_[np.zeros(600), np.ones(400)]
    new = np.r_[np.full(600, 0.99), np.full(400, 0.5)]
    familiar, other = expect(known, right, new, unlike(scores), seed=0).parts
    assert (familiar.name, other.name) == ("familiar", "unlike")
    assert familiar.accuracy.value == 1.0
    assert other.accuracy.value == 0.0


def test_a_part_of_too_few_rows_has_no_figure():
    known, right = confident(500)
    found = expect(known, right, confident(200, seed=1)[0], unlike(np.zeros(200)), seed=0)
    assert found.parts[1].accuracy is None


def test_where_hardly_a_familiar_row_is_left_they_are_taken_to_be_as_often_right_as_known_ones():
    known, right = confident(500)
    scores = np.r_[np.zeros(36), np.ones(84)]
    found = expect(known, right, confident(120, seed=1)[0], unlike(scores), seed=0)
    assert found.parts[0].accuracy is None
    assert found.if_unlike_are_wrong == pytest.approx(0.3 * right.mean())


def test_no_estimate_is_given_where_the_model_contradicts_itself_on_the_unlike_rows():
    known = np.linspace(0.9, 1, 500)
    right = np.arange(500) >= 50  # right above 0.91
    new = np.r_[np.full(500, 0.99), np.full(500, 0.85)]  # sure, and yet below whatever is right
    scores = np.r_[np.zeros(500), np.ones(500)]
    found = expect(known, right, new, unlike(scores, at_least=0.4), seed=0)
    assert found.accuracy is None
    assert found.refused.startswith(
        "50 % of the rows are unlike training, and what the model says of them contradicts itself"
    )
    assert found.to_json()["estimated_accuracy"]["value"] is None
    assert expect(known, right, new, unlike(scores, at_least=0.01), seed=0).accuracy is not None


@pytest.mark.parametrize(("n_known", "n_new"), [(MIN_ROWS - 1, 500), (500, MIN_ROWS - 1)])
def test_too_few_rows_support_no_estimate(n_known, n_new):
    known, right = confident(n_known)
    found = expect(known, right, confident(n_new)[0], unlike(np.zeros(n_new)), seed=0)
    assert found.accuracy is None
    assert "at least 100 of each are needed" in found.refused


def test_a_model_that_is_always_right_or_always_wrong_is_expected_to_stay_so():
    known, new = np.array([0.6, 0.9]), np.array([0.7, 0.95])
    assert above_threshold(known, np.array([False, False]), new, np.ones(2)) == 0.0
    assert above_threshold(known, np.array([True, True]), np.array([0.65, 0.95]), np.ones(2)) == 1.0


def test_no_estimate_is_given_where_the_unlike_rows_are_far_from_every_label():
    known, right = confident(500)
    new, _ = confident(500, seed=1)
    scores = np.r_[np.zeros(250), np.ones(250)]
    found = expect(known, right, new, unlike(scores, at_least=0.4), seed=0, affinity=0.2)
    assert found.accuracy is None
    assert found.refused == (
        "50 % of the rows are unlike training and far from every label of it (affinity 0.20, below 0.5): they may be of a "
        "class that training lacks. Label a few of them"
    )
    for affinity, at_least in ((0.2, 0.01), (0.6, 0.4), (None, 0.4)):
        assert expect(known, right, new, unlike(scores, at_least), seed=0, affinity=affinity).accuracy
