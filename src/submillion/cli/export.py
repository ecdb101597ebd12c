"""`submillion export`."""

from typing import Any

import click

from submillion.cli.options import CommaList, text_pair_column_option


@click.command(
    "export",
    epilog="Examples:\n\n\b\n"
    "  submillion export runs/first --output shipped --format onnx --int8\n"
    "  submillion export runs/first --output merged --format merged --zip\n"
    "  submillion export runs/first --output shipped --format openvino --data texts.csv",
)
@click.argument("run")
@click.option("--output", required=True, help="The folder that is made, whole or not at all.")
@click.option(
    "--format",
    type=click.Choice(["peft", "merged", "onnx", "openvino"]),
    required=True,
    help="peft: the adapter; merged: a stock transformers model; onnx, openvino: a graph for that runtime.",
)
@click.option("--int8", is_flag=True, help="With onnx or openvino: weights and products in 8 bits.")
@click.option("--zip", is_flag=True, help="Write OUTPUT.zip too, the same bytes each time.")
@click.option("--overwrite", is_flag=True, help="Replace an export that stands there.")
@click.option(
    "--data",
    help="Rows to compare on, and for the int8 of openvino to calibrate on; labels are not read. Default: the run's validation rows, else its train rows.",
)
@click.option("--text-columns", type=CommaList(), help="Columns of --data joined by a space into the text.")
@text_pair_column_option
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Largest difference of a logit from the run's, as a share of their standard deviation.  [default: 0.001; int8: 0.5]",
)
@click.option(
    "--changed-labels",
    type=click.FloatRange(0, 1),
    help="Largest share of the rows compared whose label changes.  [default: 0; int8: 0.02]",
)
@click.option("--encoder", help="The base's folder or hub id, where it now lies elsewhere.")
@click.option(
    "--label-names", type=CommaList(), help="For an adapter that carries none: its labels, in order."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(run: str, output: str, as_json: bool, **asked: Any) -> None:
    """Write a run for a runtime that needs nothing of this package.

    The export is run by its own runtime and compared with the run in fp32 on real rows; where it answers otherwise
    nothing is written. RUN is a run folder, or any PEFT adapter of a text classifier.
    """
    from submillion import api
    from submillion.cli import show

    record = api.export(run, output, **asked)
    show.result(record, as_json, show.exported)
