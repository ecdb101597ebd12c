"""What was measured on labelled rows."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.figures import print_figures, print_verdicts
from submillion.cli.show.tables import new_table, print_table
from submillion.statistics import percent
from submillion.terminal import Console, shown_name

MOST_LABELS = 60
"""Of more labels those with the lowest F1 are shown."""


def print_measured(console: Console, figures: dict[str, Any]) -> None:
    """Print what was measured on labelled rows."""
    print_figures(console, str(figures["data"]), figures)
    print_verdicts(console, figures)
    table = new_table("label", ">precision", ">recall", ">F1", ">rows")
    n_labels = len(figures["per_class"])
    shown = figures["per_class"]
    if n_labels > MOST_LABELS:
        shown = sorted(shown, key=lambda row: _value(row["f1"]))[:MOST_LABELS]
    for row in shown:
        table.add_row(
            escape(shown_name(row["label"])),
            *(_share(row[key]) for key in ("precision", "recall", "f1")),
            f"{row['support']:,}",
        )
    which = "" if len(shown) == n_labels else f", the {MOST_LABELS} of {n_labels} with the lowest F1"
    print_table(console, f"\nby label, %{which}", table)
    if "against" in figures:
        console.print(figures["against"]["verdict"]["sentence"], soft_wrap=True)
    _slices(console, figures.get("slices"))
    if corrupt := figures.get("corrupt"):
        _corrupted(console, corrupt)
    if threshold := (figures.get("selective") or {}).get("threshold"):
        console.print(
            escape(threshold["reason"])
            if threshold["threshold"] is None
            else f"above a confidence of {threshold['threshold']:.3f}, {100 * threshold['coverage']:.0f} % of the rows: "
            f"{threshold['guarantee']}",
            soft_wrap=True,
        )
    if figures["test_reads"] is not None:
        reads = figures["test_reads"]
        console.print(
            f"these are the run's test rows; their labels were read {len(reads)} time(s): {_purposes(reads)}"
        )


def _value(figure: Any) -> float:
    """Return a figure without its interval, 0 where there is none."""
    return float((figure["value"] if isinstance(figure, dict) else figure) or 0)


def _share(figure: Any) -> str:
    """Return a share in percent, with its interval where it has one; ``-`` where there is none."""
    if isinstance(figure, dict):
        return percent(figure)
    return "-" if figure is None else f"{100 * figure:.1f}"


def _slices(console: Console, slices: dict[str, Any] | None) -> None:
    """Print the slices that differ from the rest."""
    for found in (slices or {"found": []})["found"]:
        if found["differs"]:
            console.print(
                f"{escape(shown_name(found['column']))} {escape(shown_name(found['value']))}: {percent(found['accuracy'])} on {found['n']:,} rows, "
                f"{100 * found['accuracy_of_rest']:.1f} on the rest (p {found['p_value']:.1g}, corrected for "
                f"{slices['n_looked_at'] if slices else 0} slices)",
                soft_wrap=True,
            )


def _corrupted(console: Console, corrupt: dict[str, Any]) -> None:
    """Print accuracy by kind of noise and severity, the adapter above TF-IDF."""
    n_severities = len(corrupt["kinds"][0]["cells"])
    table = new_table("", "", ">as they are", *(f">{severity}" for severity in range(1, n_severities + 1)))
    for kind in corrupt["kinds"]:
        for place, name in enumerate(corrupt["clean"]):
            shown = [corrupt["clean"][name], *(cell["accuracy"][name] for cell in kind["cells"])]
            table.add_row(
                "" if place else kind["name"], name, *(f"{100 * each['value']:.1f}" for each in shown)
            )
    print_table(
        console,
        f"\naccuracy on worse texts by severity, %, {corrupt['n']:,} rows each (intervals: report.json)",
        table,
    )


def _purposes(reads: list[dict[str, Any]]) -> str:
    return ", ".join(f"{read['when'][:10]} {escape(read['purpose'])}" for read in reads)
