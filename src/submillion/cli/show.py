"""Every result as a table on stdout, or as JSON."""

import json
from collections.abc import Callable
from typing import Any, Literal

import click
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from submillion.data.opened import plural
from submillion.shortened import by_its_ends
from submillion.statistics import percent
from submillion.terminal import Console, harmless, on_one_line

MOST_LABELS = 60
"""Of more labels those with the lowest F1 are shown."""


def result(value: Any, as_json: bool, table: Callable[[Any], None]) -> None:
    """Print ``value`` as JSON, or by ``table``."""
    if as_json:
        click.echo(harmless(json.dumps(value, indent=2, ensure_ascii=False)))
    else:
        table(value)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=110)


def _table(*columns: str) -> Table:
    """Return an empty table; a column is right-aligned when its name starts with '>'."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        table.add_column(column.lstrip(">"), justify=justify, overflow="fold")
    return table


def _print_table(console: Console, title: str, table: Table) -> None:
    """Print a table under its title, if it has one, no line padded to the right."""
    if title:
        console.print(title, style="bold", soft_wrap=True)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=True)


def _name(name: str) -> str:
    """Return a label's name, or a value of a column, for one line of a table; a long one without its middle."""
    return escape(by_its_ends(on_one_line(name)))


def plans(report: dict[str, Any]) -> None:
    """Print a plan's candidates, best first, and what each pattern of the first hits."""
    console = _console()
    title = (
        f"{escape(report['model'])}: {report['base_parameters']:,} parameters, {report['n_labels']} labels, "
        f"budget {report['budget']:,}"
    )
    table = _table(
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
    _print_table(console, title, table)
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


def run(record: dict[str, Any], folder: str) -> None:
    """Print what a training came to."""
    console = _console()
    plan = record["plan"]
    if "validation" in record["figures"]:
        figures = record["figures"]["validation"]
        _figures_table(console, "validation", figures, _seconds(record))
        console.print(
            f"note: {figures['optimistic']}. Best epoch: {record['best_epoch'] or 0:g}.", soft_wrap=True
        )
        _verdicts(console, figures)
    if record["cross_validation"]:
        _cross_validation(console, record["cross_validation"])
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
    """Return what adapter and baselines cost to fit; a probe needs the embeddings of the frozen encoder too."""
    fitted = {name: member["fit_seconds"] for name, member in record["baselines"]["members"].items()}
    embedding = record["seconds"].get("embedding", 0.0)
    probes = {name: seconds + embedding for name, seconds in fitted.items() if name.startswith("probe")}
    return {"adapter": record["seconds"]["training"], **fitted, **probes}


def _figures_table(
    console: Console, rows: str, figures: dict[str, Any], seconds: dict[str, float] | None = None
) -> None:
    """Print adapter and baselines side by side."""
    costs = [">seconds to fit"] if seconds else []
    # Of several labels a row the first is the figure that counts each decision, and accuracy is exact match.
    keys = {"accuracy": ">accuracy", "macro_f1": ">macro F1"}
    if "micro_f1" in figures:
        keys = {"micro_f1": ">micro F1", "macro_f1": ">macro F1", "accuracy": ">exact match"}
    table = _table("", *keys.values(), *costs)
    for each in ({"name": "adapter", **figures}, *figures["baselines"]):
        cost = [f"{seconds[each['name']]:,.1f}"] if seconds else []
        style = "bold" if each["name"] == "adapter" else None
        table.add_row(each["name"], *(percent(each[key]) for key in keys), *cost, style=style)
    _print_table(console, f"{escape(rows)}: {figures['n']:,} rows, % with 95 % intervals", table)
    console.print(f"the intervals cover: {figures['accuracy']['covers']}", style="dim", soft_wrap=True)


def _verdicts(console: Console, figures: dict[str, Any]) -> None:
    for baseline in figures["baselines"]:
        console.print(f"- {baseline['verdict']['sentence']}", soft_wrap=True)
    if advice := figures.get("advice"):
        console.print(advice, style="bold", soft_wrap=True)


def _cross_validation(console: Console, figures: dict[str, Any]) -> None:
    table = _table("", ">accuracy, %")
    table.add_row("adapter", percent(figures["accuracy"]), style="bold")
    for baseline in figures["baselines"]:
        table.add_row(baseline["name"], percent(baseline["accuracy"]))
    _print_table(
        console, f"cross-validation: {figures['folds']} folds over {figures['n']:,} train rows", table
    )
    _verdicts(console, figures)
    if recommended := figures.get("recommended"):
        console.print(
            f"recommended, and what `submillion predict` uses: {recommended['name']}",
            style="bold",
            soft_wrap=True,
        )


def report(figures: dict[str, Any]) -> None:
    """Print an evaluation."""
    console = _console()
    if "accuracy" in figures:
        _measured(console, figures)
        if "left_out" in figures:
            console.print(f"{figures['left_out']}.", style="dim", soft_wrap=True)
    else:
        console.print(
            f"{escape(figures['data'])}: {plural(figures['n'], 'row')}, without labels",
            style="bold",
            soft_wrap=True,
        )
    if "estimated_accuracy" in figures:
        _foreseen(console, figures)
    for note in figures["notes"]:
        console.print(f"note: {escape(on_one_line(note))}", soft_wrap=True)
    console.print(
        f"report: {escape(figures['output'])}, to look at: {escape(figures['output'])}/report.html",
        soft_wrap=True,
    )


def _measured(console: Console, figures: dict[str, Any]) -> None:
    """Print what was measured on labelled rows."""
    _figures_table(console, str(figures["data"]), figures)
    _verdicts(console, figures)
    table = _table("label", ">precision", ">recall", ">F1", ">rows")
    n_labels = len(figures["per_class"])
    shown = figures["per_class"]
    if n_labels > MOST_LABELS:
        shown = sorted(shown, key=lambda row: _value(row["f1"]))[:MOST_LABELS]
    for row in shown:
        table.add_row(
            _name(row["label"]),
            *(_share(row[key]) for key in ("precision", "recall", "f1")),
            f"{row['support']:,}",
        )
    which = "" if len(shown) == n_labels else f", the {MOST_LABELS} of {n_labels} with the lowest F1"
    _print_table(console, f"\nby label, %{which}", table)
    if "against" in figures:
        console.print(figures["against"]["verdict"]["sentence"], soft_wrap=True)
    _slices(console, figures.get("slices"))
    if corrupt := figures.get("corrupt"):
        _corrupted(console, corrupt)
    if threshold := (figures.get("selective") or {}).get("threshold"):
        console.print(
            escape(threshold["reason"])
            if threshold["threshold"] is None
            else f"above a confidence of {threshold['threshold']:.3f}, {100 * threshold['coverage']:.0f} % of the rows: "
            f"{threshold['guarantee']}",
            soft_wrap=True,
        )
    if figures["test_reads"] is not None:
        reads = figures["test_reads"]
        console.print(
            f"these are the run's test rows; their labels were read {len(reads)} time(s): {_purposes(reads)}"
        )


def _value(figure: Any) -> float:
    """Return a figure without its interval, 0 where there is none."""
    return float((figure["value"] if isinstance(figure, dict) else figure) or 0)


def _share(figure: Any) -> str:
    """Return a share in percent, with its interval where it has one; ``-`` where there is none."""
    if isinstance(figure, dict):
        return percent(figure)
    return "-" if figure is None else f"{100 * figure:.1f}"


def _slices(console: Console, slices: dict[str, Any] | None) -> None:
    """Print the slices that differ from the rest."""
    for found in (slices or {"found": []})["found"]:
        if found["differs"]:
            console.print(
                f"{_name(found['column'])} {_name(found['value'])}: {percent(found['accuracy'])} on {found['n']:,} rows, "
                f"{100 * found['accuracy_of_rest']:.1f} on the rest (p {found['p_value']:.1g}, corrected for "
                f"{slices['n_looked_at'] if slices else 0} slices)",
                soft_wrap=True,
            )


def _corrupted(console: Console, corrupt: dict[str, Any]) -> None:
    """Print accuracy by kind of noise and severity, the adapter above TF-IDF."""
    n_severities = len(corrupt["kinds"][0]["cells"])
    table = _table("", "", ">as they are", *(f">{severity}" for severity in range(1, n_severities + 1)))
    for kind in corrupt["kinds"]:
        for place, name in enumerate(corrupt["clean"]):
            shown = [corrupt["clean"][name], *(cell["accuracy"][name] for cell in kind["cells"])]
            table.add_row(
                "" if place else kind["name"], name, *(f"{100 * each['value']:.1f}" for each in shown)
            )
    _print_table(
        console,
        f"\naccuracy on worse texts by severity, %, {corrupt['n']:,} rows each (intervals: report.json)",
        table,
    )


def _foreseen(console: Console, figures: dict[str, Any]) -> None:
    """Print what can be said without labels."""
    expected, share = figures["estimated_accuracy"], figures["ood_share"]
    labelled = "without its labels: " if "accuracy" in figures else ""
    if expected["value"] is None:
        console.print(
            f"{labelled}no accuracy is foretold: {escape(expected['refused'])}", style="bold", soft_wrap=True
        )
    else:
        console.print(f"{labelled}accuracy to expect: {percent(expected)} %", style="bold", soft_wrap=True)
        console.print(f"this holds if {escape(expected['assumption'])}", style="dim", soft_wrap=True)
    if share is None:
        console.print(
            f"nothing is said of the share unlike training: {escape(figures['ood_note'])}", soft_wrap=True
        )
        return
    console.print(
        f"unlike training: {percent(share)} % of the rows, at least {100 * share['at_least']:.0f} % whatever they are",
        style="bold",
        soft_wrap=True,
    )
    worst = expected["if_unlike_are_wrong"]
    if worst is not None and share["at_least"] > 0:
        console.print(
            f"  if none of those belong to a label of the model: accuracy {100 * worst:.1f} %. Look at them: a few "
            "rows of a class that training lacks cannot be told from a new topic of a known one",
            soft_wrap=True,
        )
    for part in figures["parts"]:
        if part["estimated_accuracy"] is not None and share["value"] > 0:
            console.print(f"  of the {part['name']} rows: {percent(part['estimated_accuracy'])} % to expect")
    for group in figures["groups"]:
        told = [
            f"{group['n']:,} rows ({100 * group['share']:.0f} %)",
            f"words: {', '.join(group['words']) or '-'}",
        ]
        if group["characters"]:
            told.append(f"characters unseen in training: {' '.join(group['characters'])}")
        told += [
            f"{name} {values['here']:g} (in training {values['in_training']:g})"
            for name, values in group["striking"].items()
        ]
        console.print(f"  a group unlike training: {escape('; '.join(told))}", soft_wrap=True)
    if "accuracy" not in figures:
        table = _table("predicted", ">here, %", ">in training, %")
        for row in figures["predicted_shares"]:
            table.add_row(_name(row["label"]), f"{100 * row['new']:.1f}", f"{100 * row['training']:.1f}")
        _print_table(console, "", table)


def _purposes(reads: list[dict[str, Any]]) -> str:
    return ", ".join(f"{read['when'][:10]} {escape(read['purpose'])}" for read in reads)


def comparison(value: dict[str, Any]) -> None:
    """Print runs side by side, then a verdict a pair."""
    console = _console()
    rows = sorted({name for run in value["runs"] for name in run["accuracy"]})
    table = _table("run", ">trainable", ">seconds", *(f">{name}" for name in rows))
    for run in value["runs"]:
        cells = [percent(run["accuracy"][name]) if name in run["accuracy"] else "-" for name in rows]
        table.add_row(
            escape(run["run"]), f"{run['trainable_parameters']:,}", f"{run['seconds']:,.0f}", *cells
        )
    _print_table(console, "accuracy, % with 95 % intervals", table)
    for pair in value["comparisons"]:
        console.print(f"{escape(pair['rows'])}: {escape(pair['verdict']['sentence'])}", soft_wrap=True)
    for note in value["notes"]:
        console.print(f"note: {escape(on_one_line(note))}", soft_wrap=True)


def study(record: dict[str, Any], folder: str) -> None:
    """Print what a search came to."""
    console = _console()
    recommended, cost = record["recommendation"], record["costs"]
    table = _table(">candidate", "", ">trainable", ">validation accuracy", ">below the best", "")
    for row in recommended["ranking"]:
        table.add_row(
            str(row["number"]),
            escape(row["name"]),
            f"{row['trainable_parameters']:,}",
            percent(row["accuracy"]),
            f"{abs(100 * row['difference']):.2f} (at most {abs(100 * row['low']):.2f})",
            row["verdict"],
            style="bold" if row["number"] == recommended["number"] else None,
        )
    _print_table(console, "the candidates of the last stage, % with 95 % intervals", table)
    console.print(f"note on the best one's figure: {recommended['optimistic']}.", soft_wrap=True)
    console.print(f"recommended: {escape(recommended['reason'])}.", style="bold", soft_wrap=True)
    console.print(
        f"cost: {cost['rows_seen']:,} rows seen in {cost['epochs']:g} epochs, {cost['seconds']['total']:,.0f} s, "
        f"{100 * cost['share_not_training']:.0f} % of it not training; the final run apart"
    )
    if test := record.get("test"):
        console.print(
            f"test, read {len(test['reads'])} time(s), for the final model: {percent(test['accuracy'])} % of {test['n']:,} rows"
        )
    console.print(
        f"study: {escape(folder)}; to look at: {escape(folder)}/report.html; the final run: {escape(folder)}/best",
        soft_wrap=True,
    )


def table(record: dict[str, Any], folder: str) -> None:
    """Print a published table that was trained again."""
    console = _console()
    why_not = record["published_left_out"]
    shown = _table(
        "row",
        ">trainable",
        *(() if why_not else (">published",)),
        ">epochs",
        ">test accuracy",
        *(() if why_not else (">published",)),
    )
    for row in record["table"]:
        shown.add_row(
            escape(row["name"]),
            f"{row['trainable_parameters']:,}",
            *(() if why_not else (f"{row['published_parameters']:,}",)),
            f"{row['epochs']:g}",
            percent(row["test"]),
            *(() if why_not else (f"{row['published']:.1f}",)),
        )
    n_rows = record["table"][0]["n"]
    _print_table(console, f"test accuracy, % with 95 % intervals, on {n_rows:,} rows", shown)
    if why_not:
        console.print(f"published figures are left out: {escape(why_not)}.", soft_wrap=True)
    console.print(
        "nothing was chosen by these figures: all rows were trained before the test rows were read, once for each."
    )
    console.print(f"study: {escape(folder)}; the runs: {escape(folder)}/rows", soft_wrap=True)


def exported(record: dict[str, Any]) -> None:
    """Print what an export came to."""
    console = _console()
    console.print(escape(record["sentence"]), soft_wrap=True)
    for note in record["notes"]:
        console.print(f"note: {escape(on_one_line(note))}", soft_wrap=True)
    zipped = f" and {escape(record['zip'])}" if record["zip"] else ""
    console.print(
        f"{record['format']}, {record['precision']} -> {escape(record['output'])}{zipped}; its README holds the lines that "
        "run it",
        soft_wrap=True,
    )


def audited(record: dict[str, Any]) -> None:
    """Print what an audit found."""
    console = _console()
    names = [split["name"] for split in record["splits"]]
    table = _table("issue", ">rows", *(f">{escape(name)}" for name in names))
    for each in record["issues"]:
        table.add_row(each["issue"], f"{each['n']:,}", *(f"{n:,}" for n in each["by_split"].values()))
    _print_table(console, f"{plural(record['n'], 'row')} in {plural(len(names), 'split')}", table)
    if looked := record["label_errors"]:
        console.print(
            f"label errors: by {escape(looked['by'])}, {looked['folds']}-fold over {looked['n']:,} rows, which agrees "
            f"with {100 * looked['agrees']:.1f} % of the labels",
            soft_wrap=True,
        )
    for note in record["notes"]:
        console.print(f"note: {escape(on_one_line(note))}", soft_wrap=True)
    output = escape(record["output"])
    console.print(f"ranked: {output}/issues.csv; to look at: {output}/audit.html", soft_wrap=True)


def answers(rows: list[dict[str, Any]]) -> None:
    """Print texts with their label and its probability."""
    table = _table("label", ">probability", "text")
    for row in rows:
        labels = row["labels"] if "labels" in row else [row["label"]]
        text = on_one_line(row["text"])
        text = text if len(text) <= 80 else text[:77] + "..."
        shown = [f"{row['probabilities'][label]:.3f}" for label in labels]
        table.add_row(", ".join(map(_name, labels)) or "-", ", ".join(shown) or "-", escape(text))
    _print_table(_console(), "", table)
