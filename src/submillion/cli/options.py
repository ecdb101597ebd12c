"""Flags made from recipe fields, so that their help is written once."""

import types
import typing
from collections.abc import Callable
from typing import Any, Literal

import click

from submillion.budget.plan import ALLOCATE, USUAL
from submillion.recipe import CHOOSE, Recipe, field_sections

ONLY_IN_RECIPES = ("rank_pattern",)
"""Fields that are no flags: they hold more than a command line is good for."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def recipe_options(*, only: tuple[str, ...] | None = None, shows_defaults: bool = True) -> Decorator:
    """Return a decorator that adds a flag for each recipe field, none of them with a value of its own.

    Args:
        only: The fields that get a flag; None: all of them, and the seed.
        shows_defaults: Whether help names the recipe's defaults: not where a command leaves the field open.
    """
    names = [
        name for name in field_sections() if name not in ONLY_IN_RECIPES and (only is None or name in only)
    ]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if only is None:
            function = _option("seed", Recipe.model_fields["seed"], shows_defaults)(function)
        for name in reversed(names):
            section = Recipe.model_fields[field_sections()[name]].default
            function = _option(name, type(section).model_fields[name], shows_defaults)(function)
        return function

    return decorate


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the flags that were given, lists split at their commas."""
    return {name: value for name, value in values.items() if value is not None}


class CommaList(click.ParamType[Any]):
    """Values separated by commas."""

    name = "a,b,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Split at commas."""
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )


text_columns_option = click.option(
    "--text-columns", type=CommaList(), help="Columns joined by a space into the text."
)
text_pair_column_option = click.option(
    "--text-pair-column", help="Column of the second text, of rows that are pairs."
)
label_column_option = click.option("--label-column", help="Column of the label.")


class Layers(click.ParamType[Any]):
    """`all`, `last:K`, or block numbers separated by commas."""

    name = "all|last:K|0,1,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Split numbers at commas; leave words as they are."""
        parts = str(value).split(",")
        return tuple(int(part) for part in parts) if all(part.strip().isdigit() for part in parts) else value


class NumberOr(click.ParamType[Any]):
    """A number, or a word in its place."""

    def __init__(self, number: click.ParamType[Any], word: str):
        self.number, self.word = number, word
        self.name = f"{number.name}|{word}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a number; leave the word as it is."""
        return value if value == self.word else self.number.convert(value, param, ctx)


class Weights(click.ParamType[Any]):
    """`balanced`, or labels with their weights."""

    name = "balanced|label=weight,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Split at commas, and each part at its last sign of equality."""
        if not isinstance(value, str) or "=" not in value:
            return value
        parts = [part.rpartition("=") for part in value.split(",") if part.strip()]
        labels = [label.strip() for label, _, _ in parts]
        if twice := [label for label in labels if labels.count(label) > 1]:
            self.fail(f"{value!r} gives {twice[0]!r} twice: give each label one weight", param, ctx)
        try:
            return {label.strip(): float(weight) for label, _, weight in parts}
        except ValueError:
            self.fail(f"{value!r} is neither balanced nor a list such as spam=5,ham=1", param, ctx)


NUMBERS_OR_WORDS = {
    "rank": NumberOr(click.INT, ALLOCATE),
    "max_rank": NumberOr(click.INT, USUAL),
    "adapter_scale": NumberOr(click.FLOAT, CHOOSE),
}
"""The fields that are a number or one word."""


def _option(name: str, field: Any, shows_default: bool) -> Decorator:
    flag = "--" + name.replace("_", "-")
    default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    meaning, _, told = field.description.partition(" Default: ")
    shown = ""
    if shows_default:
        shown = f" Default: {told}" if told else "" if default in (None, "") else f"  [default: {default}]"
    arguments: dict[str, Any] = {"default": None, "help": meaning + shown}
    if field.annotation is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, **arguments)
    flags = (flag, "-r", "--r") if name == "rank" else (flag,)
    return click.option(*flags, name, type=_click_type(name, field.annotation), **arguments)


def _click_type(name: str, annotation: Any) -> Any:
    """Return how click reads a field of this annotation."""
    if name == "layers":
        return Layers()
    if name == "class_weights":
        return Weights()
    if name in NUMBERS_OR_WORDS:
        return NUMBERS_OR_WORDS[name]
    choices = [a for a in _alternatives(annotation) if a is not type(None)]
    for choice in choices:
        if typing.get_origin(choice) is Literal:
            return click.Choice(typing.get_args(choice))
        if typing.get_origin(choice) is tuple:
            return CommaList()
    return choices[0]


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)
