"""Every message that a user can see says what to do, and what it is about."""

import re
import sys

import pytest

from conftest import ROOT
from submillion import errors

sys.path.insert(0, str(ROOT / "docs"))
import messages

WHAT_TO_DO = re.compile(
    r"\b(give|name|use|choose|put|save|copy|train|write|pip install|leave|lower|raise|free|add|remove|fetch|make|wait|close|"
    r"shorten|quote|unpack|reinstall|convert|change|keep|go on|check|adapt|build|draw|fit|take|say|pass|search|ask|"
    r"must|at least|at most|only|needs|one of|set|compare|which is none of|did you mean|has to be)\b",
    re.IGNORECASE,
)
FILLED_IN = re.compile(r"<(what to do|advice|hint|instead|problems|reasons|error)>")
"""What another function fills in with words of its own; a problem in a list is held to the rule by its own line."""

ALL = messages.messages()
WHOLE = [message for message in ALL if message.kind != "part"]


def test_the_source_is_read():
    kinds = {message.kind for message in ALL}
    assert kinds == {*messages.KINDS, "part"}
    assert len(WHOLE) > 200
    assert set(messages.KINDS) - {"UsageError"} == {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind is not errors.SubmillionError
    }
    assert any(
        message.text.startswith(
            "<path>: not UTF-8: byte <at> (0x<line>, line <n lines>) cannot be decoded; the file is in"
        )
        for message in ALL
    ), "the answers of a function that explains"


@pytest.mark.parametrize("message", WHOLE, ids=lambda message: f"{message.module}: {message.text[:60]}")
def test_it_says_what_to_do(message):
    assert WHAT_TO_DO.search(message.text) or FILLED_IN.search(message.text), message.text
    assert (
        "<" in message.text or "=" in message.text or "--" in message.text or len(message.text.split()) > 5
    ), message.text
