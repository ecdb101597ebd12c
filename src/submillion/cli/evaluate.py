"""`submillion evaluate`."""

import click

from submillion.cli.options import CommaList


@click.command(
    "evaluate",
    epilog="Examples:\n\n\b\n"
    "  submillion evaluate runs/first --data test.csv\n"
    "  submillion evaluate runs/first --data test.csv --against runs/lean\n"
    "  submillion evaluate runs/first --data test.csv --json",
)
@click.argument("run")
@click.option("--data", required=True, help="Labelled rows.")
@click.option("--against", help="A second run, compared row by row.")
@click.option("--output", help="Where the report goes. Default: RUN/evaluation/NAME.")
@click.option("--text-columns", type=CommaList(), help="Columns joined by a space into the text.")
@click.option("--label-column", help="Column of the label.")
@click.option("--encoder", help="The folder or hub id of the run's base, where it now lies elsewhere.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    run: str,
    data: str,
    against: str | None,
    output: str | None,
    text_columns: tuple[str, ...] | None,
    label_column: str | None,
    encoder: str | None,
    as_json: bool,
) -> None:
    """Measure a run on labelled rows, with intervals and the baselines on the same rows.

    A read of the run's test split is recognised and noted in the run.
    """
    from submillion.cli import show
    from submillion.evaluation.on_data import evaluate_run

    report = evaluate_run(
        run,
        data,
        against=against,
        output=output,
        text_columns=text_columns,
        label_column=label_column,
        encoder=encoder,
    )
    show.result(report, as_json, show.report)
