"""Flags made from recipe fields."""

import click
import pytest
from click.testing import CliRunner

from submillion.cli.main import COMMANDS
from submillion.cli.options import ONLY_IN_RECIPES, CommaList, Layers, given, recipe_options
from submillion.cli.train import command as train
from submillion.errors import ConfigError
from submillion.recipe import BudgetConfig, Recipe, field_sections, load_recipe


def parsed(*arguments: str, **options) -> dict:
    """Return the values of the flags as a command gets them."""
    caught: dict = {}

    @click.command()
    @recipe_options(**options)
    def command(**values):
        caught.update(values)

    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False, standalone_mode=False)
    assert result.exception is None
    return caught


def test_every_recipe_field_is_a_flag_of_train():
    flags = {flag: option for option in train.params for flag in option.opts}
    assert set(ONLY_IN_RECIPES) <= set(field_sections())
    for name, section in field_sections().items():
        if name in ONLY_IN_RECIPES:
            assert "--" + name.replace("_", "-") not in flags
            continue
        field = type(Recipe.model_fields[section].default).model_fields[name]
        option = flags["--" + name.replace("_", "-")]
        assert option.name == name
        assert option.help.startswith(field.description)
    assert "--seed" in flags


def test_no_flag_has_a_default_of_its_own():
    assert set(parsed().values()) == {None}
    assert given(parsed()) == {}


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (("--rank", "3"), "rank", 3),
        (("--r", "3"), "rank", 3),
        (("-r", "3"), "rank", 3),
        (("--learning-rate", "2e-4"), "learning_rate", 2e-4),
        (("--target-modules", "query,dense"), "target_modules", ("query", "dense")),
        (("--target-modules", "q"), "target_modules", ("q",)),
        (("--target-modules", " q , v ,"), "target_modules", ("q", "v")),
        (("--layers", "all"), "layers", "all"),
        (("--layers", "last:2"), "layers", "last:2"),
        (("--layers", "0, 1,5"), "layers", (0, 1, 5)),
        (("--layers", "3"), "layers", (3,)),
        (("--fp16",), "fp16", True),
        (("--no-fp16",), "fp16", False),
        (("--keep-checkpoints",), "keep_checkpoints", True),
        (("--head", "output"), "head", "output"),
        (("--report-to", "wandb,tensorboard"), "report_to", ("wandb", "tensorboard")),
        (("--text-columns", "title,description"), "text_columns", ("title", "description")),
        (("--lora-alpha", "0.5"), "lora_alpha", 0.5),
        (("--max-length", "64"), "max_length", 64),
        (("--num-train-epochs", "1.5"), "num_train_epochs", 1.5),
        (("--seed", "1"), "seed", 1),
        (("--class-weights", "balanced"), "class_weights", "balanced"),
        (("--class-weights", "a=b=5, ham=0.5"), "class_weights", {"a=b": 5.0, "ham": 0.5}),
        (("--model", "a/b"), "model", "a/b"),
    ],
)
def test_flags_become_values(arguments, name, value):
    assert given(parsed(*arguments)) == {name: value}


@pytest.mark.parametrize(
    "arguments",
    [("--rank", "x"), ("--head", "none"), ("--learning-rate", "fast"), ("--class-weights", "a=1,b=2,a=3")],
)
def test_wrong_values_are_wrong_usage(arguments):
    with pytest.raises(click.BadParameter):
        raise CliRunner().invoke(train, ["--output", "o", *arguments], standalone_mode=False).exception


def test_fields_can_be_chosen():
    names = set(parsed(only=tuple(BudgetConfig.model_fields)))
    assert names == set(BudgetConfig.model_fields) - set(ONLY_IN_RECIPES)


def test_zero_and_false_are_given():
    assert given({"a": 0, "b": False, "c": None, "d": ""}) == {"a": 0, "b": False, "d": ""}


@pytest.mark.parametrize("word", ["all", "none"])
def test_speedups_may_be_one_word_for_all(word):
    flags = {option.name: option for option in train.params}
    value = flags["speedups"].type.convert(word, None, None)
    assert load_recipe(speedups=value).training.speedups == word
    assert bool(load_recipe(speedups=value).training.pieces) == (word == "all")


def test_speedups_may_be_all_but_some():
    every = load_recipe().training.pieces
    for given_flag, left_out in (
        ("-packed", {"packed"}),
        ("-packed,-step_graphs", {"packed", "step_graphs"}),
    ):
        value = parsed(f"--speedups={given_flag}")["speedups"]
        assert load_recipe(speedups=value).training.pieces == every - left_out
    assert load_recipe(speedups="packed").training.pieces == {"packed"}


@pytest.mark.parametrize(
    ("value", "said"), [("-nothing", "called '-nothing'"), (("packed", "-fused_qkv"), "not both")]
)
def test_speedups_that_are_not_there_or_on_and_off_are_refused(value, said):
    with pytest.raises(ConfigError, match=said):
        load_recipe(speedups=value)


def test_lists_that_are_lists_already_stay():
    assert CommaList().convert(("a", "b"), None, None) == ("a", "b")
    assert Layers().convert((0, 1), None, None) == (0, 1)


def test_every_command_has_a_module_with_its_name():
    from importlib import import_module

    for name, sentence in COMMANDS.items():
        command = import_module(f"submillion.cli.{name}").command
        assert command.name == name
        assert command.help
        assert sentence.endswith(".")
