"""A plan: its candidates, and what the first hits."""

from typing import Any

from rich.markup import escape

from submillion.cli.show.tables import new_console, new_table, print_table


def plans(report: dict[str, Any]) -> None:
    """Print a plan's candidates, best first, and what each pattern of the first hits."""
    console = new_console()
    title = (
        f"{escape(report['model'])}: {report['base_parameters']:,} parameters, {report['n_labels']} labels, "
        f"budget {report['budget']:,}"
    )
    table = new_table(
        "target modules", ">rank", "head", ">adapter", ">head", ">trainable", ">total", ">% of total", "fits",
    )  # fmt: skip
    for plan in report["candidates"]:
        table.add_row(
            escape(", ".join(plan["target_modules"]) or _without_targets(plan)),
            "-" if plan["rank"] is None else str(plan["rank"]),
            plan["head"] if plan["pooling"] == "first" else "mean + linear",
            f"{plan['adapter_parameters']:,}",
            f"{plan['head_parameters']:,}",
            f"{plan['trainable_parameters']:,}",
            f"{plan['total_parameters']:,}",
            f"{plan['trainable_percent']:.4f}",
            "yes" if plan["within_budget"] else "no",
        )
    print_table(console, title, table)
    if not report["candidates"]:
        return
    first = report["candidates"][0]
    if first["matched_modules"]:
        alpha = "" if first["lora_alpha"] is None else f", alpha {first['lora_alpha']:g}"
        console.print(f"\nmodules hit by the first ({first['method']}{alpha}):")
    for pattern, names in first["matched_modules"].items():
        console.print(f"  {escape(pattern)}: {len(names)} ({escape(_shortened(names))})")
    for warning in first["warnings"]:
        console.print(f"note: {escape(warning)}")


def _without_targets(plan: dict[str, Any]) -> str:
    """Return what is adapted where that is no linear layer."""
    tokens = plan["num_virtual_tokens"]
    return "layer norms" if tokens is None else f"{tokens} virtual tokens"


def _shortened(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]}, ..., {names[-1]}"
