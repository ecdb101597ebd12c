"""Plots are whole PNG files, for any number of labels and any history."""

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from submillion.evaluation.plots import plot_confusion, plot_learning_curves


def is_drawn(path: Path) -> bool:
    """Say whether a PNG is readable, has more than one colour, and nothing runs into its edge."""
    pixels = imread(path)[..., :3]
    edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    return bool(pixels.std() > 0) and all(bool((edge == 1).all()) for edge in edges)


@pytest.mark.parametrize("n_labels", [1, 2, 4, 20, 52])
def test_confusion(tmp_path: Path, n_labels: int) -> None:
    matrix = np.random.default_rng(0).integers(0, 50, (n_labels, n_labels))
    matrix[-1] = 0  # a label without rows
    path = tmp_path / "deeper" / "confusion.png"
    plot_confusion(
        matrix.tolist(), [f"a rather long name of label {index}" for index in range(n_labels)], path
    )
    assert is_drawn(path)
    assert [each.name for each in path.parent.iterdir()] == ["confusion.png"]


def test_names_in_any_script_and_with_signs_of_formulas(tmp_path: Path) -> None:
    plot_confusion([[3, 1], [0, 2]], ["$x^{", "体育\n新闻"], tmp_path / "confusion.png")
    assert is_drawn(tmp_path / "confusion.png")


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{"step": 1, "epoch": 0.1, "loss": 1.0}],
        [{"step": 1, "epoch": 1.0, "loss": 1.0}, {"step": 1, "epoch": 1.0, "eval_loss": 0.9}],
        [
            {"step": 1, "epoch": 1.0, "loss": 1.0, "grad_norm": 3.0},
            {"step": 1, "epoch": 1.0, "eval_loss": 0.9, "eval_accuracy": 0.8, "eval_macro_f1": 0.7},
            {"step": 2, "epoch": 2.0, "eval_loss": 0.8, "eval_accuracy": 0.9, "eval_macro_f1": 0.8},
        ],
    ],
)
def test_learning_curves(tmp_path: Path, history: list[dict[str, float]]) -> None:
    plot_learning_curves(history, tmp_path / "curves.png")
    assert is_drawn(tmp_path / "curves.png")


def test_plots_touch_no_global_state(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    plot_learning_curves([], tmp_path / "curves.png")
    assert ("matplotlib.pyplot" in sys.modules) == before
