"""What a training came to."""

from typing import Any

from rich.markup import escape

from submillion.alternatives import PARTS, TOGETHER, what_answers
from submillion.cli.show.figures import print_figures, print_verdicts
from submillion.cli.show.tables import new_console, new_table, print_table
from submillion.statistics import percent
from submillion.terminal import Console


def run(record: dict[str, Any], folder: str) -> None:
    """Print what a training came to."""
    console = new_console()
    plan = record["plan"]
    if "validation" in record["figures"]:
        figures = record["figures"]["validation"]
        print_figures(console, "validation", figures, _seconds(record))
        console.print(
            f"note: {figures['optimistic']}. Best epoch: {record['best_epoch'] or 0:g}.", soft_wrap=True
        )
        print_verdicts(console, figures)
    if record["cross_validation"]:
        _cross_validation(console, record["cross_validation"], what_answers(record)[0])
    if not record["figures"] and not record["cross_validation"]:
        console.print(
            "no rows were held back, so no figure stands behind this run: evaluate it on labelled rows, "
            "or train with --cv 5",
            soft_wrap=True,
        )
    console.print(
        f"{plan['trainable_parameters']:,} of {plan['total_parameters']:,} parameters trained; "
        f"{record['seconds']['total']:,.0f} s in all, {record['seconds']['training']:,.0f} s of it training"
    )
    console.print(f"run folder: {escape(folder)}", soft_wrap=True)


def _seconds(record: dict[str, Any]) -> dict[str, float]:
    """Return what adapter, with its head's start, and baselines cost to fit; a probe needs the frozen encoder's embeddings too."""
    fitted = {name: member["fit_seconds"] for name, member in record["baselines"]["members"].items()}
    embedding, head_start = (record["seconds"].get(name, 0.0) for name in ("embedding", "head_start"))
    probes = {name: seconds + embedding for name, seconds in fitted.items() if name.startswith("probe")}
    costs = {"adapter": record["seconds"]["training"] + head_start, **fitted, **probes}
    return costs | {TOGETHER: sum(costs[part] for part in PARTS)}


def _cross_validation(console: Console, figures: dict[str, Any], answers: str) -> None:
    table = new_table("", ">accuracy, %")
    table.add_row("adapter", percent(figures["accuracy"]), style="bold")
    for baseline in figures["baselines"]:
        table.add_row(baseline["name"], percent(baseline["accuracy"]))
    print_table(
        console, f"cross-validation: {figures['folds']} folds over {figures['n']:,} train rows", table
    )
    print_verdicts(console, figures)
    if recommended := figures.get("recommended"):
        name = recommended["name"]
        used = (
            "and what `submillion predict` uses"
            if name == answers
            else f"where `submillion predict` uses {answers} as asked"
        )
        console.print(f"recommended, {used}: {name}", style="bold", soft_wrap=True)
