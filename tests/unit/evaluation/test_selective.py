"""Accuracy against coverage, the area under its risk, and the threshold with a guarantee, simulated."""

import numpy as np
import pytest

from submillion.evaluation.selective import accuracy_by_coverage, risk_area, selective, threshold_for
from submillion.statistics import exact_lower_bound


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return whether right and confidence, where accuracy rises with confidence from 60 to 98 %."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.3, 1.0, n)
    return rng.random(n) < 0.6 + 0.38 * (confidence - 0.3) / 0.7, confidence


def true_accuracy(threshold: float) -> float:
    """Return the accuracy above a threshold in `drawn`: that halfway between it and 1."""
    return 0.6 + 0.38 * ((max(threshold, 0.3) + 1) / 2 - 0.3) / 0.7


class TestCurve:
    def test_by_hand(self) -> None:
        right, confidence = np.array([True, False, True, True]), np.array([0.6, 0.7, 0.8, 0.9])
        curve = accuracy_by_coverage(right, confidence)
        assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
        assert curve.accuracy.tolist() == pytest.approx([1, 1, 2 / 3, 3 / 4])
        assert curve.threshold.tolist() == [0.8, 0.7, 0.6, 0.0]

    def test_its_thresholds_keep_what_it_says(self) -> None:
        right, confidence = drawn(1_234, 0)
        confidence = confidence.round(2)  # many ties
        curve = accuracy_by_coverage(right, confidence)
        assert len(curve.coverage) <= 100
        for coverage, accuracy, threshold in zip(
            curve.coverage, curve.accuracy, curve.threshold, strict=True
        ):
            kept = confidence > threshold
            assert kept.mean() == pytest.approx(coverage)
            assert right[kept].mean() == pytest.approx(accuracy)
        assert (curve.coverage[-1], curve.threshold[-1]) == (1.0, 0.0)

    def test_of_many_rows_has_a_hundred_points(self) -> None:
        assert len(accuracy_by_coverage(*drawn(5_000, 0)).coverage) == 100


class TestArea:
    def test_by_hand(self) -> None:
        right, confidence = np.array([True, False, True, True]), np.array([0.6, 0.7, 0.8, 0.9])
        assert risk_area(right, confidence) == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)

    def test_best_and_random(self) -> None:
        right, confidence = drawn(500, 0)
        found = selective(right, confidence)
        assert found.area_at_best < found.area < found.area_at_random == pytest.approx(1 - right.mean())
        n_wrong = int((~right).sum())
        by_hand = sum(k / (500 - n_wrong + k) for k in range(1, n_wrong + 1)) / 500
        assert found.area_at_best == pytest.approx(by_hand)
        assert selective(right, np.full(500, 0.5)).area == pytest.approx(1 - right.mean())

    def test_ties_do_not_lean_on_the_order_of_rows(self) -> None:
        right, confidence = drawn(300, 0)
        confidence, back = confidence.round(1), slice(None, None, -1)
        assert risk_area(right, confidence) == pytest.approx(risk_area(right[back], confidence[back]))


class TestThreshold:
    def test_keeps_all_rows_where_all_are_good_enough(self) -> None:
        found = threshold_for(0.5, *drawn(500, 0))
        assert (found.threshold, found.coverage, found.n_kept, found.reason) == (0.0, 1.0, 500, None)

    def test_keeps_what_it_says(self) -> None:
        right, confidence = drawn(3_000, 0)
        found = threshold_for(0.85, right, confidence)
        assert found.threshold is not None
        kept = confidence > found.threshold
        assert found.n_kept == kept.sum()
        assert found.coverage == kept.mean()
        assert found.accuracy == right[kept].mean() > 0.85
        assert 0.4 < kept.mean() < 0.8
        assert exact_lower_bound(int(right[kept].sum()), found.n_kept, 0.05) >= 0.85

    def test_the_guarantee_holds_in_simulated_rows(self) -> None:
        wanted, wrong, found = 0.85, 0, 0
        for seed in range(300):
            threshold = threshold_for(wanted, *drawn(600, seed)).threshold
            if threshold is not None:
                found += 1
                wrong += true_accuracy(threshold) < wanted
        assert wrong <= 0.05 * 300
        assert found > 200

    def test_the_guarantee_holds_where_no_threshold_does(self) -> None:
        """Accuracy is the same everywhere, a hair below the one wanted: each threshold found is an error."""
        rng = np.random.default_rng(0)
        found = [
            threshold_for(0.9, rng.random(600) < 0.899, rng.uniform(0.3, 1, 600)).threshold
            for _ in range(300)
        ]
        assert sum(threshold is not None for threshold in found) <= 0.05 * 300

    def test_reasons(self) -> None:
        right, confidence = drawn(1_000, 0)
        assert threshold_for(0.99, right[:200], confidence[:200]).reason == (
            "200 rows, were all right, would not show 99 %: at least 299 are needed"
        )
        found = threshold_for(0.985, right, confidence)
        assert (found.threshold, found.coverage, found.accuracy, found.n_kept) == (None, None, None, 0)
        assert found.reason is not None
        assert found.reason.startswith("no threshold is shown to reach 98.5 %: the highest lower bound is ")

    def test_one_confidence_for_all_rows(self) -> None:
        assert threshold_for(0.9, np.full(100, True), np.full(100, 0.7)).coverage == 1.0
        assert threshold_for(0.9, np.arange(100) % 2 > 0, np.full(100, 0.7)).threshold is None

    @pytest.mark.parametrize("wanted", [0.0, 1.0, 95.0])
    def test_refusals(self, wanted: float) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
            threshold_for(wanted, np.array([True]), np.array([0.9]))
        assert str(caught.value) == f"accuracy_wanted={wanted}: need a share between 0 and 1, both exclusive"

    def test_to_json_names_the_guarantee(self) -> None:
        value = threshold_for(0.85, *drawn(3_000, 0)).to_json()
        assert set(value) == {
            "wanted",
            "threshold",
            "coverage",
            "n_kept",
            "accuracy",
            "reason",
            "level",
            "guarantee",
        }
        assert "at least 85 % are right (Clopper-Pearson's lower bound" in value["guarantee"]
