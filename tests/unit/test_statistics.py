"""Published values, properties, and the simulated coverage of every interval."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from submillion.confusion import confusion_counts, macro_f1
from submillion.statistics import (
    Interval,
    compare,
    holm,
    macro_f1_interval,
    mcnemar_exact,
    paired_difference,
    rows_needed,
    wilson_interval,
)

N_SETS = 2_000


def right(n_both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two models' right-or-wrong arrays with these counts."""
    counts = [n_both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


class TestPublishedValues:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    @pytest.mark.parametrize(
        ("successes", "n", "low", "high"),
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_wilson(self, successes: int, n: int, low: float, high: float) -> None:
        interval = wilson_interval(successes, n)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-5)

    @pytest.mark.parametrize(
        ("counts", "level", "low", "high"),
        [
            ((43, 0, 1, 0), 0.90, -0.096, 0.037),  # Tango 1998, section 5, contact lenses
            ((1, 1, 7, 12), 0.95, -0.517, -0.026),  # Fagerland et al. 2014, table on airway responsiveness
            ((500, 28, 25, 65), 0.90, -0.0148, 0.0247),  # R, PropCIs::scoreci.mp(25, 28, 618)
        ],
    )
    def test_tango(self, counts: tuple[int, int, int, int], level: float, low: float, high: float) -> None:
        interval = paired_difference(*right(*counts), level=level)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-4)

    def test_tango_closed_form_where_all_rows_are_discordant(self) -> None:
        z2 = 1.959963984540054**2
        interval = paired_difference(*right(0, 50, 0, 0))
        assert (interval.low, interval.high) == (pytest.approx((50 - z2) / (50 + z2), abs=1e-9), 1.0)

    def test_tango_closed_form_where_no_row_is_discordant(self) -> None:
        z2 = 1.959963984540054**2
        interval = paired_difference(*right(100, 0, 0, 0))
        assert interval.high == pytest.approx(z2 / (100 + z2), abs=1e-7)
        assert interval.low == -interval.high

    @pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 6), (12, 3), (40, 60)])
    def test_mcnemar(self, only_a: int, only_b: int) -> None:
        n = only_a + only_b
        expected = binomtest(only_a, n, 0.5).pvalue if n else 1.0
        assert mcnemar_exact(only_a, only_b) == pytest.approx(expected)

    def test_mcnemar_of_six_to_nil(self) -> None:
        assert mcnemar_exact(6, 0) == pytest.approx(2 * 0.5**6)

    def test_holm_as_in_r(self) -> None:  # p.adjust(c(.01, .02, .03, .04, .05), "holm")
        assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
        assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
        assert holm([]).tolist() == []

    def test_rows_needed_gives_the_power_it_promises(self) -> None:
        rate, margin = 0.06, 0.02
        n = rows_needed(rate, margin)
        rng = np.random.default_rng(0)
        drawn = rng.multinomial(n, [(rate + margin) / 2, (rate - margin) / 2, 1 - rate], size=500)
        shown = np.mean([mcnemar_exact(int(a), int(b)) <= 0.05 for a, b, _ in drawn])
        assert 0.74 < shown < 0.86

    def test_rows_needed_never_disagrees_less_than_it_differs(self) -> None:
        assert rows_needed(0.0, 0.005) == rows_needed(0.005, 0.005)


