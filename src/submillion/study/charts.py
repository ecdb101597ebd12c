"""The charts of a study's report, as inline SVG."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.page.charts import FAINT, FONT, INK, MUTED, empty_axes, svg_of


@dataclass(frozen=True)
class Curve:
    """Validation accuracy over the epochs of one training."""

    number: int
    epochs: Sequence[float]
    accuracies: Sequence[float]


@dataclass(frozen=True)
class Point:
    """What one candidate came to in one stage, against what it cost."""

    number: int
    cost: float
    accuracy: float


def plot_intervals(ranking: Sequence[Mapping[str, Any]], colours: Mapping[int, str]) -> str:
    """Draw a dot with its interval for each candidate, the first of the ranking on top.

    Args:
        ranking: Lines of the recommendation.
        colours: Number -> colour, of those that stand out.
    """
    axes = _rows([str(line["number"]) for line in ranking])
    for row, line in enumerate(ranking):
        figure, colour = line["accuracy"], colours.get(line["number"], INK)
        axes.plot([100 * figure["low"], 100 * figure["high"]], [row, row], color=colour, linewidth=1.4)
        axes.plot([100 * figure["value"]], [row], "o", color=colour, markersize=5.5)
    axes.set_xlabel("accuracy on rows held back (%)")
    return svg_of(axes, "intervals")


def plot_differences(ranking: Sequence[Mapping[str, Any]], margin: float, colours: Mapping[int, str]) -> str:
    """Draw each candidate's difference to the best down to its lower end, beside the margin.

    Args:
        ranking: Lines of the recommendation.
        margin: A share; whatever ends right of it is not worse than the best.
        colours: Number -> colour, of those that stand out.
    """
    axes = _rows([str(line["number"]) for line in ranking])
    axes.axvline(-100 * margin, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for row, line in enumerate(ranking):
        colour = colours.get(line["number"], INK)
        axes.plot([100 * line["low"], 100 * line["difference"]], [row, row], color=colour, linewidth=1.4)
        axes.plot([100 * line["low"]], [row], "|", color=colour, markersize=7, markeredgewidth=1.4)
        axes.plot([100 * line["difference"]], [row], "o", color=colour, markersize=5.5)
    axes.set_xlabel("difference to the best (points)")
    return svg_of(axes, "differences")


def plot_curves(curves: Sequence[Curve], colours: Mapping[int, str], name: str) -> str:
    """Draw the learning curves of one stage, those without a colour of their own faint.

    Args:
        curves: At least one, each with at least one epoch.
        colours: Number -> colour, of those that stand out; these are numbered at their ends.
        name: Of the chart, another for each of the page.
    """
    axes = empty_axes(3.0)
    low, high = _range(accuracy for curve in curves for accuracy in curve.accuracies)
    ends: dict[int, tuple[float, float]] = {}
    for curve in sorted(curves, key=lambda curve: curve.number in colours):
        colour = colours.get(curve.number, FAINT)
        shown = [max(100 * accuracy, low) for accuracy in curve.accuracies]
        style = "o-" if len(shown) == 1 or curve.number in colours else "-"
        width = 1.7 if curve.number in colours else 1
        axes.plot(curve.epochs, shown, style, color=colour, linewidth=width, markersize=3.5)
        below = [place for place, accuracy in enumerate(curve.accuracies) if 100 * accuracy < low]
        axes.plot(
            [curve.epochs[place] for place in below], [low] * len(below), "v", color=colour, markersize=5
        )
        ends.setdefault(curve.number, (curve.epochs[-1], shown[-1]))
    _set_range(axes, low, high)
    axes.margins(x=0.04)
    first, last = (end(epoch for curve in curves for epoch in curve.epochs) for end in (min, max))
    if first == last:
        axes.set_xlim(first - 1, last + 1)
    _number_ends(axes, {number: ends[number] for number in colours if number in ends}, colours, last)
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy (%)")
    return svg_of(axes, name)


def plot_points(
    last: Sequence[Point], earlier: Sequence[Point], labels: Mapping[int, str], colours: Mapping[int, str],
    axis: str, name: str,
) -> str:  # fmt: skip
    """Draw accuracy against a cost: the last stage in ink, earlier ones faint.

    Args:
        last: Of the last stage.
        earlier: Of the stages before.
        labels: Number -> what its point is called.
        colours: Number -> colour, of the labelled ones.
        axis: What the cost is.
        name: Of the chart, another for each of the page.
    """
    axes = empty_axes(3.0)
    low, high = _range(point.accuracy for point in (*last, *earlier))
    for points, face, edge in ((earlier, "none", FAINT), (last, INK, INK)):
        for point in points:
            is_labelled = points is last and point.number in labels
            colour = colours[point.number] if is_labelled else edge
            is_below = 100 * point.accuracy < low
            axes.plot(
                [point.cost], [max(100 * point.accuracy, low)], "v" if is_below else "o", markersize=8 if is_labelled else 5.5,
                markerfacecolor=colour if is_labelled else face, markeredgecolor=colour,
                zorder=3 if is_labelled else 2,
            )  # fmt: skip
    costs = [point.cost for point in (*last, *earlier)]
    if min(costs) > 0 and max(costs) > 10 * min(costs):
        axes.set_xscale("log")
    axes.margins(x=0.12)
    _set_range(axes, low, high, room=0.16)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.xaxis.set_minor_formatter("")
    shown = {point.number: point for point in last if point.number in labels}
    heights = sorted(shown, key=lambda number: shown[number].accuracy)
    for number, point in shown.items():
        place = axes.transLimits.transform(axes.transScale.transform((point.cost, 0)))[0]
        is_above = number == heights[-1]
        axes.annotate(
            labels[number], (point.cost, max(100 * point.accuracy, low)), (0, 8 if is_above else -8),
            textcoords="offset points", color=colours[number], fontsize=FONT, va="bottom" if is_above else "top", zorder=4,
            ha="right" if place > 0.67 else "left" if place < 0.33 else "center",
        )  # fmt: skip
    axes.set_xlabel(axis)
    axes.set_ylabel("accuracy on rows held back (%)")
    return svg_of(axes, name)


def _rows(names: Sequence[str]) -> Any:
    """Return axes with a row a name, the first on top."""
    axes = empty_axes(0.75 + 0.24 * len(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylabel("candidate")
    axes.grid(axis="y", visible=False)
    return axes


def _range(accuracies: Iterable[float]) -> tuple[float, float]:
    """Return the percentages to show; a few that fell far behind do not press the others together.

    >>> low, high = _range([0.25, 0.9, 0.91, 0.92])
    >>> round(low, 1), round(high, 1)
    (82.0, 92.0)
    """
    values = 100 * np.array(list(accuracies))
    high, middle = float(values.max()), float(np.median(values))
    return max(float(values.min()), middle - 3 * (high - middle) - 4), high


def _set_range(axes: Any, low: float, high: float, room: float = 0.06) -> None:
    pad = max(room * (high - low), (1 - high + low) / 2)
    axes.set_ylim(low - pad, high + pad)


def _whole_numbers() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=8, integer=True)


def _number_ends(
    axes: Any, ends: Mapping[int, tuple[float, float]], colours: Mapping[int, str], last: float
) -> None:
    """Write each line's number beside its end, none over another."""
    low, high = axes.get_ylim()
    heights = _spread([ends[number][1] for number in ends], 0.065 * (high - low), high)
    for number, height in zip(ends, heights, strict=True):
        axes.annotate(
            str(number), (last, height), (9, 0), textcoords="offset points", color=colours[number],
            fontsize=FONT, va="center",
        )  # fmt: skip


def _spread(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """Return the heights, moved apart until each is ``gap`` from the next and none above ``top``.

    >>> _spread([1.0, 1.0, 5.0], gap=1.0, top=5.0)
    [1.0, 0.0, 5.0]
    """
    moved = list(heights)
    free = top
    for place in sorted(range(len(moved)), key=lambda place: -heights[place]):
        moved[place] = min(moved[place], free)
        free = moved[place] - gap
    return moved
