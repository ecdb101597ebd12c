"""What no input may do, however it was made: hang, eat memory, end in a traceback; and how many are tried."""

import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from submillion.errors import SubmillionError

Answer = TypeVar("Answer")
COUNT = int(os.environ.get("SUBMILLION_FUZZ", "100"))
"""Inputs of each kind; `make fuzz` tries more of them than `make test`."""
SECONDS, MOST_BYTES = 10, 1 << 29
PIECES = [
    *(b'"', b"\n", b"\r", b"\0", b",", b"\t", b"\\", b"{", b"[", b"]", b"}", b"- ", b": ", b"#"),
    *(b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\\u0000", b"\\ud800"),
    *(
        b"1" * 5000,
        b"1e999",
        b"-1",
        b"NaN",
        b"null",
        b"true",
        b"&a ",
        b"*a",
        b"!!int ",
        b"!!timestamp ",
        b"<<: ",
    ),
    *(b"2147483648", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\0" * 8),
]


def attempt(call: Callable[[], Answer], content: object) -> tuple[Answer | None, str]:
    """Return what a call answers, or None and the message by which it refuses; anything else is a failure.

    Args:
        call: Reads what was written.
        content: What was written, for the report of a failure.
    """
    with bounded():
        try:
            return call(), ""
        except SubmillionError as error:
            message = str(error)
        except Exception as error:
            raise AssertionError(f"{error!r} from {content!r}") from error
    assert message.strip(), content
    return None, message


@contextmanager
def bounded() -> Iterator[None]:
    """Fail where the body takes 10 s, makes the process grow by half a gigabyte, or drops an exception unseen."""
    unraisable: list[Any] = []
    before, hook = _most_bytes(), sys.unraisablehook
    sys.unraisablehook = unraisable.append
    handler = signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        sys.unraisablehook = hook
    assert not unraisable, f"dropped: {unraisable[0].exc_value!r} in {unraisable[0].object!r}"
    assert _most_bytes() - before < MOST_BYTES


def _most_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _too_long(*_: Any) -> None:
    raise AssertionError(f"still at work after {SECONDS} s")


def changed(content: bytes, draw: random.Random) -> bytes:
    """Return bytes with one to four changes: cut out, doubled, cut off, a byte changed, a piece put in."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(content) + 1)
        to = min(len(content), at + draw.randint(1, 40))
        content = draw.choice(
            [
                content[:at] + content[to:],
                content[:to] + content[at:],
                content[:at],
                content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :],
                content[:at] + draw.choice(PIECES) + content[at:],
            ]
        )
    return content
