"""The share of new rows that is unlike the known ones, on rows whose share is known."""

import numpy as np
import pytest

from submillion.evaluation.unlike import best_bin, find_unlike


def rows(n, n_other=0, *, seed=0, far=1.5):
    """Return `[n, 20]` rows, of which ``n_other`` are from elsewhere."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(n, 20))
    drawn[n - n_other :] += far
    return drawn


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.7, 1.0])
def test_the_share_is_found_where_unlike_rows_can_be_told_apart(share):
    found = find_unlike(rows(1500), rows(1000, round(1000 * share), seed=1), seed=0)
    assert abs(found.share.value - share) <= 0.05
    assert found.at_least <= share
    assert found.share.low <= found.share.value <= found.share.high
    assert found.scores.shape == (1000,)


def test_the_interval_holds_the_share_also_where_unlike_rows_are_hard_to_tell_apart():
    held = []
    for seed in range(10):
        for share in (0.1, 0.5, 1.0):
            new = rows(600, round(600 * share), seed=100 + seed, far=0.45)
            found = find_unlike(rows(900, seed=seed), new, seed=0).share
            held.append(found.low <= share <= found.high)
    assert np.mean(held) >= 0.9


def test_where_no_row_is_unlike_the_interval_reaches_down_to_none():
    lows = [
        find_unlike(rows(400, seed=seed), rows(300, seed=100 + seed), seed=0).share.low for seed in range(20)
    ]
    assert np.mean(np.array(lows) == 0) >= 0.95


def test_unlike_rows_have_the_higher_scores():
    found = find_unlike(rows(1500), rows(1000, 300, seed=1), seed=0)
    assert found.scores[700:].mean() > 0.9
    assert found.scores[:700].mean() < 0.2


def test_where_nothing_tells_them_apart_the_lower_bound_stays_below_the_truth():
    found = find_unlike(rows(1500), rows(1000, 500, seed=1, far=0.1), seed=0)
    assert found.at_least <= 0.5


def test_the_lower_bound_holds_where_no_row_is_unlike():
    bounds = [
        find_unlike(rows(400, seed=seed), rows(300, seed=100 + seed), seed=0).at_least for seed in range(10)
    ]
    assert max(bounds) == 0.0


def test_the_same_seed_finds_the_same():
    first, second = (find_unlike(rows(300), rows(200, 50, seed=1), seed=3) for _ in range(2))
    assert first.share == second.share
    assert np.array_equal(first.scores, second.scores)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="50 known and 200 new rows: need at least 100 of each"):
        find_unlike(rows(50), rows(200), seed=0)


def test_a_column_that_never_varied_does_not_outweigh_all_else():
    known, new = rows(500), rows(400, seed=1)
    known[:, 3], new[:, 3] = 0.0, 0.0
    new[0, 3] = 5.0
    assert find_unlike(known, new, seed=0).share.value <= 0.05


def test_the_bound_of_the_best_bin_holds_in_nearly_all_draws():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        known = rng.normal(size=400)
        new = np.r_[rng.normal(size=210), rng.normal(2, 1, size=90)]
        held.append(best_bin(known, new)[1] >= 0.7)
    assert np.mean(held) >= 0.95
