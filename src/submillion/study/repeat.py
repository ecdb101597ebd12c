"""The command line that repeats one training of a study by itself, as `submillion train`."""

import json
import math
import shlex
from collections.abc import Mapping
from typing import Any

from submillion.recipe import SOURCE_FIELDS, Recipe, field_sections, load_recipe
from submillion.study.recipe import FILL


def candidate_recipe(base: Recipe, candidate: Mapping[str, Any]) -> Recipe:
    """Return a candidate's recipe, from its line in `study.json`.

    A rank that fills the budget becomes the number that it came to, for a command line has no word for it.

    Args:
        base: What all candidates share.
        candidate: Its line; it was planned.
    """
    recipe = load_recipe(base, **{key: value for key, value in candidate["varied"].items() if value != FILL})
    budget = recipe.budget
    is_filled = candidate["varied"].get("rank") == FILL or (budget.rank is None and budget.max_rank is None)
    rank = candidate["rank"] if is_filled else budget.rank
    # Beside a rank that is given, the largest one that may be chosen means nothing.
    max_rank = budget.max_rank if rank is None else type(budget)().max_rank
    return load_recipe(recipe, rank=rank, max_rank=max_rank)


def for_epochs(recipe: Recipe, epochs: float | None, patience: int | None) -> Recipe:
    """Return the recipe with its epochs and its patience laid down; no patience: it never stops early.

    >>> for_epochs(load_recipe(), 2.5, None).training.early_stopping_patience
    3
    """
    if patience is None and epochs is not None:
        patience = math.ceil(epochs)
    return load_recipe(recipe, num_train_epochs=epochs, early_stopping_patience=patience)


def repeat_command(recipe: Recipe, sources: Mapping[str, str | None], output: str) -> str:
    """Return the shell line that trains by a recipe: every field that differs from the defaults, as an option.

    What no option can say, such as a null, goes into a small recipe file, which a line before it writes.

    Args:
        recipe: What to train.
        sources: Where the rows of train, validation and test come from, as `study.json` has it.
        output: The run folder.

    >>> repeat_command(load_recipe(rank=4, seed=1), {"train": "my rows.csv"}, "runs/4")
    "submillion train --train 'my rows.csv' --rank 4 --seed 1 --output runs/4"
    """
    options: list[str] = []
    for name in SOURCE_FIELDS:
        if (source := sources.get(name)) is not None:
            options += [f"--{name}", f"{name.upper()}.csv" if is_in_memory(source) else source]
    plain, beside = Recipe(), dict[str, dict[str, Any]]()
    for name, section in field_sections().items():
        value = getattr(getattr(recipe, section), name)
        if name in SOURCE_FIELDS or value == getattr(getattr(plain, section), name):
            continue
        words = _option(name, value)
        options += words
        if not words:
            beside.setdefault(section, {})[name] = value
    lines = []
    if beside:
        file = f"{output.rsplit('/', 1)[-1]}.yaml"
        lines.append(f"printf '%s\\n' {shlex.quote(json.dumps(beside))} > {shlex.quote(file)}")
        options = ["--recipe", file, *options]
    options += ["--seed", str(recipe.seed), "--output", output]
    return "\n".join([*lines, shlex.join(["submillion", "train", *options])])


def is_in_memory(source: str) -> bool:
    """Whether a source was no file, but rows that a program held.

    >>> is_in_memory("<DataFrame in memory>"), is_in_memory("rows.csv")
    (True, False)
    """
    return source.startswith("<") and source.endswith(" in memory>")


def _option(name: str, value: Any) -> list[str]:
    """Return a field as the command's option; nothing where there is none that says it.

    >>> _option("fp16", True), _option("layers", (0, 2)), _option("num_train_epochs", 3.0), _option("head", None)
    (['--fp16'], ['--layers', '0,2'], ['--num-train-epochs', '3'], [])
    """
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, tuple):
        parts = [str(part) for part in value]
        is_plain = all(part and part == part.strip() and "," not in part for part in parts)
        return [flag, ",".join(parts)] if is_plain else []
    if isinstance(value, float):
        return [flag, str(int(value)) if value.is_integer() else repr(value)]
    return [flag, str(value)] if isinstance(value, str | int) else []