class TestProperties:
    @settings(deadline=None)
    @given(n=st.integers(1, 5_000), share=st.floats(0, 1), level=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
    def test_wilson(self, n: int, share: float, level: float) -> None:
        interval = wilson_interval(round(share * n), n, level)
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
        assert interval.low < interval.high

    @settings(deadline=None)
    @given(counts=st.tuples(*[st.integers(0, 60)] * 4).filter(any), level=st.sampled_from([0.5, 0.95, 0.999]))
    def test_paired_difference(self, counts: tuple[int, int, int, int], level: float) -> None:
        a, b = right(*counts)
        forth, back = paired_difference(a, b, level), paired_difference(b, a, level)
        assert -1 <= forth.low <= forth.value <= forth.high <= 1
        assert (forth.low, forth.value, forth.high) == (-back.high, -back.value, -back.low)
        assert forth.value == pytest.approx(a.mean() - b.mean())

    @settings(max_examples=60, deadline=None)
    @given(data=st.data(), n_labels=st.integers(2, 6), n=st.integers(1, 40))
    def test_macro_f1(self, data: st.DataObject, n_labels: int, n: int) -> None:
        label = st.lists(st.integers(0, n_labels - 1), min_size=n, max_size=n)
        labels, predictions = np.array(data.draw(label)), np.array(data.draw(label))
        interval = macro_f1_interval(labels, predictions, n_labels, seed=0, n_resamples=50)
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
        expected = f1_score(labels, predictions, labels=np.unique(labels), average="macro", zero_division=0)
        assert interval.value == pytest.approx(expected) == macro_f1(labels, predictions, n_labels)

    @settings(deadline=None)
    @given(p_values=st.lists(st.floats(0, 1), max_size=20))
    def test_holm(self, p_values: list[float]) -> None:
        adjusted = holm(p_values)
        assert np.all(adjusted >= np.asarray(p_values))
        assert np.all(adjusted <= 1)
        assert np.all(np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0)

    @settings(deadline=None)
    @given(
        counts=st.tuples(*[st.integers(0, 400)] * 4).filter(any), margin=st.sampled_from([0.005, 0.02, 0.1])
    )
    def test_a_verdict_agrees_with_itself(self, counts: tuple[int, int, int, int], margin: float) -> None:
        a, b = right(*counts)
        verdict, mirrored = compare(a, b, margin), compare(b, a, margin)
        low, high, significant = verdict.difference.low, verdict.difference.high, verdict.p_value <= 0.05
        if verdict.relation in ("better by the margin", "better"):
            assert low > 0
            assert significant
            assert mirrored.relation in ("worse", "cannot be told apart")
        if verdict.relation == "worse":
            assert high < 0
            assert not verdict.is_non_inferior
        if verdict.relation == "equivalent":
            assert mirrored.relation == "equivalent"
            assert verdict.is_non_inferior
        if verdict.relation == "non-inferior":
            assert verdict.is_non_inferior
        if verdict.relation == "cannot be told apart":
            assert not verdict.is_non_inferior
            assert "no reason to prefer either" in verdict.sentence
        assert (verdict.rows_needed is None) == (verdict.relation != "cannot be told apart")


class TestVerdict:
    @pytest.mark.parametrize(
        ("counts", "relation", "sentence"),
        [
            (
                (2000, 120, 40, 29),
                "better by the margin",
                "adapter is better than TF-IDF by more than 0.5 points on 2,189 rows: "
                "+3.7 points (+2.6 to +4.8), p < 0.001.",
            ),
            (
                (1900, 60, 36, 4),
                "better",
                "adapter is better than TF-IDF on 2,000 rows: +1.2 points (+0.2 to +2.2), p = 0.018; "
                "whether by 0.5 points is open.",
            ),
            (
                (1900, 36, 60, 4),
                "worse",
                "adapter is worse than TF-IDF on 2,000 rows: -1.2 points (-2.2 to -0.2), p = 0.018.",
            ),
            (
                (7300, 60, 40, 200),
                "non-inferior",
                "adapter is not worse than TF-IDF by 0.5 points or more on 7,600 rows: "
                "+0.3 points (+0.0 to +0.5); whether it is better is open (the interval, which is approximate, leaves 0 out; "
                "the exact test does not).",
            ),
            (
                (99_000, 300, 200, 500),
                "equivalent",
                "adapter and TF-IDF are equivalent on 100,000 rows: +0.1 points (+0.1 to +0.1), "
                "within the margin of 0.5 points (a difference, p < 0.001, but too small to matter).",
            ),
            (
                (270, 10, 8, 12),
                "cannot be told apart",
                "adapter and TF-IDF cannot be told apart on 300 rows: +0.7 points (-2.3 to +3.7), p = 0.815. "
                "That is no reason to prefer either; about 19,000 rows would show a difference of 0.5 points "
                "in four cases of five.",
            ),
            (
                (235, 0, 5, 0),
                "cannot be told apart",
                "adapter and TF-IDF cannot be told apart on 240 rows: -2.1 points (-4.8 to -0.5), p = 0.062 (the interval, "
                "which is approximate, leaves 0 out; the exact test does not). That is no reason to prefer either; about "
                "6,600 rows would show a difference of 0.5 points in four cases of five.",
            ),
            (
                (1, 0, 0, 0),
                "cannot be told apart",
                "adapter and TF-IDF cannot be told apart on 1 row: +0.0 points (-79.3 to +79.3), p = 1.000. "
                "That is no reason to prefer either; about 1,600 rows would show a difference of 0.5 points "
                "in four cases of five.",
            ),
        ],
    )
    def test_relation_and_sentence(
        self, counts: tuple[int, int, int, int], relation: str, sentence: str
    ) -> None:
        verdict = compare(*right(*counts), names=("adapter", "TF-IDF"))
        assert verdict.relation == relation
        assert verdict.sentence == sentence

    def test_enough_rows_and_still_apart_by_about_the_margin(self) -> None:
        verdict = compare(*right(23_000, 260, 350, 1000))
        assert verdict.relation == "worse"
        verdict = compare(*right(23_000, 300, 340, 1000))
        assert verdict.relation == "equivalent"
        verdict = compare(*right(960, 13, 22, 5), margin=0.02)
        assert verdict.rows_needed is not None
        assert verdict.rows_needed <= verdict.n
        assert "may lie near the margin of 2 points" in verdict.sentence

    def test_four_rows_prove_nothing(self) -> None:
        verdict = compare(*right(0, 4, 0, 0))
        assert verdict.difference.low > 0
        assert verdict.relation == "cannot be told apart"
        assert not verdict.is_non_inferior

    def test_to_json(self) -> None:
        verdict = compare(*right(270, 10, 8, 12)).to_json()
        assert verdict["names"] == ["adapter", "baseline"]
        assert set(verdict["difference"]) == {"value", "low", "high", "level", "covers"}
        assert verdict["only_a_right"] == 10


class TestRefusals:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: wilson_interval(3, 2), "successes=3, n=2: need n >= 1 and 0 <= successes <= n"),
            (lambda: wilson_interval(0, 0), "successes=0, n=0: need n >= 1 and 0 <= successes <= n"),
            (lambda: wilson_interval(1, 2, 1.0), "level=1.0: need a share between 0 and 1, both exclusive"),
            (
                lambda: paired_difference([1, 0], [1, 1]),
                "need arrays of bool (prediction == label), got int64 and int64",
            ),
            (
                lambda: paired_difference([True], [True, False]),
                "a_right (1,) and b_right (2,): need two equal lengths >= 1",
            ),
            (
                lambda: compare([True], [True], 0.0),
                "margin=0.0: need a share between 0 and 1, both exclusive",
            ),
            (lambda: confusion_counts([0, 2], [0, 1], 2), "labels run from 0 to 2, n_labels=2"),
            (
                lambda: confusion_counts([], [], 2),
                "labels (0,) and predictions (0,): need two equal lengths >= 1",
            ),
        ],
    )
    def test_text(self, call: Callable[[], object], message: str) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
            call()
        assert str(caught.value) == message


