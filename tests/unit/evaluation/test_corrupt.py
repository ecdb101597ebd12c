"""Accuracy as texts get worse, with a classifier whose answers are known."""

import numpy as np
import pytest

from submillion.data.pairs import TextPair
from submillion.evaluation.corrupt import CORRUPTIONS, ROWS_A_CELL, corrupted, evaluate_corrupted

TEXTS = ["the rocket left the orbit" if row % 2 else "the coach left the team" for row in range(60)]
LABELS = np.arange(60) % 2


def predict(texts):
    """Label by one word, with its case and without."""
    return {
        "adapter": np.array(["rocket" in text.casefold() for text in texts]).astype(int),
        "tfidf_svm": np.array(["rocket" in text for text in texts]).astype(int),
    }


@pytest.fixture(scope="module")
def report():
    return evaluate_corrupted(TEXTS, LABELS, predict, seed=3)


def test_every_kind_has_five_severities_on_the_same_rows(report):
    assert [kind["name"] for kind in report["kinds"]] == list(CORRUPTIONS)
    assert all([cell["severity"] for cell in kind["cells"]] == [1, 2, 3, 4, 5] for kind in report["kinds"])
    assert report["n"] == 60
    assert report["n_scored"] == 60 * 41
    assert report["clean"]["adapter"]["value"] == report["clean"]["tfidf_svm"]["value"] == 1.0


def test_accuracy_falls_where_the_classifier_is_hit_and_there_alone(report):
    cells = {kind["name"]: kind["cells"] for kind in report["kinds"]}
    assert all(cell["accuracy"]["adapter"]["value"] == 1.0 for cell in cells["case"])
    assert all(cell["lost"]["adapter"]["value"] == 0.0 for cell in cells["case"])
    assert cells["case"][4]["lost"]["tfidf_svm"]["value"] > 0.2
    worst = cells["typos"][4]
    lost = worst["lost"]["adapter"]
    assert lost["value"] == pytest.approx(1 - worst["accuracy"]["adapter"]["value"])
    assert 0 < lost["low"] <= lost["value"] <= lost["high"]
    assert lost["value"] > cells["typos"][0]["lost"]["adapter"]["value"]


def test_the_seed_decides(report):
    assert evaluate_corrupted(TEXTS, LABELS, predict, seed=3) == report
    assert evaluate_corrupted(TEXTS, LABELS, predict, seed=4) != report


def test_of_many_rows_so_many_are_drawn_and_the_cost_is_said_first():
    said, seen = [], []

    def slow(texts):
        seen.append((len(texts), len(said)))
        return predict(texts)

    report = evaluate_corrupted(TEXTS * 20, np.tile(LABELS, 20), slow, seed=0, say=said.append)
    assert report["n"] == ROWS_A_CELL
    assert said[0].startswith(
        "corrupt: 40 cells of 1,000 rows and those as they are, 41,000 texts to score: about "
    )
    assert [n for n, told in seen if told == 0] == [64]
    assert seen.count((1000, 1)) == 41


def test_both_texts_of_a_pair_get_worse():
    (pair,) = corrupted([TextPair("one two", "three")], CORRUPTIONS["dropped characters"], 5, seed=0)
    assert isinstance(pair, TextPair)
    assert (
        corrupted([TextPair("one two", "three")], CORRUPTIONS["case"], 5, seed=0)[0].casefold()
        == "one two | three"
    )
