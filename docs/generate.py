"""Write the reference of commands, recipe keys and speed-ups from the code, or check that what stands is up to date.

python docs/generate.py           write docs/reference/*.md
python docs/generate.py --check   exit 1 where a page differs from the code
"""

import sys
import typing
from importlib.resources import files
from pathlib import Path

import click

from submillion.budget.count import size
from submillion.budget.families import FAMILIES
from submillion.budget.methods import METHODS
from submillion.cli.main import COMMANDS, cli
from submillion.recipe import Recipe, Section, recipe_names
from submillion.speedups import SPEEDUPS
from submillion.study.recipe import VARIABLE, FinalConfig, SearchConfig, StageConfig, TableConfig, TableRow

REFERENCE = Path(__file__).parent / "reference"
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "bad_input"))
import cases  # noqa: E402

import messages  # noqa: E402
import pieces  # noqa: E402


def commands_page() -> str:
    """Return every command's help, as the terminal shows it."""
    parts = ["# Commands\n\nGenerated from the code by `make docs`.\n"]
    group = click.Context(cli, info_name="submillion", terminal_width=100, max_content_width=100)
    parts.append(f"## submillion\n\n```text\n{cli.get_help(group)}\n```\n")
    for name in COMMANDS:
        command = cli.get_command(group, name)
        assert command is not None
        context = click.Context(
            command, info_name=name, parent=group, terminal_width=100, max_content_width=100
        )
        parts.append(f"## submillion {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def recipe_page() -> str:
    """Return a table of every recipe key, and the recipes that come with the package."""
    lines = [
        "# Recipe keys",
        "",
        "Generated from the code by `make docs`. A recipe is a YAML file of these sections; every key is a flag of",
        "`submillion train` too, with dashes. `extends: NAME` lays a recipe over another. Flags override recipes.",
        "",
        f"Top level: `seed` (default {Recipe.model_fields['seed'].default}). {Recipe.model_fields['seed'].description}",
    ]
    for section in Recipe.SECTIONS:
        lines += _section(section, type(Recipe.model_fields[section].default))
    lines += [
        "",
        "## Sections of a search",
        "",
        "A recipe of `submillion search` has these besides. `space` holds, for each field that varies, a list of values or",
        "a range (`{low: 1.0e-4, high: 1.0e-2, log: true}`); `rank: fill` is the largest within the budget. These may vary:",
        f"{', '.join(f'`{name}`' for name in VARIABLE)}.",
    ]
    for section, model in (
        ("search", SearchConfig),
        ("stages: a list of", StageConfig),
        ("final", FinalConfig),
        ("table: in place of a space", TableConfig),
        ("table.rows: a list of", TableRow),
    ):
        lines += _section(section, model)
    lines += ["", "## Recipes that come with the package", ""]
    for name in recipe_names():
        text = (files("submillion") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
        lines += [f"### {name}", "", "```yaml", text.rstrip(), "```", ""]
    return "\n".join(lines)


def _section(name: str, model: type[Section]) -> list[str]:
    lines = [
        "",
        f"## {name}",
        "",
        str(model.__doc__),
        "",
        "| key | values | default | meaning |",
        "|---|---|---|---|",
    ]
    for key, field in model.model_fields.items():
        values = _values(field.annotation).replace("|", "\\|")
        meaning = str(field.description).replace("|", "\\|")
        default = "required" if field.is_required() else _default(field.default)
        lines.append(f"| `{key}` | {values} | {default} | {meaning} |")
    return lines


def speed_page() -> str:
    """Return a table of the speed-ups, and of which family each serves."""
    fast = ", ".join(f"`{name}`" for name, family in FAMILIES.items() if family.has_fast_block)
    lines = [
        "# Speed-ups",
        "",
        "Generated from the code by `make docs`. `speedups` in a recipe's `training` section (or `--speedups`) takes `all`,",
        "`none`, or names of this table. Where a family has no piece, the plain transformers and PEFT code runs in its place.",
        "",
        "What each brings was measured by `python benchmarks/pieces.py` (all-MiniLM-L6-v2, rank 3 on query and dense, batches of",
        "16 AG News rows, bf16, 2 cores): how much longer a row takes without it, and how much more memory the peak is. Pieces",
        "lean on each other, so the shares do not add up; differences below an eighth are noise (`step_graphs` does nothing on a CPU). What `step_graphs` brings a GPU:",
        "[train fast](../how-to/train-fast.md#on-a-gpu).",
        "",
        f"| name | what it does | without it | where | {fast} | other families |",
        "|---|---|---|---|---|---|",
    ]
    shares = pieces.shares_of("minilm")
    for name, speedup in SPEEDUPS.items():
        time, memory = shares.get(name, (1.0, 0.0))
        measured = f"{100 * (time - 1):+.0f} % time, {memory:+.2f} GB" if name in shares else "not measured"
        others = "yes" if speedup.serves == "any" else "plain"
        lines.append(
            f"| `{name}` | {speedup.what} | {measured} | `submillion.{speedup.where}` | yes | {others} |"
        )
    models = {"roberta-base": "RoBERTa-base (random weights)", "minilm": "all-MiniLM-L6-v2"}
    found = [pieces.newest_profile(model) for model in models]
    rows = {
        **{group: [each["groups"][group] for each in found] for group in pieces.GROUPS},
        "Python, small operators, the optimizer, the profiler": [each["rest"] for each in found],
        "a step": [each["milliseconds_per_step"] for each in found],
        "all counted work at the processor's best rate": [each["at_the_best_rate"] for each in found],
    }
    lines += [
        "",
        "## Where a step's time goes",
        "",
        "Milliseconds a step in the mean, profiled (`python benchmarks/pieces.py --profile --rounds 1`, and with `--model roberta-base`), same settings:",
        "",
        f"| | {' | '.join(models.values())} |",
        "|---|---|---|",
        *(f"| {name} | {' | '.join(f'{value:.0f}' for value in values)} |" for name, values in rows.items()),
    ]
    return "\n".join([*lines, ""])


def families_page() -> str:
    """Return a table of the families of encoders, and what the named target sets are in each."""
    names = ("q", "qv", "qkv", "attention", "all-linear")
    lines = [
        "# Families of encoders",
        "",
        "Generated from the family table (`submillion.budget.families`) by `make docs`. A family is the `model_type` of an encoder's",
        "`config.json`; MiniLM encoders are `bert`, DeBERTa v3 is `deberta-v2`. `target_modules` takes the named sets below, letters of",
        "`q k v o`, or patterns as PEFT matches them (a suffix of the module's name). A dash: the family holds query, key and value in one",
        "layer, which is adapted whole or not at all.",
        "",
        f"| family | {' | '.join(f'`{name}`' for name in names)} | `default` | head (pooling `first`) | starts at random | fast path |",
        f"|---|{'---|' * (len(names) + 4)}",
    ]
    for name, family in sorted(FAMILIES.items()):
        sets = [", ".join(family.named_sets().get(each, ("-",))) for each in names]
        random = [layer for layer in family.head if layer not in family.pretrained_head]
        note = " (all blocks are one: an adapter on it counts once)" if family.has_shared_blocks else ""
        lines.append(
            f"| `{name}`{note} | {' | '.join(sets)} | {', '.join(family.default_targets())} | {', '.join(family.head)} "
            f"| {', '.join(random)} | {'yes' if family.has_fast_block else 'plain'} |"
        )
    lines += [
        "",
        "What starts at random is what an ordinary pretrained checkpoint does not hold; `plan` reads the checkpoint's own header where it",
        "can be had. With pooling `mean` the head is one linear layer, at random or from the probe, in every family.",
    ]
    return "\n".join([*lines, ""])


def methods_page() -> str:
    """Return a table of the methods: what each trains, and its count."""
    lines = [
        "# Methods",
        "",
        "Generated from the methods table (`submillion.budget.methods`) by `make docs`. `--method` of `plan`, `train` and `search` takes",
        "one of these, by PEFT's own name (`bitfit` is PEFT's BEFT). The count is of one layer of `d_out` outputs and `d_in` inputs at",
        "rank `r` (of `oft` and `boft` the block size); beside it that of a layer of 384 x 384 at rank 8.",
        "",
        "| method | trains | source | count of a layer | at 384 x 384 | open rank, at most | scale | fast path | merges |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, method in METHODS.items():
        count = f"{size(method.trained(8, 384, 384)):,}" if method.adapts == "linear" else "-"
        lines.append(
            f"| `{name}` | {method.about} | {method.source} | {method.formula} | {count} "
            f"| {method.usual_rank if method.has_rank else 'no rank'} | {'`lora_alpha`' if method.has_alpha else '-'} "
            f"| {'yes' if method.has_fast_path else 'plain'} | {'yes' if method.merges else 'no'} |"
        )
    return "\n".join([*lines, ""])


def bad_input_page() -> str:
    """Return what each bad input of the tests is answered with."""
    lines = [
        "# Bad input",
        "",
        "Generated by `make docs` from `tests/bad_input/manifest.yaml`, which a test holds the command to. Each of these ends with",
        "status 1 and leaves what was there as it was; nothing that a file asks for is run. `...` stands for what another library",
        "says, or for a folder's place. The files are in `tests/bad_input/files`; `made.py` beside it makes the large ones, and models,",
        "adapters and runs with one thing wrong in them.",
        "",
        "Whatever is printed, control characters, escape sequences and marks of direction in texts, labels and names of files are shown",
        "as `\\u001b` and the like; in `report.html` they and HTML are text too.",
    ]
    headings = {
        "data": "Rows to train on",
        "input": "Rows to label",
        "recipe": "Recipes",
        "model": "Encoders",
        "adapter": "Adapters",
        "run": "Run folders",
    }
    for kind, heading in headings.items():
        lines += [
            "",
            f"## {heading}",
            "",
            f"`submillion {cases.COMMANDS[kind]}`",
            "",
            "| FILE | message |",
            "|---|---|",
        ]
        for case in cases.cases():
            if case.kind == kind:
                message = "<br>".join(_cell(line) for line in case.says)
                lines.append(f"| `{case.file}` | {message} |")
    return "\n".join([*lines, ""])


def errors_page() -> str:
    """Return every message by which something is refused, by the part of the package that says it."""
    lines = [
        "# Errors",
        "",
        "Generated by `make docs` from the source. Every mistake that a user can make ends in one of these, as one line after `error:`",
        "with exit status 1 (2 for a flag that is not known), and as an exception of that name in Python, all of them a",
        "`submillion.SubmillionError`. Each says what is wrong and where, and what is allowed or what to do.",
        "Anything else that ends in a traceback is a fault of this package: please report it.",
        "",
        "`<...>` is filled in; of `[... | ...]` one is said. A *part* is a reason inside another message. What flags and recipe keys may hold is",
        "in [recipe keys](recipe.md); their messages name the key, the value and what is allowed. See also",
        "[bad input](bad-input.md): what broken files are answered with, word for word.",
    ]
    place = ""
    for message in messages.messages():
        found = message.module.partition("/")[0]
        if found != place:
            place = found
            lines += ["", f"## `{place}`", "", "| error | message |", "|---|---|"]
        kind = "*part*" if message.kind == "part" else f"`{message.kind}`"
        lines.append(f"| {kind} | {_cell(message.text)} |")
    return "\n".join([*lines, ""])


def _cell(line: str) -> str:
    """Return a message as a cell of a table, in which no sign of it means anything."""
    for sign in "\\`*_[]<>|":
        line = line.replace(sign, f"\\{sign}")
    return line


def _values(annotation: object) -> str:
    """Return an annotation in words."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is dict:
        return "mapping of " + " to ".join(map(_values, typing.get_args(annotation)))
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "mappings, see below"
    alternatives = [a for a in typing.get_args(annotation) if a is not type(None)] or [annotation]
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return "list of " + _values(typing.get_args(annotation)[0])
    if len(alternatives) > 1 or alternatives[0] is not annotation:
        return " or ".join(_values(a) for a in alternatives if a is not Ellipsis)
    return {int: "integer", float: "number", str: "text", bool: "true or false"}.get(
        annotation, str(annotation)
    )  # type: ignore[call-overload]


def _default(value: object) -> str:
    return (
        "-"
        if value is None or value == ()
        else f"`{str(value).lower() if isinstance(value, bool) else value}`"
    )


def main() -> int:
    """Write the pages, or compare them."""
    pages = {
        "commands.md": commands_page(),
        "recipe.md": recipe_page(),
        "speed.md": speed_page(),
        "families.md": families_page(),
        "methods.md": methods_page(),
        "bad-input.md": bad_input_page(),
        "errors.md": errors_page(),
    }
    outdated = []
    for name, text in pages.items():
        path = REFERENCE / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        outdated.append(str(path))
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if outdated and "--check" in sys.argv:
        print(f"out of date: {', '.join(outdated)}; run: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
