"""Charts as inline SVG whose colours the page's own style sheet decides."""

import re
from io import StringIO
from typing import Any

INK, MUTED, RULE, FAINT = "#010101", "#010102", "#010103", "#010104"
SERIES = ("#010105", "#010106", "#010107", "#010108", "#010109", "#01010a")
"""Colours of what stands out, the first of all first."""

_VARIABLES = {
    INK: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)", FAINT: "var(--faint)",
} | {colour: f"var(--series-{place})" for place, colour in enumerate(SERIES)}  # fmt: skip
"""Matplotlib draws in colours that stand for nothing but these."""

_WIDTH = 4.6
FONT = 9


def empty_axes(height: float) -> Any:
    """Return empty axes in the house's quiet dress, `height` inches high."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(which="both", color=RULE, labelcolor=MUTED, labelsize=FONT, length=0)
    axes.xaxis.label.set(color=MUTED, size=FONT)
    axes.yaxis.label.set(color=MUTED, size=FONT)
    return axes


def svg_of(axes: Any, name: str) -> str:
    """Return a figure as an `<svg>` element that can stand in a page, beside others.

    Args:
        axes: Those of the figure.
        name: Of the chart, another for each of the page.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure = axes.figure
    FigureCanvasSVG(figure)
    out = StringIO()
    # Text stays text; the salt keeps the ids of one chart from those of another, and the same each time.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True)
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r'(<svg [^>]*?) version="[^"]*"', r"\1", svg)
    return re.sub("|".join(_VARIABLES), lambda found: _VARIABLES[found.group()], svg)
