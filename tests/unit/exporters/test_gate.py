"""What the gate counts, of rows with one label and of rows with several."""

import numpy as np
import pytest

from submillion.exporters.gate import EXACT, compare
from submillion.exporters.rows import GateRows

LOGITS = np.array([[2.0, -2.0, -0.5], [-3.0, -0.5, 4.0], [-3.0, -2.0, -1.5]])
NUDGED = LOGITS + np.array([[0, 0, -1.0], [0, 0, 0], [2.9, 0, 0]])


def test_of_several_labels_a_row_changes_where_any_label_does():
    labels = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    rows = GateRows(["a", "b", "c"], labels, "three rows")
    found = compare(LOGITS, NUDGED, rows, EXACT, threshold=0.3)
    assert (
        found.changed_labels == 2
    )  # the third of the first row falls below 0.3, the first of the last row rises above
    assert (found.measure, found.accuracy_of_run, found.accuracy_of_export) == (
        "exact match",
        pytest.approx(2 / 3),
        0,
    )
    sigmoids = [1 / (1 + np.exp(-each)) for each in (LOGITS, NUDGED)]
    assert found.largest_probability_difference == pytest.approx(np.abs(sigmoids[0] - sigmoids[1]).max())
    assert "; exact match 66.7 % of the run, 0.0 % of the export" in found.sentence


def test_at_another_threshold_the_same_logits_give_the_same_labels():
    found = compare(LOGITS, NUDGED, GateRows(["a", "b", "c"], None, "three rows"), EXACT, threshold=0.8)
    assert (found.changed_labels, found.accuracy_of_run) == (0, None)


def test_of_one_label_the_largest_counts():
    rows = GateRows(["a", "b", "c"], np.array([0, 2, 2]), "three rows")
    found = compare(LOGITS, NUDGED, rows, EXACT, temperature=2.0)
    assert found.changed_labels == 1
    assert (found.measure, found.accuracy_of_run, found.accuracy_of_export) == (
        "accuracy",
        1,
        pytest.approx(2 / 3),
    )
