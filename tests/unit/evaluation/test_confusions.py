"""The most frequent confusions: their order, their counts, and the rows shown."""

import numpy as np
from sklearn.metrics import confusion_matrix

from submillion.evaluation.confusions import top_confusions


def test_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2, 2])
    probabilities = np.array(
        [
            [0.2, 0.7, 0.1],  # 0 -> 1
            [0.1, 0.9, 0.0],  # 0 -> 1, surer
            [0.3, 0.4, 0.3],  # 0 -> 1, less sure
            [0.2, 0.8, 0.0],  # 0 -> 1
            [0.1, 0.8, 0.1],  # right
            [0.6, 0.3, 0.1],  # 2 -> 0
            [0.0, 0.0, 1.0],  # right
        ]
    )
    first, second = top_confusions(labels, probabilities)
    assert (first.true, first.predicted, first.n, first.rows) == (0, 1, 4, (1, 3, 0))
    assert (second.true, second.predicted, second.n, second.rows) == (2, 0, 1, (5,))
    assert first.to_json(["no", "yes", "so"]) == {
        "true": "no",
        "predicted": "yes",
        "n": 4,
        "rows": [1, 3, 0],
    }
    assert top_confusions(labels, probabilities, n_pairs=1, n_rows=1)[0].rows == (1,)
    assert len(top_confusions(labels, probabilities, n_pairs=1)) == 1


def test_counts_are_scikit_learn_s_and_the_most_frequent_come_first() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 5, 400), rng.dirichlet(np.ones(5), 400)
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1))
    np.fill_diagonal(matrix, 0)
    found = top_confusions(labels, probabilities)
    assert len(found) == 10
    assert [pair.n for pair in found] == sorted(matrix.ravel(), reverse=True)[:10]
    assert all(pair.n == matrix[pair.true, pair.predicted] for pair in found)
    for pair in found:
        sure = probabilities[list(pair.rows)].max(axis=1)
        assert (np.diff(sure) <= 0).all()
        assert set(labels[list(pair.rows)]) == {pair.true}


def test_nothing_wrong() -> None:
    assert top_confusions(np.array([0, 1]), np.eye(2)) == ()
