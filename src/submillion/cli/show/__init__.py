"""Every result as a table on stdout, or as JSON; a file a kind of result."""

import json
from collections.abc import Callable
from typing import Any

import click

from submillion.cli.show.answers import answers
from submillion.cli.show.audit import audited
from submillion.cli.show.comparison import comparison
from submillion.cli.show.export import exported
from submillion.cli.show.plan import plans
from submillion.cli.show.report import report
from submillion.cli.show.run import run
from submillion.cli.show.study import study, table
from submillion.terminal import harmless

__all__ = [
    "answers",
    "audited",
    "comparison",
    "exported",
    "plans",
    "report",
    "result",
    "run",
    "study",
    "table",
]


def result(value: Any, as_json: bool, table: Callable[[Any], None]) -> None:
    """Print ``value`` as JSON, or by ``table``."""
    if as_json:
        click.echo(harmless(json.dumps(value, indent=2, ensure_ascii=False)))
    else:
        table(value)
