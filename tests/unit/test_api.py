"""The verbs from Python: what they refuse before anything is read."""

import inspect
import math

import pytest

import submillion
from submillion.errors import ConfigError
from submillion.recipe import BudgetConfig

TAKES = ", ".join(BudgetConfig.model_fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rate": 1.0}, f"plan has no field 'learning_rate': give only {TAKES}"),
        ({"seed": 1, "nothing": 2}, f"plan has no field 'seed', 'nothing': give only {TAKES}"),
        (
            {"lora_alpha": math.inf},
            "arguments: [budget] lora_alpha=inf: input should be a finite number",
        ),
    ],
)
def test_plan_refuses_what_is_not_of_the_budget(fields, message):
    with pytest.raises(ConfigError) as caught:
        submillion.plan("nowhere", 3, **fields)
    assert str(caught.value) == message


def test_a_format_needs_an_output():
    with pytest.raises(ConfigError) as caught:
        submillion.predict("nowhere", ["a text"], format="csv")
    assert str(caught.value) == "format='csv' needs output: name the file to write, or leave format out"


@pytest.mark.parametrize("verb", [submillion.predict, submillion.evaluate])
def test_options_stand_in_the_signature(verb):
    kinds = {parameter.kind for parameter in inspect.signature(verb).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    with pytest.raises(TypeError, match="unexpected keyword argument 'formt'"):
        verb("nowhere", ["a text"], formt="csv")
