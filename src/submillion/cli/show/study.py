"""A study, and a table of fixed rows."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.tables import new_console, new_table, print_table
from submillion.statistics import percent


def study(record: dict[str, Any], folder: str) -> None:
    """Print what a search came to."""
    console = new_console()
    recommended, cost = record["recommendation"], record["costs"]
    table = new_table(">candidate", "", ">trainable", ">accuracy, rows held back", ">below the best", "")
    for row in recommended["ranking"]:
        table.add_row(
            str(row["number"]),
            escape(row["name"]),
            f"{row['trainable_parameters']:,}",
            percent(row["accuracy"]),
            f"{abs(100 * row['difference']):.2f} (at most {abs(100 * row['low']):.2f})",
            row["verdict"],
            style="bold" if row["number"] == recommended["number"] else None,
        )
    print_table(console, "the candidates of the last stage, % with 95 % intervals", table)
    console.print(f"note on the best one's figure: {recommended['optimistic']}.", soft_wrap=True)
    console.print(f"recommended: {escape(recommended['reason'])}.", style="bold", soft_wrap=True)
    console.print(
        f"cost: {cost['rows_seen']:,} rows seen in {cost['epochs']:g} epochs, {cost['seconds']['total']:,.0f} s, "
        f"{100 * cost['share_not_training']:.0f} % of it not training; the final run apart"
    )
    if test := record.get("test"):
        console.print(
            f"test, read {len(test['reads'])} time(s), for the final model: {percent(test['accuracy'])} % of {test['n']:,} rows"
        )
    console.print(
        f"study: {escape(folder)}; to look at: {escape(folder)}/report.html; the final run: {escape(folder)}/best",
        soft_wrap=True,
    )


def table(record: dict[str, Any], folder: str) -> None:
    """Print a published table that was trained again."""
    console = new_console()
    why_not = record["published_left_out"]
    shown = new_table(
        "row",
        ">trainable",
        *(() if why_not else (">published",)),
        ">epochs",
        ">test accuracy",
        *(() if why_not else (">published",)),
    )
    for row in record["table"]:
        shown.add_row(
            escape(row["name"]),
            f"{row['trainable_parameters']:,}",
            *(() if why_not else (f"{row['published_parameters']:,}",)),
            f"{row['epochs']:g}",
            percent(row["test"]),
            *(() if why_not else (f"{row['published']:.1f}",)),
        )
    n_rows = record["table"][0]["n"]
    print_table(console, f"test accuracy, % with 95 % intervals, on {n_rows:,} rows", shown)
    if why_not:
        console.print(f"published figures are left out: {escape(why_not)}.", soft_wrap=True)
    console.print(
        "nothing was chosen by these figures: all rows were trained before the test rows were read, once for each."
    )
    console.print(f"study: {escape(folder)}; the runs: {escape(folder)}/rows", soft_wrap=True)
