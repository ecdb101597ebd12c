"""Slices: what is cut how, what is left out, and that chance alone flags no more than it may."""

import json

import numpy as np
import pytest

from submillion.evaluation.slices import name_values, slice_rows
from submillion.statistics import fisher_exact, holm


def drawn_columns(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    return {"source": rng.choice(["web", "mail", "fax"], n, p=[0.6, 0.3, 0.1]), "price": rng.normal(size=n)}


class TestNames:
    def test_few_numbers_are_values(self) -> None:
        assert name_values(np.array([3, 1, 3])).tolist() == ["3", "1", "3"]
        assert name_values(np.array([0.5, np.nan])).tolist() == ["0.5", "(missing)"]
        assert name_values(np.array([True, False])).tolist() == ["True", "False"]

    def test_many_numbers_are_quartiles(self) -> None:
        names = name_values(np.array([*range(100), np.nan]))
        values, counts = np.unique(names, return_counts=True)
        assert dict(zip(values, counts, strict=True)) == {
            "(missing)": 1,
            "0 to 24": 25,
            "25 to 49": 25,
            "50 to 74": 25,
            "75 to 99": 25,
        }

    def test_tied_quartiles_merge(self) -> None:
        names = name_values(np.array([0] * 70 + list(range(1, 31))))
        assert sorted(set(names.tolist())) == ["0 to 0", "1 to 5", "6 to 30"]

    def test_numbers_without_end(self) -> None:
        assert name_values(np.array([-np.inf, *range(20), np.inf]))[-1] == "16 to inf"

    def test_text_beside_numbers_is_text(self) -> None:
        assert name_values(np.array(["a", 1, None], dtype=object)).tolist() == ["a", "1", "(missing)"]
        assert name_values(np.array([None, None], dtype=object)).tolist() == ["(missing)"] * 2


class TestSlices:
    def test_by_hand(self) -> None:
        right = np.repeat([True, False, True], [30, 10, 60])
        source = np.repeat(["web", "mail", "fax"], [40, 35, 25])
        found = slice_rows(right, None, {"source": source}).found
        assert [(each.value, each.n, each.accuracy.value) for each in found] == [
            ("web", 40, 0.75),
            ("mail", 35, 1.0),
            ("fax", 25, 1.0),
        ]
        assert [each.accuracy_of_rest for each in found] == pytest.approx([1.0, 55 / 65, 65 / 75])
        alone = [
            fisher_exact((30, 60), (40, 60)),
            fisher_exact((35, 55), (35, 65)),
            fisher_exact((25, 65), (25, 75)),
        ]
        assert [each.p_value for each in found] == pytest.approx(holm(alone).tolist())
        assert [each.differs for each in found] == [True, True, False]
        assert "all 3 such figures at once" in found[0].accuracy.covers

    def test_what_is_left_out_is_counted(self) -> None:
        rng = np.random.default_rng(0)
        ids = np.array([f"row {index}" for index in range(300)])
        small = np.repeat(["many", "few"], [290, 10])
        columns = {"id": ids, "small": small, "one": np.full(300, "x")}
        found = slice_rows(rng.random(300) < 0.9, np.arange(300), columns)
        assert {(each.column, each.value) for each in found.found if each.column == "small"} == {
            ("small", "many")
        }
        assert [each.n for each in found.found if each.column == "number of words"] == [75] * 4
        assert (found.n_beyond, found.n_too_small, found.without_rest) == (280, 21, ("one",))
        value = json.loads(json.dumps(found.to_json()))
        assert set(value) == {"found", "n_looked_at", "n_too_small", "n_beyond", "without_rest", "note"}
        assert value["n_looked_at"] == 5
        assert "adjusted by Holm for all 5 slices" in value["note"]

    def test_no_slices(self) -> None:
        assert slice_rows(np.array([True, False]), None, {"a": np.array(["x", "y"])}).found == ()

    def test_refusal(self) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
            slice_rows(np.array([True, False]), None, {"source": np.array(["a"])})
        assert str(caught.value) == "column 'source' has shape (1,): need (2,), one value a row"


class TestSimulated:
    def test_with_no_effect_few_sets_of_rows_have_a_slice_flagged_or_an_interval_that_misses(self) -> None:
        n_sets, flagged, missed = 200, 0, 0
        for seed in range(n_sets):
            rng = np.random.default_rng(seed)
            right = rng.random(300) < 0.85
            found = slice_rows(right, rng.poisson(30, 300), drawn_columns(rng, 300)).found
            flagged += any(each.differs for each in found)
            missed += any(not each.accuracy.low <= 0.85 <= each.accuracy.high for each in found)
        assert flagged <= 0.05 * n_sets
        assert missed <= 0.05 * n_sets

    def test_a_slice_that_is_15_points_worse_is_flagged_and_comes_first(self) -> None:
        for seed in range(20):
            rng = np.random.default_rng(seed)
            columns = drawn_columns(rng, 2_000)
            columns["source"][:200] = "chat"
            right = rng.random(2_000) < np.where(columns["source"] == "chat", 0.75, 0.9)
            worst = slice_rows(right, rng.poisson(30, 2_000), columns).found[0]
            assert (worst.value, worst.n, worst.differs) == ("chat", 200, True)
