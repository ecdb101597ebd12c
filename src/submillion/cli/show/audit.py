"""An audit."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.tables import new_console, new_table, print_table
from submillion.data.opened import plural
from submillion.terminal import on_one_line


def audited(record: dict[str, Any]) -> None:
    """Print what an audit found."""
    console = new_console()
    names = [split["name"] for split in record["splits"]]
    table = new_table("issue", ">rows", *(f">{escape(name)}" for name in names))
    for each in record["issues"]:
        table.add_row(each["issue"], f"{each['n']:,}", *(f"{n:,}" for n in each["by_split"].values()))
    print_table(console, f"{plural(record['n'], 'row')} in {plural(len(names), 'split')}", table)
    if looked := record["label_errors"]:
        console.print(
            f"label errors: by {escape(looked['by'])}, {looked['folds']}-fold over {looked['n']:,} rows, which agrees "
            f"with {100 * looked['agrees']:.1f} % of the labels",
            soft_wrap=True,
        )
    for note in record["notes"]:
        console.print(f"note: {escape(on_one_line(note))}", soft_wrap=True)
    output = escape(record["output"])
    console.print(f"ranked: {output}/issues.csv; to look at: {output}/audit.html", soft_wrap=True)
