"""When a process is killed: at a random time, or at one of the moments at which a file is made, filled or renamed.

A trial is a child that is forked once everything is imported, for the imports cost 6 s and a trial costs less.
"""

import ctypes
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Event = tuple[str, str]
"""A file operation that is about to happen: what, and on which path."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_ON_ONE_PATH = {"os.mkdir": "mkdir", "os.remove": "remove", "os.rmdir": "rmdir", "shutil.rmtree": "rmtree"}


@dataclass(frozen=True)
class Moment:
    """When a process is killed by SIGKILL.

    Attributes:
        event: Before which file operation, counted from 0; None: at a time.
        after_s: Seconds after the event, or after the start.
        halves: Whether an fsync at that event leaves only half of its file.
    """

    event: int | None
    after_s: float = 0.0
    halves: bool = False

    def __str__(self) -> str:
        where = "" if self.event is None else f"file operation {self.event}"
        when = f"{self.after_s:.3f} s" if self.event is None or self.after_s else ""
        return " + ".join(part for part in (where, when) if part) + (", half a file" if self.halves else "")


def draw_moment(draw: random.Random, events: list[Event], seconds: float) -> Moment:
    """Draw a moment, two in three of them at a file operation: of a kind first, so that the rare ones are hit."""
    if draw.random() < 1 / 3 or not events:
        return Moment(None, draw.uniform(0, seconds))
    kind = draw.choice(sorted({kind for kind, _ in events}))
    index = draw.choice([index for index, event in enumerate(events) if event[0] == kind])
    if kind == "fsync" and draw.random() < 0.5:
        return Moment(index, halves=True)
    return Moment(index, draw.choice([0.0, draw.uniform(0, 0.02)]))


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        killed: Whether by SIGKILL.
        value: What its function returned, None where it did not come to its end.
        error: Its traceback, empty where there is none.
        events: File operations under the folder watched, of one that came to its end.
        seconds: How long it ran.
    """

    killed: bool
    value: Any
    error: str
    events: list[Event]
    seconds: float


def in_child(work: Callable[[], Any], watched: Path, moment: Moment | None = None) -> Ended:
    """Do ``work`` in a forked child, killed at a moment if one is given, and say how it ended.

    Args:
        work: What it returns goes through JSON.
        watched: File operations count below this folder.
        moment: When it is killed.
    """
    reached, reaching = os.pipe()
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            os.close(reached)
            _be_the_child(work, watched, moment, reaching, Path(answer.name))
        os.close(reaching)
        _kill_in_time(child, reached, moment)
        _, status = os.waitpid(child, 0)
        os.close(reached)
        seconds = time.monotonic() - started
        text = Path(answer.name).read_text(encoding="utf-8")
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        expected = moment is not None and number == signal.SIGKILL
        return Ended(True, None, "" if expected else f"ended by signal {number}", [], seconds)
    told = json.loads(text)
    return Ended(False, told["value"], told["error"], [(k, p) for k, p in told["events"]], seconds)


def _kill_in_time(child: int, reached: int, moment: Moment | None) -> None:
    """Kill a child so long after its start, or after it has said that it reached its event."""
    if moment is None:
        return
    if moment.event is None:
        deadline = time.monotonic() + moment.after_s
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            time.sleep(min(0.005, max(0.0, deadline - time.monotonic())))
    else:
        if not os.read(reached, 1):  # it ended, or has killed itself
            return
        time.sleep(moment.after_s)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def _be_the_child(
    work: Callable[[], Any], watched: Path, moment: Moment | None, reaching: int, answer: Path
) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with its parent
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    value, error = None, ""
    events: list[Event] = []
    try:
        _watch(watched, events, moment, reaching)
        value = work()
    except BaseException:
        error = traceback.format_exc()
    with answer.open("w", encoding="utf-8") as file:
        json.dump({"value": value, "error": error, "events": list(events)}, file)
    os._exit(0)


def _watch(folder: Path, events: list[Event], moment: Moment | None, reaching: int) -> None:
    """Note each file operation under ``folder`` before it happens, and die or say so at the one of the moment.

    By Python's audit events (PEP 578), and by `os.fsync`, which has none. What C and Rust write between them is hit by time,
    and by the fsync that leaves half a file.
    """
    root = f"{folder.resolve()}/"

    def happens(kind: str, path: str, descriptor: int | None = None) -> None:
        if not path.startswith(root):
            return
        events.append((kind, path.removeprefix(root)))
        if moment is None or moment.event != len(events) - 1:
            return
        if moment.halves and descriptor is not None:
            os.truncate(f"/proc/self/fd/{descriptor}", os.fstat(descriptor).st_size // 2)
        if moment.after_s:
            os.write(reaching, b"!")
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and flags & _WRITING:
                happens("open", os.fsdecode(path))
        elif event == "os.rename":
            happens("rename", os.fsdecode(arguments[1]))
        elif event in _ON_ONE_PATH:
            happens(_ON_ONE_PATH[event], _absolute(arguments))

    sys.addaudithook(audited)
    plain = os.fsync

    def fsync(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        happens("fsync", os.readlink(f"/proc/self/fd/{number}"), number)
        plain(number)

    os.fsync = fsync


def _absolute(arguments: tuple[Any, ...]) -> str:
    """Return the path of an audit event, which `shutil.rmtree` gives relative to an open folder."""
    path, *rest = arguments
    name = os.fsdecode(path)
    folder = next((value for value in reversed(rest) if isinstance(value, int) and value > 2), None)
    if name.startswith("/") or folder is None:
        return name
    try:
        return f"{os.readlink(f'/proc/self/fd/{folder}')}/{name}"
    except OSError:
        return name
