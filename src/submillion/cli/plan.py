"""`submillion plan`."""

from typing import Any

import click

from submillion.cli.options import given, recipe_options
from submillion.recipe import DEFAULT_MODEL, BudgetConfig


@click.command(
    "plan",
    epilog="Examples:\n\n\b\n"
    "  submillion plan --labels 4\n"
    "  submillion plan --model FacebookAI/roberta-base --labels 4 --target-modules q,v\n"
    "  submillion plan --model ./roberta-base --labels 4 --target-modules query,dense --rank 3 --head full --pooling first\n"
    "  submillion plan --labels 20 --budget 100000 --json",
)
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="The encoder: a hub id or a folder; only its config is read.",
)
@click.option("--labels", "n_labels", type=int, required=True, help="Number of labels.")
@recipe_options(only=tuple(BudgetConfig.model_fields), shows_defaults=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: str, n_labels: int, as_json: bool, **fields: Any) -> None:
    """Count exactly what would train, without weights.

    Without --rank: for each set of target modules and each head, the largest rank within the budget, the best
    use of it first. With `submillion train`, max_rank bounds a rank that is left open.
    """
    from submillion import api
    from submillion.cli import show

    report = api.plan(model, n_labels, **given(fields))
    show.result(report.to_json(), as_json, show.plans)
