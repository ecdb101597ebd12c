"""The recommendation: the smallest candidate that is shown to be as good as the best, within the margin."""

import numpy as np
import pytest

from submillion.statistics import differences_to_best
from submillion.study.recommend import Judged, recommend


def study(n_rows: int, accuracies: list[float], seed: int, shared: float = 0.9) -> np.ndarray:
    """Return right rows of candidates whose errors lie on the same rows but for a share."""
    draw = np.random.default_rng(seed)
    common = draw.random(n_rows)
    own = draw.random((len(accuracies), n_rows))
    mixed = np.where(draw.random((len(accuracies), n_rows)) < shared, common, own)
    return mixed < np.array(accuracies)[:, None]


def judged(right: np.ndarray, sizes: list[int]) -> list[Judged]:
    return [
        Judged(n, f"c{n}", size, 100, rows) for n, (size, rows) in enumerate(zip(sizes, right, strict=True))
    ]


def test_with_20_000_rows_a_smaller_candidate_than_the_best_is_recommended():
    """Three sizes: the largest is 0.1 points better than the middle, the smallest 3 points worse."""
    right = study(20_000, [0.88, 0.919, 0.92], seed=1)
    found = recommend(judged(right, [10_000, 100_000, 900_000]), 24, margin=0.005, seed=0)
    assert found.best == 2
    assert found.number == 1
    assert "11% of the 900,000 of the best" in found.reason
    assert (
        found.optimistic == "chosen on these rows as the best of 24 candidates, so its figure is optimistic"
    )
    assert [line["verdict"] for line in found.ranking] == [
        "the best", "not worse by 0.5 points", "not shown to be as good"
    ]  # fmt: skip


def test_with_few_rows_the_best_is_recommended_and_how_many_would_do_is_said():
    right = study(300, [0.915, 0.92], seed=3)
    found = recommend(judged(right, [10_000, 900_000]), 2, margin=0.02, seed=0)
    assert found.number == found.best
    if found.best == 1:
        assert found.rows_needed is not None
        assert found.rows_needed > 300
        assert f"about {found.rows_needed:,} rows held back would do" in found.reason


def test_of_equals_the_smallest_then_the_cheapest_is_recommended():
    rows = np.arange(5000) % 10 > 0
    same = [Judged(0, "a", 500, 300, rows), Judged(1, "b", 400, 300, rows), Judged(2, "c", 400, 200, rows)]
    assert recommend(same, 3, margin=0.005, seed=0).number == 2


@pytest.mark.parametrize(
    "truth", [[0.90, 0.898, 0.898, 0.895, 0.89, 0.88], [0.90, 0.895], [0.90, 0.85, 0.80]], ids=str
)
def test_the_lower_ends_hold_for_all_candidates_at_once(truth):
    """Simulated: whichever is the best by the rows, in 95 % of studies no candidate is below its lower end."""
    below = np.array(truth) - max(truth)
    held = [
        bool(
            (below >= differences_to_best(study(1000, truth, seed), seed, n_resamples=500).lows - 1e-12).all()
        )
        for seed in range(250)
    ]
    assert np.mean(held) >= 0.92  # 95 % less three standard errors, rounded down


def test_lower_ends_are_not_so_wide_that_they_say_nothing():
    """Of ten that are as good as each other, disagreeing on 2 % of 20,000 rows, all are within half a point of the best."""
    found = differences_to_best(study(20_000, [0.9] * 10, seed=5, shared=0.94), seed=0)
    assert (found.lows > -0.005).all()
