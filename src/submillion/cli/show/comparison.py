"""Runs side by side."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.tables import new_console, new_table, print_table
from submillion.statistics import percent
from submillion.terminal import on_one_line


def comparison(value: dict[str, Any]) -> None:
    """Print runs side by side, then a verdict a pair."""
    console = new_console()
    rows = sorted({name for run in value["runs"] for name in run["accuracy"]})
    table = new_table("run", ">trainable", ">seconds", *(f">{name}" for name in rows))
    for run in value["runs"]:
        cells = [percent(run["accuracy"][name]) if name in run["accuracy"] else "-" for name in rows]
        table.add_row(
            escape(run["run"]), f"{run['trainable_parameters']:,}", f"{run['seconds']:,.0f}", *cells
        )
    print_table(console, "accuracy, % with 95 % intervals", table)
    for pair in value["comparisons"]:
        console.print(f"{escape(pair['rows'])}: {escape(pair['verdict']['sentence'])}", soft_wrap=True)
    for note in value["notes"]:
        console.print(f"note: {escape(on_one_line(note))}", soft_wrap=True)
