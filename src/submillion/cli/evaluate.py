"""`submillion evaluate`."""

from typing import Any

import click

from submillion.cli.options import (
    CommaList,
    label_column_option,
    text_columns_option,
    text_pair_column_option,
)


@click.command(
    "evaluate",
    epilog="Examples:\n\n\b\n"
    "  submillion evaluate runs/first --data test.csv\n"
    "  submillion evaluate runs/first --data next-month.csv\n"
    "  zcat next-month.csv.gz | submillion evaluate runs/first --data -\n"
    "  submillion evaluate runs/first --data test.csv --against runs/lean\n"
    "  submillion evaluate runs/first --data test.csv --slices country --wanted-accuracy 0.98\n"
    "  submillion evaluate runs/first --data test.csv --corrupt\n"
    "  submillion evaluate runs/first --data test.csv --json",
)
@click.argument("run")
@click.option("--data", required=True, help="Rows, with or without labels: a file, or - for standard input.")
@click.option("--against", help="A second run, compared row by row on labelled rows.")
@click.option("--output", help="Where the report goes. Default: RUN/evaluation/NAME.")
@text_columns_option
@text_pair_column_option
@label_column_option
@click.option("--encoder", help="The folder or hub id of the run's base, where it now lies elsewhere.")
@click.option("--unlabelled", is_flag=True, help="Do not read the labels, if there are any.")
@click.option(
    "--slices",
    type=CommaList(),
    default=(),
    help="Further columns of labelled rows: accuracy by each value of them.",
)
@click.option(
    "--wanted-accuracy",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="From which confidence on is so large a share of labelled rows right?",
)
@click.option(
    "--corrupt",
    is_flag=True,
    help="Measure also how accuracy falls with typos, lost characters, case, HTML debris, scanning: 40 cells of 1,000 rows.",
)
@click.option(
    "--no-texts",
    "has_texts",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Leave the texts out of report.html; single words that set groups of rows apart stay.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(run: str, data: str, as_json: bool, **asked: Any) -> None:
    """Measure a run on labelled rows, with intervals and the baselines on the same rows; foretell it on others.

    Of rows without labels it gives the accuracy to expect, the share of them that is unlike training, and which those
    are. A read of the run's test split is recognised and noted in the run.
    """
    from submillion import api
    from submillion.cli import show

    report = api.evaluate(run, data, **asked)
    show.result(report, as_json, show.report)
