"""Predictions of a few texts."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.tables import new_console, new_table, print_table
from submillion.terminal import on_one_line, shown_name


def answers(rows: list[dict[str, Any]]) -> None:
    """Print texts with their label and its probability."""
    table = new_table("label", ">probability", "text")
    for row in rows:
        labels = row["labels"] if "labels" in row else [row["label"]]
        text = on_one_line(row["text"])
        text = text if len(text) <= 80 else text[:77] + "..."
        shown = [f"{row['probabilities'][label]:.3f}" for label in labels]
        table.add_row(
            ", ".join(escape(shown_name(label)) for label in labels) or "-",
            ", ".join(shown) or "-",
            escape(text),
        )
    print_table(new_console(), "", table)
