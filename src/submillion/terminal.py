"""What is printed on a terminal: texts, labels, file names and messages cannot steer it.

A text may hold the escape sequences that move the cursor, rename the window or hide what follows, and the characters that
turn the direction of writing. Everything the command prints goes through `harmless`: by `Console`, or by the command's own
lines.
"""

import re
from typing import Any

import rich.console
from rich.text import Text

from submillion.shortened import MOST_LETTERS, by_its_ends

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline; 0x9b alone begins a sequence too
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # direction and lines
    "\ud800-\udfff]"  # halves of a character, which no terminal's encoding holds
)


def harmless(text: str) -> str:
    r"""Return ``text`` with each character that steers a terminal as its escape; newline and tab stay.

    A JSON document stays one, and means the same.

    >>> harmless("\x1b[2Jgone \u202e\tback")
    '\\u001b[2Jgone \\u202e\tback'
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def on_one_line(text: str) -> str:
    r"""Return a name or a sentence on one line, harmless: line breaks and tabs as their escapes too.

    >>> on_one_line("a label\nof two lines \x1b[2J")
    'a label\\nof two lines \\u001b[2J'
    """
    return harmless(text.replace("\n", "\\n").replace("\t", "\\t"))


def shown_name(name: str, most: int = MOST_LETTERS) -> str:
    r"""Return the name of a label, or a value of a column, on one line; a long one by its ends.

    >>> shown_name("two\nlines")
    'two\\nlines'
    """
    return by_its_ends(on_one_line(name), most)


class Console(rich.console.Console):
    """A console that prints no character that steers it, other than its own styles, and ``:cat:`` as it stands."""

    def __init__(self, **how: Any):
        super().__init__(emoji=False, **how)

    def render_str(self, text: str, **how: Any) -> Text:
        """Return markup as text, made harmless."""
        return super().render_str(harmless(text), **how)
