"""An export."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.tables import new_console
from submillion.terminal import on_one_line


def exported(record: dict[str, Any]) -> None:
    """Print what an export came to."""
    console = new_console()
    console.print(escape(record["sentence"]), soft_wrap=True)
    if calibration := record["calibration"]:
        console.print(
            f"int8 calibrated on {calibration['rows']:,} other rows ({escape(calibration['rows_are'])})",
            soft_wrap=True,
        )
    for note in record["notes"]:
        console.print(f"note: {escape(on_one_line(note))}", soft_wrap=True)
    zipped = f" and {escape(record['zip'])}" if record["zip"] else ""
    console.print(
        f"{record['format']}, {record['precision']} -> {escape(record['output'])}{zipped}; its README holds the lines that "
        "run it",
        soft_wrap=True,
    )
