"""`submillion compare`."""

import click


@click.command(
    "compare",
    epilog="Examples:\n\n\b\n  submillion compare runs/first runs/lean\n  submillion compare runs/* --json",
)
@click.argument("runs", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(runs: tuple[str, ...], as_json: bool) -> None:
    """Compare each run with the first, on the rows that both scored."""
    from submillion.cli import show
    from submillion.evaluation.comparison import compare_runs

    show.result(compare_runs(runs), as_json, show.comparison)
