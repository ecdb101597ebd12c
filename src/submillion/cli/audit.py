"""`submillion audit`."""

from typing import Any

import click

from submillion.cli.options import label_column_option, text_columns_option, text_pair_column_option
from submillion.recipe import DEFAULT_MODEL


@click.command(
    "audit",
    epilog="Examples:\n\n\b\n"
    "  submillion audit train.csv --test test.csv\n"
    "  submillion audit train.csv --validation validation.csv --test test.csv --output audits/first\n"
    "  submillion audit january.csv february.csv --without-encoder\n"
    "  submillion audit train.csv --no-texts --json",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--validation", help="Rows of the validation split.")
@click.option("--test", help="Rows of the test split; its labels are not read.")
@click.option("--output", default="audit", show_default=True, help="The folder that takes the findings.")
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="The encoder that label errors are found by, and whose limit lengths are held against.",
)
@click.option(
    "--without-encoder", is_flag=True, help="Find label errors by TF-IDF, in seconds, and count no tokens."
)
@text_columns_option
@text_pair_column_option
@label_column_option
@click.option(
    "--no-texts",
    "has_texts",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Leave the texts out of issues.csv and audit.html.",
)
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Seed of the folds.")
@click.option("--json", "as_json", is_flag=True, help="Print audit.json.")
def command(files: tuple[str, ...], as_json: bool, **asked: Any) -> None:
    """Look for what is wrong with labelled rows, before anything is trained on them.

    Duplicates and near duplicates within and across splits, labels that contradict each other, labels that are likely wrong,
    rows that are nearly empty or too long, and the balance of the labels. One FILE is train; of several each is a split named
    after its file. Labels of a test split (--test, or a file with test in its name) are not read.
    """
    from submillion import api
    from submillion.cli import show

    report = api.audit(*files, **asked)
    show.result(report, as_json, show.audited)
