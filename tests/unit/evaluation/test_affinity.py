"""How near unlike rows lie to the labels of training."""

import numpy as np
import pytest

from submillion.evaluation.affinity import AnsweredRows, affinity_to_labels

RNG = np.random.default_rng(0)
CENTRES = 4 * np.eye(5)
LABELS = np.arange(900) % 3


def rows(places: np.ndarray, predictions: np.ndarray) -> AnsweredRows:
    return AnsweredRows(CENTRES[places] + RNG.normal(size=(len(places), 5)), predictions)


KNOWN = rows(LABELS, LABELS)


def mixture(share: float, place: int, likely: tuple[float, float] = (0.2, 0.9)) -> float:
    """Return the affinity where a share of 1,000 rows lies about one centre, by scores that tell them apart as said."""
    n_unlike = round(1000 * share)
    familiar = np.arange(1000 - n_unlike) % 3
    places = np.r_[familiar, np.full(n_unlike, place)]
    new = rows(places, np.r_[familiar, np.full(n_unlike, place % 3)])
    # Calibrated scores: of the rows with a score of s a share of s is unlike.
    low, high = likely
    n_high = min(n_unlike, round((n_unlike - low * 1000) / (high - low) * high)) if share > low else 0
    is_high = np.r_[
        np.arange(len(familiar)) < round(n_high * (1 - high) / high), np.arange(n_unlike) < n_high
    ]
    return affinity_to_labels(KNOWN, LABELS, new, np.where(is_high, high, low))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_missing_class_is_as_far_whatever_its_share(share):
    assert mixture(share, place=4) == pytest.approx(mixture(0.9, place=4), abs=0.15)
    assert mixture(share, place=4) < 0


def test_known_rows_are_near():
    for scores in (np.ones(900), RNG.uniform(0.01, 1, size=900)):
        assert affinity_to_labels(KNOWN, LABELS, KNOWN, scores) == pytest.approx(1, abs=0.1)
