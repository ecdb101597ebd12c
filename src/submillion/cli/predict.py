"""`submillion predict`."""

import click

from submillion.alternatives import ANSWERING
from submillion.cli.options import CommaList, text_columns_option, text_pair_column_option


@click.command(
    "predict",
    epilog="Examples:\n\n\b\n"
    '  submillion predict runs/first --text "Stocks fell on Monday"\n'
    "  submillion predict runs/first --input new.csv --output labels.csv\n"
    "  submillion predict runs/first --input hidden.pkl --output submission.csv --format submission\n"
    "  cat new.csv | submillion predict runs/first --input - --output - | head\n"
    "  submillion predict runs/few --input new.csv --output labels.csv --using adapter",
)
@click.argument("run")
@click.option("--input", "source", help="Rows to label: a file, a folder, hub:NAME, or - for standard input.")
@click.option("--output", help="Where labels and probabilities go: a file, or - for standard output.")
@click.option("--text", multiple=True, help="A text to label on the terminal; may be repeated.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "jsonl", "parquet", "submission"]),
    help="Default: by the ending of --output.",
)
@text_columns_option
@text_pair_column_option
@click.option("--encoder", help="The base's folder or hub id, where it now lies elsewhere.")
@click.option(
    "--label-names", type=CommaList(), help="For an adapter that carries none: its labels, in order."
)
@click.option(
    "--using",
    type=click.Choice(ANSWERING),
    default="recommended",
    show_default=True,
    help="What answers. recommended: what the run's recipe asks for (train --answer-by), else what its cross-validation (train --cv "
    "5) found most accurate, else the adapter.",
)
@click.option("--json", "as_json", is_flag=True, help="With --text: print JSON.")
def command(
    run: str,
    source: str | None,
    output: str | None,
    text: tuple[str, ...],
    format_: str | None,
    text_columns: tuple[str, ...] | None,
    text_pair_column: str | None,
    encoder: str | None,
    label_names: tuple[str, ...] | None,
    using: str,
    as_json: bool,
) -> None:
    """Label rows of a file, or texts given here.

    RUN is a run folder, or any PEFT adapter of a text classifier.
    """
    if bool(text) == bool(source):
        raise click.UsageError("give either --input and --output, or --text")
    if source and not output:
        raise click.UsageError("--input needs --output")
    of_input = {
        "--output": output,
        "--format": format_,
        "--text-columns": text_columns,
        "--text-pair-column": text_pair_column,
    }
    if text and (unused := [flag for flag, value in of_input.items() if value]):
        raise click.UsageError(f"{', '.join(unused)} needs --input: answers to --text are printed")
    if source and as_json:
        raise click.UsageError("--json needs --text: with --input, write JSON by --format jsonl")
    from submillion.cli import show
    from submillion.data.opened import plural
    from submillion.data.pairs import text_columns_of
    from submillion.prediction import load_predictor
    from submillion.terminal import harmless

    def note(sentence: str) -> None:
        click.secho(f"note: {harmless(sentence)}", dim=True, err=True)

    predictor = load_predictor(run, encoder=encoder, label_names=label_names, using=using)
    if text:
        if n_empty := sum(not each.strip() for each in text):
            note(f"{plural(n_empty, 'empty text')}, answered like any other though there is nothing to go by")
        if predictor.sentence:
            note(predictor.sentence)
        show.result(predictor.answers(text), as_json, show.answers)
        return
    n_rows = predictor.predict_file(
        source,
        str(output),
        format=format_,
        text_columns=text_columns_of(text_columns, text_pair_column),
        note=note,
    )
    click.echo(f"{n_rows:,} rows labelled -> {harmless(str(output))}", err=output == "-")
