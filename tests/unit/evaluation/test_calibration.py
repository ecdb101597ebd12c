"""Calibration figures and their intervals, the error that chance alone shows, and the temperature."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from submillion.evaluation.calibration import calibration, reliability, tempered


def calibrated(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels `[n]` drawn from the probabilities of logits `[n, 3]`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, 3))
    return (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1), logits


class TestCalibration:
    def test_of_calibrated_probabilities_is_small_and_of_overconfident_ones_is_not(self) -> None:
        labels, logits = calibrated(20_000)
        honest, boasting = (calibration(labels, softmax(scale * logits, axis=1)) for scale in (1, 3))
        assert honest.expected_calibration_error < 0.4 * np.sqrt(15 / 20_000)
        assert boasting.expected_calibration_error > 0.1
        assert boasting.log_loss > honest.log_loss
        assert boasting.brier > honest.brier

    def test_by_hand(self) -> None:
        ours = calibration(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]))
        assert ours.log_loss == pytest.approx(-(np.log(0.9) + np.log(0.4)) / 2)
        assert ours.brier == pytest.approx((2 * 0.1**2 + 2 * 0.6**2) / 2)
        assert ours.expected_calibration_error == pytest.approx((0.1 + 0.6) / 2)

    def test_log_loss_is_scikit_learn_s(self) -> None:
        labels, logits = calibrated(300)
        probabilities = softmax(4 * logits, axis=1)
        ours = calibration(labels, probabilities)
        assert ours.log_loss == pytest.approx(log_loss(labels, probabilities))
        assert ours.log_loss_interval.low < ours.log_loss < ours.log_loss_interval.high
        assert ours.brier_interval.low < ours.brier < ours.brier_interval.high
        certain = np.array([[0.0, 1.0], [0.0, 1.0]])
        assert calibration(np.array([0, 1]), certain).log_loss == pytest.approx(log_loss([0, 1], certain))

    def test_one_row_says_nothing_of_the_mean(self) -> None:
        ours = calibration(np.array([0]), np.array([[0.9, 0.1]]))
        assert (ours.brier_interval.low, ours.brier_interval.high) == (0.0, 2.0)


class TestReliability:
    def test_bins_are_of_equal_mass_and_scikit_learn_s(self) -> None:
        labels, logits = calibrated(1_500)
        probabilities = softmax(logits, axis=1)
        right = probabilities.argmax(axis=1) == labels
        bins = reliability(labels, probabilities, seed=0).bins
        assert [each.n for each in bins] == [100] * 15
        accuracy, confidence = calibration_curve(
            right, probabilities.max(axis=1), n_bins=15, strategy="quantile"
        )
        assert [each.accuracy.value for each in bins] == pytest.approx(accuracy.tolist())
        assert [each.confidence for each in bins] == pytest.approx(confidence.tolist())

    def test_fewer_rows_than_bins(self) -> None:
        labels, logits = calibrated(4)
        assert [each.n for each in reliability(labels, softmax(logits, axis=1), seed=0).bins] == [1] * 4

    def test_the_error_of_a_calibrated_model_is_what_it_is_said_to_be_by_chance(self) -> None:
        found = []
        for seed in range(100):
            labels, logits = calibrated(400, seed)
            found.append(reliability(labels, softmax(logits, axis=1), seed))
        errors = np.array([each.calibration.expected_calibration_error for each in found])
        expected = np.array([each.if_calibrated for each in found])
        assert errors.mean() == pytest.approx(expected.mean(), rel=0.05)
        assert expected.mean() > 0.04  # the bias at 400 rows is no small matter
        assert 0.01 <= np.mean(errors > [each.if_calibrated_high for each in found]) <= 0.11

    def test_an_overconfident_model_s_error_is_more_than_chance(self) -> None:
        labels, logits = calibrated(400)
        found = reliability(labels, softmax(3 * logits, axis=1), seed=0)
        assert found.calibration.expected_calibration_error > 2 * found.if_calibrated_high

    def test_the_seed_decides(self) -> None:
        labels, logits = calibrated(100)
        first, again, other = (reliability(labels, softmax(logits, axis=1), seed) for seed in (1, 1, 2))
        assert first == again
        assert first.if_calibrated != other.if_calibrated


class TestTemperature:
    def test_the_right_one_mends_the_error(self) -> None:
        labels, logits = calibrated(2_000)
        both = tempered(labels, 3 * logits, 3.0, seed=0)
        assert both.after is not None
        before, after = both.before.calibration, both.after.calibration
        assert after.expected_calibration_error < both.after.if_calibrated_high
        assert before.expected_calibration_error > both.before.if_calibrated_high
        assert after.log_loss < before.log_loss
        assert tempered(labels, logits, None, seed=0).after is None