def test_macro_f1_interval_of_a_perfect_score_is_no_point() -> None:
    labels = np.arange(20) % 4
    interval = macro_f1_interval(labels, labels, 4, seed=0)
    assert interval.high == 1.0
    assert 0.5 < interval.low < 0.95


def test_macro_f1_interval_is_the_seed_s() -> None:
    labels, predictions = np.arange(200) % 3, np.arange(200) % 7 % 3
    first, again, other = (macro_f1_interval(labels, predictions, 3, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def _coverage(intervals: list[Interval], truth: float) -> float:
    return 100 * float(np.mean([i.low <= truth <= i.high for i in intervals]))


class TestCoverage:
    """Nominal 95 %: over 2,000 simulated sets each interval holds the truth in 93.5 to 96.5 % of them."""

    @pytest.mark.parametrize("n", [500, 2_000])
    @pytest.mark.parametrize("accuracy", [0.75, 0.85, 0.95])
    def test_wilson(self, n: int, accuracy: float) -> None:
        drawn = np.random.default_rng(n).binomial(n, accuracy, size=N_SETS)
        known = {int(k): wilson_interval(int(k), n) for k in np.unique(drawn)}
        assert 93.5 <= _coverage([known[int(k)] for k in drawn], accuracy) <= 96.5

    @pytest.mark.parametrize("n", [500, 2_000])
    @pytest.mark.parametrize(
        ("accuracy_a", "accuracy_b", "discordant"),
        [(0.75, 0.75, 0.20), (0.85, 0.80, 0.15), (0.92, 0.90, 0.06), (0.95, 0.95, 0.04)],
    )
    def test_paired_difference(self, n: int, accuracy_a: float, accuracy_b: float, discordant: float) -> None:
        delta = accuracy_a - accuracy_b
        only_a, only_b = (discordant + delta) / 2, (discordant - delta) / 2
        both = accuracy_a - only_a
        cells = [both, only_a, only_b, 1 - both - discordant]
        drawn = np.random.default_rng(n).multinomial(n, cells, size=N_SETS)
        assert 93.5 <= _coverage([paired_difference(*right(*row)) for row in drawn], delta) <= 96.5

    @pytest.mark.parametrize(
        ("sizes", "recall"),
        [
            ([125] * 4, 0.75),
            ([125] * 4, 0.90),
            ([500] * 4, 0.95),
            ([450, 50], 0.90),
            ([271, 174, 30, 22, 20, 19, 9, 3], 0.88),
            ([1083, 696, 121, 87, 81, 75, 36, 10], 0.95),  # R8's test split
        ],
    )
    @pytest.mark.parametrize("fixed_class_sizes", [True, False])
    def test_macro_f1(self, sizes: list[int], recall: float, fixed_class_sizes: bool) -> None:
        n_labels, n = len(sizes), sum(sizes)
        rng = np.random.default_rng(n)
        wrong = rng.dirichlet(np.full(n_labels, 0.5), size=n_labels)
        rates = recall * np.eye(n_labels) + (1 - recall) * wrong
        expected = np.array(sizes)[:, None] * rates
        f1 = 2 * np.diag(expected) / (expected.sum(0) + expected.sum(1))
        covered = 0
        for index in range(N_SETS):
            true = np.array(sizes) if fixed_class_sizes else rng.multinomial(n, np.array(sizes) / n)
            counts = rng.multinomial(true, rates)
            labels, predictions = (np.repeat(axis, counts.ravel()) for axis in _cells(n_labels))
            interval = macro_f1_interval(labels, predictions, n_labels, index, 300, 0.95, fixed_class_sizes)
            covered += interval.low <= f1[true > 0].mean() <= interval.high
        assert 93.5 <= 100 * covered / N_SETS <= 96.5


def _cells(n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices((n_labels, n_labels))
    return rows.ravel(), columns.ravel()
