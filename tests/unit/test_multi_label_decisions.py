"""Thresholds, F1 and their intervals where a row may have several labels."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from submillion.multi_label import decide, fit_threshold, macro_f1_of_sets, micro_f1
from submillion.statistics import f1_interval, f1_of_sets_interval


def drawn(n: int, seed: int, n_labels: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and labels that follow them: calibrated sigmoids, frequent labels and rare ones."""
    draw = np.random.default_rng(seed)
    scores = draw.normal(np.linspace(0.5, -3.5, n_labels), 2.5, (n, n_labels))
    return scores, (draw.random((n, n_labels)) < 1 / (1 + np.exp(-scores))).astype(int)


def test_figures_are_scikit_learns():
    scores, labels = drawn(200, 0)
    given = decide(scores, 0.4)
    assert micro_f1(labels, given) == pytest.approx(f1_score(labels, given, average="micro"))
    assert macro_f1_of_sets(labels, given) == pytest.approx(f1_score(labels, given, average="macro"))


def test_no_threshold_is_better_than_the_fitted_one():
    scores, labels = drawn(60, 1)
    best = micro_f1(labels, decide(scores, fit_threshold(scores, labels)))
    tried = np.unique(1 / (1 + np.exp(-scores)))
    assert best == pytest.approx(max(micro_f1(labels, decide(scores, t)) for t in tried))
    assert fit_threshold(scores, np.zeros_like(labels)) == 0.5
    perfect = np.where(labels == 1, 3.0, -3.0)
    assert fit_threshold(perfect, labels) == pytest.approx(0.5)


def decided(n: int, error: float, seed: int = 99, n_labels: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return labels on 5 to 50 % of the rows and decisions, wrong about so often, those of a row together."""
    draw, share = np.random.default_rng(seed), np.linspace(0.5, 0.05, n_labels)
    labels = draw.random((n, n_labels)) < share
    hard = draw.random((n, 1)) * 2 * error
    missed, invented = draw.random((n, n_labels)) < hard, draw.random((n, n_labels)) < hard * share
    return labels.astype(int), np.where(labels, ~missed, invented).astype(int)


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("error", [0.01, 0.05, 0.2])
def test_intervals_cover_the_truth(average, error):
    n = 200
    labels, given = decided(100_000, error)
    truth = (micro_f1 if average == "micro" else macro_f1_of_sets)(labels, given)
    covered = 0
    for trial in range(150):
        rows = slice(trial * n, trial * n + n)
        interval = f1_of_sets_interval(labels[rows], given[rows], average, trial, 200)
        covered += interval.low <= truth <= interval.high
    assert 0.91 <= covered / 150 <= 0.99


def test_one_labels_interval_covers_and_a_perfect_figure_is_not_certain():
    draw, covered = np.random.default_rng(0), 0
    for _ in range(400):  # q = 0.6: F1 = 0.75
        right = int(draw.binomial(25, 0.6))
        interval = f1_interval(right, 25 - right, 0)
        covered += interval.low <= 0.75 <= interval.high
    assert 0.92 <= covered / 400 <= 0.98
    assert f1_interval(5, 0, 0).low < 0.8
    assert f1_interval(0, 0, 0) is None
    labels = np.eye(3, dtype=int)[np.arange(30) % 3]
    assert f1_of_sets_interval(labels, labels, "micro", 0).low < 0.98
