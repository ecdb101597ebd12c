"""How accuracy falls as texts get worse: kinds of noise, each in five severities, the adapter and TF-IDF on the same rows.

After Hendrycks and Dietterich (2019, arXiv:1903.12261), who measure image classifiers so. The kinds are made up, so that a
fall here says what a model stands, not how often such texts come.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.data import noise
from submillion.data.opened import plural
from submillion.data.pairs import TextPair
from submillion.statistics import paired_difference, wilson_interval

Array = np.ndarray[Any, np.dtype[Any]]
Noise = Callable[[Sequence[str], float, int], list[str]]
Predict = Callable[[Sequence[str]], Mapping[str, Array]]
"""Takes texts; returns name -> predicted labels `[n]`, of each classifier that is measured."""

ROWS_A_CELL = 1_000
"""Most rows that each kind and severity is measured on, the same ones every time."""

TIMED_ROWS = 8
"""Rows of each kind that are scored to foretell how long the rest will take."""


@dataclass(frozen=True)
class Corruption:
    """A kind of noise.

    Attributes:
        noise: Makes texts worse by a share.
        of: What the share is a share of.
        shares: One a severity, 1 to 5, ascending.
    """

    noise: Noise
    of: str
    shares: tuple[float, float, float, float, float]


CORRUPTIONS: dict[str, Corruption] = {
    "typos": Corruption(noise.typos, "letters", (0.02, 0.05, 0.1, 0.15, 0.25)),
    "dropped characters": Corruption(noise.dropped, "letters and digits", (0.02, 0.05, 0.1, 0.15, 0.25)),
    "swapped characters": Corruption(noise.swapped, "letters and digits", (0.02, 0.05, 0.1, 0.15, 0.25)),
    "case": Corruption(noise.recased, "words", (0.1, 0.25, 0.5, 0.75, 1.0)),
    "punctuation": Corruption(noise.repunctuated, "marks and spaces", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "HTML debris": Corruption(noise.marked_up, "spaces", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "homoglyphs": Corruption(noise.disguised, "Latin letters with a twin", (0.02, 0.05, 0.1, 0.25, 0.5)),
    "scanned": Corruption(noise.misread, "letters and spaces", (0.02, 0.05, 0.1, 0.15, 0.25)),
}
"""Every kind that is measured, by name."""


def corrupted(texts: Sequence[str], kind: Corruption, severity: int, seed: int) -> list[str]:
    """Return texts made worse; both texts of a pair are.

    Args:
        texts: The texts.
        kind: One of `CORRUPTIONS`.
        severity: 1 to 5 inclusive.
        seed: Seed of the noise; a higher severity changes most of what a lower one changes, and more.

    >>> corrupted(["a b"], CORRUPTIONS["case"], 5, seed=0)
    ['A B']
    >>> corrupted([TextPair("a", "b")], CORRUPTIONS["case"], 5, seed=0)[0].second
    'B'
    """
    share = kind.shares[severity - 1]
    if not any(isinstance(text, TextPair) for text in texts):
        return kind.noise(texts, share, seed)
    firsts = kind.noise([text.first for text in texts if isinstance(text, TextPair)], share, seed)
    seconds = kind.noise([text.second for text in texts if isinstance(text, TextPair)], share, seed)
    return [TextPair(first, second) for first, second in zip(firsts, seconds, strict=True)]


def evaluate_corrupted(
    texts: Sequence[str],
    labels: Array,
    predict: Predict,
    seed: int,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Return accuracy by kind of noise and severity, beside that on the same rows as they are.

    Args:
        texts: The labelled rows' texts, at least one.
        labels: Their labels `[n]`.
        predict: Labels texts by every classifier that is measured.
        seed: Draws the rows, where there are more than `ROWS_A_CELL`, and the noise.
        say: Told what it will cost, before it starts.

    Returns:
        What `report.json` has under ``corrupt``: of each cell ``accuracy`` and what was ``lost`` against the rows as they
        are, by classifier, with intervals.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(texts))[:ROWS_A_CELL])
    chosen, labels = [texts[row] for row in rows], np.asarray(labels)[rows]
    n_cells = sum(len(kind.shares) for kind in CORRUPTIONS.values())
    n_scored = len(chosen) * (n_cells + 1)
    if say is not None:
        seconds = _seconds_a_row(chosen, predict, seed) * n_scored
        say(_cost(len(chosen), n_cells, seconds))
    clean = _right(predict(chosen), labels)
    kinds = []
    for name, kind in CORRUPTIONS.items():
        cells = []
        for severity, share in enumerate(kind.shares, start=1):
            right = _right(predict(corrupted(chosen, kind, severity, seed)), labels)
            cells.append({"severity": severity, "share": share, **_figures(right, clean)})
        kinds.append({"name": name, "of": kind.of, "cells": cells})
    return {
        "n": len(chosen),
        "n_scored": n_scored,
        "seed": seed,
        "clean": {
            name: wilson_interval(int(each.sum()), len(each)).to_json() for name, each in clean.items()
        },
        "kinds": kinds,
        "note": "the same rows in every cell; lost: accuracy as they are less accuracy here. The noise is made up: it shows "
        "what a classifier stands, not what it will meet",
    }


def _right(predictions: Mapping[str, Array], labels: Array) -> dict[str, Array]:
    return {name: np.asarray(each) == labels for name, each in predictions.items()}


def _figures(right: Mapping[str, Array], clean: Mapping[str, Array]) -> dict[str, Any]:
    """Return accuracy, and what was lost, by classifier."""
    return {
        "accuracy": {
            name: wilson_interval(int(each.sum()), len(each)).to_json() for name, each in right.items()
        },
        "lost": {name: paired_difference(clean[name], each).to_json() for name, each in right.items()},
    }


def _seconds_a_row(texts: Sequence[str], predict: Predict, seed: int) -> float:
    """Return what scoring a row takes: a few of each kind are scored, of middle severity."""
    few = texts[:TIMED_ROWS]
    timed = [text for kind in CORRUPTIONS.values() for text in corrupted(few, kind, 3, seed)]
    started = time.perf_counter()
    predict(timed)
    return (time.perf_counter() - started) / len(timed)


def _cost(n_rows: int, n_cells: int, seconds: float) -> str:
    """Return what is about to be done, in words.

    >>> _cost(1000, 40, 250.0)
    'corrupt: 40 cells of 1,000 rows and those as they are, 41,000 texts to score: about 5 minutes'
    """
    took = f"{max(1, round(seconds)):,} seconds" if seconds < 120 else f"{-(-seconds // 60):,.0f} minutes"
    return (
        f"corrupt: {n_cells} cells of {plural(n_rows, 'row')} and those as they are, {n_rows * (n_cells + 1):,} texts to "
        f"score: about {took}"
    )
