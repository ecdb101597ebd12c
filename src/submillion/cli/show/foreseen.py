"""What can be said of rows without their labels."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.tables import new_table, print_table
from submillion.statistics import percent
from submillion.terminal import Console, shown_name


def print_foreseen(console: Console, figures: dict[str, Any]) -> None:
    """Print what can be said without labels."""
    expected, share = figures["estimated_accuracy"], figures["ood_share"]
    labelled = "without its labels: " if "accuracy" in figures else ""
    if expected["value"] is None:
        console.print(
            f"{labelled}no accuracy is foretold: {escape(expected['refused'])}", style="bold", soft_wrap=True
        )
    else:
        console.print(f"{labelled}accuracy to expect: {percent(expected)} %", style="bold", soft_wrap=True)
        console.print(f"this holds if {escape(expected['assumption'])}", style="dim", soft_wrap=True)
    if share is None:
        console.print(
            f"nothing is said of the share unlike training: {escape(figures['ood_note'])}", soft_wrap=True
        )
        return
    console.print(
        f"unlike training: {percent(share)} % of the rows, at least {100 * share['at_least']:.0f} % whatever they are",
        style="bold",
        soft_wrap=True,
    )
    worst = expected["if_unlike_are_wrong"]
    if worst is not None and share["at_least"] > 0:
        console.print(
            f"  if none of those belong to a label of the model: accuracy {100 * worst:.1f} %. Look at them: a few "
            "rows of a class that training lacks cannot be told from a new topic of a known one",
            soft_wrap=True,
        )
    for part in figures["parts"]:
        if part["estimated_accuracy"] is not None and share["value"] > 0:
            console.print(f"  of the {part['name']} rows: {percent(part['estimated_accuracy'])} % to expect")
    for group in figures["groups"]:
        told = [
            f"{group['n']:,} rows ({100 * group['share']:.0f} %)",
            f"words: {', '.join(group['words']) or '-'}",
        ]
        if group["characters"]:
            told.append(f"characters unseen in training: {' '.join(group['characters'])}")
        told += [
            f"{name} {values['here']:g} (in training {values['in_training']:g})"
            for name, values in group["striking"].items()
        ]
        console.print(f"  a group unlike training: {escape('; '.join(told))}", soft_wrap=True)
    if "accuracy" not in figures:
        table = new_table("predicted", ">here, %", ">in training, %")
        for row in figures["predicted_shares"]:
            table.add_row(
                escape(shown_name(row["label"])), f"{100 * row['new']:.1f}", f"{100 * row['training']:.1f}"
            )
        print_table(console, "", table)
