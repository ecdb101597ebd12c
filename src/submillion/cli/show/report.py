"""An evaluation: what was measured, and what can be said without labels."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.foreseen import print_foreseen
from submillion.cli.show.measured import print_measured
from submillion.cli.show.tables import new_console
from submillion.data.opened import plural
from submillion.terminal import on_one_line


def report(figures: dict[str, Any]) -> None:
    """Print an evaluation."""
    console = new_console()
    if "accuracy" in figures:
        print_measured(console, figures)
        if "left_out" in figures:
            console.print(f"{figures['left_out']}.", style="dim", soft_wrap=True)
    else:
        console.print(
            f"{escape(figures['data'])}: {plural(figures['n'], 'row')}, without labels",
            style="bold",
            soft_wrap=True,
        )
    if "estimated_accuracy" in figures:
        print_foreseen(console, figures)
    for note in figures["notes"]:
        console.print(f"note: {escape(on_one_line(note))}", soft_wrap=True)
    console.print(
        f"report: {escape(figures['output'])}, to look at: {escape(figures['output'])}/report.html",
        soft_wrap=True,
    )
