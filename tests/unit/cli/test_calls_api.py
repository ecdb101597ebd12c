"""Commands that hand their options on to the API: by the names and with the defaults that it has."""

import inspect

import pytest

from submillion import api
from submillion.cli.audit import command as audit
from submillion.cli.evaluate import command as evaluate
from submillion.cli.export import command as export

OWN = {"as_json", "files"}
"""What the command keeps to itself, or hands on by place."""

CALLS = [(audit, api.audit), (evaluate, api.evaluate), (export, api.export)]


@pytest.mark.parametrize(("command", "function"), CALLS, ids=["audit", "evaluate", "export"])
def test_every_option_is_an_argument_with_the_same_default(command, function):
    arguments = inspect.signature(function).parameters
    context = command.make_context(command.name, ["x"], resilient_parsing=True)
    options = {option.name: option for option in command.params if option.name not in OWN}
    assert set(options) <= set(arguments)
    for name, option in options.items():
        if not option.required:
            assert context.params[name] == arguments[name].default, name


@pytest.mark.parametrize("command", [audit, evaluate], ids=["audit", "evaluate"])
def test_no_texts_means_that_there_are_none(command):
    for given, wanted in (([], True), (["--no-texts"], False)):
        context = command.make_context(command.name, ["x", *given], resilient_parsing=True)
        assert context.params["has_texts"] is wanted
