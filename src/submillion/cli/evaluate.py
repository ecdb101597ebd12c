"""`submillion evaluate`."""

from functools import partial

import click

from submillion.cli.options import CommaList


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
@click.option("--text-columns", type=CommaList(), help="Columns joined by a space into the text.")
@click.option("--text-pair-column", help="Column of the second text, of rows that are pairs.")
@click.option("--label-column", help="Column of the label.")
@click.option("--encoder", help="The folder or hub id of the run's base, where it now lies elsewhere.")
@click.option("--unlabelled", is_flag=True, help="Do not read the labels, if there are any.")
@click.option(
    "--slices", type=CommaList(), help="Further columns of labelled rows: accuracy by each value of them."
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
@click.option("--no-texts", is_flag=True, help="Leave the texts out of report.html.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    run: str,
    data: str,
    against: str | None,
    output: str | None,
    text_columns: tuple[str, ...] | None,
    text_pair_column: str | None,
    label_column: str | None,
    encoder: str | None,
    unlabelled: bool,
    slices: tuple[str, ...] | None,
    wanted_accuracy: float | None,
    corrupt: bool,
    no_texts: bool,
    as_json: bool,
) -> None:
    """Measure a run on labelled rows, with intervals and the baselines on the same rows; foretell it on others.

    Of rows without labels it gives the accuracy to expect, the share of them that is unlike training, and which those
    are. A read of the run's test split is recognised and noted in the run.
    """
    from submillion.cli import show
    from submillion.data.pairs import text_columns_of
    from submillion.evaluation.on_data import evaluate_run
    from submillion.evaluation.options import Options

    report = evaluate_run(
        run,
        data,
        Options(
            against=against,
            output=output,
            text_columns=text_columns_of(text_columns, text_pair_column),
            label_column=label_column,
            encoder=encoder,
            unlabelled=unlabelled,
            slices=slices or (),
            wanted_accuracy=wanted_accuracy,
            has_texts=not no_texts,
            corrupt=corrupt,
            say=partial(click.echo, err=True),
        ),
    )
    show.result(report, as_json, show.report)
