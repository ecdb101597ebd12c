"""Entry of the command: finds the subcommand, and turns a user's error into one line and status 1."""

import logging
import os
import signal
import sys
from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "plan": "Count exactly what would train, before a weight is downloaded.",
    "audit": "Look for duplicates, wrong labels and other faults of the rows, before training.",
    "train": "Train inside the budget, with the cheap alternatives beside it.",
    "predict": "Label rows, or one text.",
    "evaluate": "Measure a run on labelled rows, with intervals and the baselines beside it.",
    "compare": "Say which of several runs is better, and whether that can be told.",
    "export": "Write a run for a runtime that needs nothing of this package: merged, ONNX, OpenVINO.",
    "search": "From many plans to the best one, at a low cost.",
    "quickstart": "Do all of it once, on real text, offline.",
}


class LazyCommands(click.Group):
    """A group that imports a subcommand only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"submillion.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Examples:\n\n\b\n"
    "  submillion quickstart\n"
    "  submillion plan --model FacebookAI/roberta-base --labels 4\n"
    "  submillion train --train train.csv --output runs/first\n"
    '  submillion predict runs/first --text "Stocks fell on Monday"',
)
@click.version_option(package_name="submillion")
def cli() -> None:
    """Fine-tune a text classifier inside a hard budget of trainable parameters, and know how far to trust it."""


def _interrupt(number: int, frame: Any) -> None:
    """Treat SIGTERM as Ctrl-C: say how to go on."""
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> Any:
    """Run the command; return or exit with its status: 0 done, 1 a user's error, 2 wrong usage, 130 interrupted."""
    from submillion.disk import refusal
    from submillion.errors import SubmillionError
    from submillion.terminal import harmless

    signal.signal(signal.SIGTERM, _interrupt)
    logging.getLogger("huggingface_hub").setLevel(
        logging.ERROR
    )  # its retries; what comes of them is told in one line
    try:
        return cli.main(arguments, prog_name="submillion", standalone_mode=False)
    except SubmillionError as error:
        for line in str(error).split("\n"):
            click.echo(f"error: {harmless(line)}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read standard output has what they wanted, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (click.Abort, KeyboardInterrupt):
        click.echo(
            "interrupted; `submillion train` and `search` go on from the last checkpoint with --resume",
            err=True,
        )
        sys.exit(130)
    except Exception as error:  # of which only what the disk refuses is a user's to mend
        reason = refusal(error)
        if reason is None:
            raise
        name = getattr(error, "filename", None) or "standard output or a file"
        click.echo(f"error: {harmless(str(name))} cannot be used: {reason}", err=True)
        sys.exit(1)
