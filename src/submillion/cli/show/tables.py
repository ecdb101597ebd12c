"""Tables for a terminal: no frame, no line padded to the right, nothing that a text could do to it."""

from typing import Literal

from rich.table import Table
from rich.text import Text

from submillion.terminal import Console


def new_console() -> Console:
    """Return the console of stdout; of 110 letters a line where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=110)


def new_table(*columns: str) -> Table:
    """Return an empty table; a column is right-aligned when its name starts with '>'."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        table.add_column(column.lstrip(">"), justify=justify, overflow="fold")
    return table


def print_table(console: Console, title: str, table: Table) -> None:
    """Print a table under its title, if it has one, no line padded to the right."""
    if title:
        console.print(title, style="bold", soft_wrap=True)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=True)
