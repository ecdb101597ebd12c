"""The rule by which an adapter's scale is chosen."""

import pytest

from submillion.training.rescale import smallest_scale


@pytest.mark.parametrize(
    ("n_rows", "right", "chosen"),
    [
        (100, (80, 90, 90, 90), 0.7),  # of equals the smallest
        (100, (89, 89, 89, 90), 1.0),  # below 150 rows nothing is given away
        (300, (88, 89, 89, 90), 0.7),  # one row in 300
        (600, (88, 87, 89, 90), 0.5),
        (600, (50, 95, 89, 90), 0.7),  # a smaller one may be the best
    ],
)
def test_the_smallest_that_costs_at_most_a_row_in_300(n_rows, right, chosen):
    assert smallest_scale(dict(zip((0.5, 0.7, 0.85, 1.0), right, strict=True)), n_rows) == chosen
