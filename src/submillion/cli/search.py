"""`submillion search`."""

from typing import Any

import click

from submillion.cli.options import given, recipe_options


@click.command(
    "search",
    epilog="Examples:\n\n\b\n"
    "  submillion search --recipe space.yaml --train train.csv --test test.csv --output studies/first\n"
    "  submillion search --recipe space.yaml --train train.csv --output studies/first --resume\n"
    "  submillion search --recipe paper-table1 --train train.csv --test test.csv --output studies/paper\n"
    "  submillion search --recipe space.yaml --train train.csv --output studies/first "
    "--storage postgresql+psycopg://me@host/studies",
)
@click.option(
    "--recipe", required=True, help="A YAML file with a section `space`, or one that comes with the package."
)
@click.option("--output", required=True, help="The study folder to make.")
@click.option(
    "--resume", is_flag=True, help="Go on with an interrupted study; what is finished is not repeated."
)
@click.option(
    "--storage",
    help="An SQLAlchemy URL: processes that name the same one share the study. Default: a file in it.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), help="Seeds that each candidate of the last stage is trained with."
)
@recipe_options(shows_defaults=False)
@click.option("--json", "as_json", is_flag=True, help="Print study.json at the end in place of the table.")
def command(
    recipe: str,
    output: str,
    resume: bool,
    storage: str | None,
    seeds: int | None,
    as_json: bool,
    **fields: Any,
) -> None:
    """Train many plans for a short while, recommend one by rows held back, and train it in full.

    The test file is read once, at the end, for the final model. A recipe with a table (paper-table1) chooses nothing: its
    rows are all trained in full, and then the test file is read once for each.
    """
    from submillion import api
    from submillion.cli import show

    record = api.search(
        recipe=recipe, output=output, resume=resume, storage=storage, seeds=seeds, **given(fields)
    )
    show.result(
        record,
        as_json,
        lambda value: show.study(value, output) if "recommendation" in value else show.table(value, output),
    )
