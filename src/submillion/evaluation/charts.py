"""The charts of an evaluation's report, as inline SVG."""

from collections.abc import Mapping, Sequence

from submillion.page.charts import MUTED, SERIES, empty_axes, svg_of


def plot_reliability(
    before: Sequence[Mapping[str, float]], after: Sequence[Mapping[str, float]] | None
) -> str:
    """Draw accuracy against confidence, each bin with its interval, beside the line on which both are equal.

    Args:
        before: Bins of the probabilities without a temperature, at least one.
        after: Those at the temperature; None without one.
    """
    axes = empty_axes(3.4)
    drawn = [(before, SERIES[1], "s"), (after, SERIES[0], "o")] if after else [(before, SERIES[0], "o")]
    points = [each for bins, _, _ in drawn for each in bins]
    low = 10 * (100 * min(min(each["confidence"], each["low"]) for each in points) // 10)
    axes.plot([low, 100], [low, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for bins, colour, marker in drawn:
        confidence = [100 * each["confidence"] for each in bins]
        for x, each in zip(confidence, bins, strict=True):
            axes.plot([x, x], [100 * each["low"], 100 * each["high"]], color=colour, linewidth=1, alpha=0.55)
        axes.plot(confidence, [100 * each["accuracy"] for each in bins], marker, color=colour, markersize=4.5)
    pad = 0.02 * (100 - low)
    axes.set_xlim(low - pad, 100 + pad)
    axes.set_ylim(low - pad, 100 + pad)
    axes.set_xlabel("confidence (%)")
    axes.set_ylabel("accuracy (%)")
    return svg_of(axes, "reliability")


def plot_coverage(curve: Mapping[str, Sequence[float]], kept: tuple[float, float] | None) -> str:
    """Draw accuracy against the share of rows answered, the surest first.

    Args:
        curve: ``coverage`` and ``accuracy``, at least one point.
        kept: Coverage and accuracy of the threshold that was asked for; None without one.
    """
    axes = empty_axes(3.4)
    coverage, accuracy = ([100 * share for share in curve[name]] for name in ("coverage", "accuracy"))
    axes.axhline(accuracy[-1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(
        coverage, accuracy, "-" if len(coverage) > 1 else "o", color=SERIES[0], linewidth=1.7, markersize=5
    )
    if kept is not None:
        axes.plot([100 * kept[0]], [100 * kept[1]], "o", color=SERIES[1], markersize=6.5)
    low, high = min(accuracy), max(accuracy)
    pad = max(0.06 * (high - low), (1 - high + low) / 2)
    axes.set_ylim(low - pad, high + pad)
    axes.set_xlim(0, 102)
    axes.set_xlabel("rows answered (%)")
    axes.set_ylabel("accuracy on them (%)")
    return svg_of(axes, "coverage")


def plot_corruption(
    name: str, curves: Mapping[str, Sequence[Mapping[str, float]]], ends: tuple[float, float]
) -> str:
    """Draw accuracy against severity, each classifier with its intervals; severity 0 are the rows as they are.

    Args:
        name: Of the kind of noise.
        curves: Classifier -> its figure at each severity from 0 on, first the adapter's.
        ends: Lowest and highest accuracy of all kinds, shares: the charts share their scale.
    """
    axes = empty_axes(2.6)
    for place, figures in enumerate(curves.values()):
        severity = range(len(figures))
        low, high = ([100 * each[end] for each in figures] for end in ("low", "high"))
        axes.fill_between(severity, low, high, color=SERIES[place], alpha=0.15, linewidth=0)
        values = [100 * each["value"] for each in figures]
        axes.plot(severity, values, "o-", color=SERIES[place], linewidth=1.7, markersize=4)
    pad = max(0.03 * (ends[1] - ends[0]), 0.01)
    axes.set_ylim(100 * (ends[0] - pad), 100 * (ends[1] + pad))
    axes.set_xlabel("severity")
    axes.set_ylabel("accuracy (%)")
    return svg_of(axes, f"corrupt {name}")
