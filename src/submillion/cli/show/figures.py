"""Adapter and baselines side by side, and what can be said of their difference."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.tables import new_table, print_table
from submillion.statistics import percent
from submillion.terminal import Console


def print_figures(
    console: Console, rows: str, figures: dict[str, Any], seconds: dict[str, float] | None = None
) -> None:
    """Print adapter and baselines side by side."""
    costs = [">seconds to fit"] if seconds else []
    # Of several labels a row the first is the figure that counts each decision, and accuracy is exact match.
    keys = {"accuracy": ">accuracy", "macro_f1": ">macro F1"}
    if "micro_f1" in figures:
        keys = {"micro_f1": ">micro F1", "macro_f1": ">macro F1", "accuracy": ">exact match"}
    table = new_table("", *keys.values(), *costs)
    for each in ({"name": "adapter", **figures}, *figures["baselines"]):
        cost = [f"{seconds[each['name']]:,.1f}"] if seconds else []
        style = "bold" if each["name"] == "adapter" else None
        table.add_row(each["name"], *(percent(each[key]) for key in keys), *cost, style=style)
    print_table(console, f"{escape(rows)}: {figures['n']:,} rows, % with 95 % intervals", table)
    console.print(f"the intervals cover: {figures['accuracy']['covers']}", style="dim", soft_wrap=True)


def print_verdicts(console: Console, figures: dict[str, Any]) -> None:
    """Print each baseline's verdict, and what follows from them."""
    for baseline in figures["baselines"]:
        console.print(f"- {baseline['verdict']['sentence']}", soft_wrap=True)
    if advice := figures.get("advice"):
        console.print(advice, style="bold", soft_wrap=True)
