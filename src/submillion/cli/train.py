"""`submillion train`."""

from typing import Any

import click

from submillion.cli.options import given, recipe_options


@click.command(
    "train",
    epilog="Examples:\n\n\b\n"
    "  submillion train --train train.csv --output runs/first\n"
    "  submillion train --train train.csv --test test.csv --output runs/lean --budget 100000\n"
    "  submillion train --recipe paper-r3-query-dense --train hub:fancyzhx/ag_news:train --output runs/paper\n"
    "  submillion train --recipe my.yaml --output runs/mine --resume",
)
@click.option("--recipe", help="A YAML file, or a recipe that comes with the package. Flags override it.")
@click.option("--output", required=True, help="The run folder to make.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run, to the same adapter.")
@recipe_options()
@click.option("--json", "as_json", is_flag=True, help="Print run.json at the end in place of the table.")
def command(recipe: str | None, output: str, resume: bool, as_json: bool, **fields: Any) -> None:
    """Train a classifier inside the budget, with the cheap alternatives beside it.

    The test file is opened only to leave rows shared with it out of train; its labels are not read.
    """
    from submillion import api
    from submillion.cli import show

    record = api.train(recipe=recipe, output=output, resume=resume, **given(fields))
    show.result(record, as_json, lambda value: show.run(value, output))
