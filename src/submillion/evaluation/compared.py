"""What the adapter is held against on labelled rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from submillion.alternatives import TOGETHER, what_answers
from submillion.together import pool_weights_of, pooled


def compared_with(
    record: Mapping[str, Any],
    logits: np.ndarray,
    baseline_predictions: Mapping[str, np.ndarray],
    baseline_scores: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return name -> labels `[n]`: each baseline's, and those of the two together where by these the run answers.

    Args:
        record: The run's `run.json`.
        logits: The adapter's, `[n, n_labels]`.
        baseline_predictions: Baseline -> its labels, `[n]`.
        baseline_scores: Baseline -> its scores, `[n, n_labels]`.
    """
    weights = pool_weights_of(record)
    if what_answers(record)[0] != TOGETHER or weights is None:
        return dict(baseline_predictions)
    both = pooled({"adapter": logits, **baseline_scores}, weights)
    return {**baseline_predictions, TOGETHER: both.argmax(axis=1)}
