"""Plots of a run and of an evaluation, as files; no display and no global state of matplotlib's is touched."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from submillion.run import written_atomically

MAX_LABELS_WITH_COUNTS = 20
"""Up to so many labels the cells hold their counts; above, only the colour can be read."""

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
"""From Okabe and Ito's palette, told apart under every common colour blindness."""


def plot_confusion(matrix: Sequence[Sequence[int]], label_names: Sequence[str], path: Path) -> None:
    """Write a confusion matrix as PNG: rows true, coloured by share of the row, with counts where they fit.

    Args:
        matrix: Counts `[n_labels, n_labels]`.
        label_names: The labels' names.
        path: Where to.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    counts = np.asarray(matrix, dtype=np.int64)
    true = counts.sum(axis=1)
    shares = counts / np.maximum(true, 1)[:, None]
    n_labels = len(counts)
    has_counts = n_labels <= MAX_LABELS_WITH_COUNTS
    cell = max(0.28, 0.75 - 0.02 * n_labels) if has_counts else 0.2
    side = cell * n_labels
    font = 9 if n_labels <= 8 else 7 if has_counts else 6
    names = [_shortened(str(name)) for name in label_names]
    figure = Figure(figsize=(max(side + 3.4, 4.8), max(side + 2.4, 4.0)), dpi=150, layout="constrained")
    axes = figure.subplots()
    # One hue from light to dark, on a square-root scale: one row of a hundred still shows.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    axes.set_xticks(np.arange(n_labels + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n_labels + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    axes.set_xticks(range(n_labels), names, rotation=90 if n_labels > 8 else 45, fontsize=font)
    if n_labels <= 8:
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(n_labels), [f"{name} ({rows:,})" for name, rows in zip(names, true, strict=True)], fontsize=font
    )
    axes.set_xlabel("predicted label")
    axes.set_ylabel("true label (rows)")
    right = np.trace(counts) / max(counts.sum(), 1)
    axes.set_title(f"Confusion matrix: {counts.sum():,} rows, {100 * right:.1f} % right", fontsize=11)
    if has_counts:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.35 else "black"
            axes.text(
                column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=font
            )
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
    bar.set_label("share of the true label's rows")
    _save(figure, path)


def plot_learning_curves(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the learning curves of a run as PNG: losses above, figures on validation below.

    Args:
        history: Lines of ``history.jsonl``: ``step``, ``epoch``, and ``loss`` where a step was logged,
            ``eval_loss``, ``eval_accuracy``, ``eval_macro_f1`` where the model was evaluated.
        path: Where to.
    """
    from matplotlib.figure import Figure

    has_figures = any("eval_accuracy" in line or "eval_macro_f1" in line for line in history)
    figure = Figure(figsize=(7, 6 if has_figures else 3.6), dpi=150, layout="constrained")
    panels = figure.subplots(2 if has_figures else 1, 1, sharex=True, squeeze=False)[:, 0]
    _curve(panels[0], history, "loss", "train", BLUE, "-", 1)
    _curve(panels[0], history, "eval_loss", "validation", ORANGE, "o--", 1)
    panels[0].set_title("Learning curves")
    panels[0].set_ylabel("loss (nats a row)")
    panels[0].set_ylim(bottom=0)
    if has_figures:
        _curve(panels[1], history, "eval_accuracy", "accuracy", GREEN, "o-", 100)
        _curve(panels[1], history, "eval_macro_f1", "macro F1", ORANGE, "s--", 100)
        panels[1].set_ylabel("on validation (%)")
    panels[-1].set_xlabel("epoch")
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(frameon=False)
        else:
            panel.text(0.5, 0.5, "nothing was logged", ha="center", transform=panel.transAxes)
    _save(figure, path)


def _curve(
    panel: Any,
    history: Sequence[Mapping[str, Any]],
    key: str,
    name: str,
    colour: str,
    style: str,
    scale: float,
) -> None:
    """Draw one key of the history over epochs, if it was ever logged."""
    lines = [line for line in history if line.get(key) is not None and line.get("epoch") is not None]
    if lines:
        epochs, values = [line["epoch"] for line in lines], [scale * line[key] for line in lines]
        style = "o" if len(lines) == 1 else style
        panel.plot(epochs, values, style, color=colour, label=name, markersize=5, linewidth=1.6)


def _shortened(name: str, limit: int = 24) -> str:
    r"""Return a name that fits an axis, on one line and never read as a formula.

    >>> _shortened("talk.politics.middle-east.and.more")
    'talk.politics.middle-ea…'
    >>> print(_shortened("$5 to $10"))
    \$5 to \$10
    """
    line = " ".join(name.split())
    return (line if len(line) <= limit else line[: limit - 1] + "…").replace("$", r"\$")


def _save(figure: Any, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with written_atomically(Path(path)) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box is drawn in its place
        figure.savefig(temporary, format="png")
