"""What a run spends its time on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from submillion.run import RunFolder


class Seconds:
    """What a run has spent its time on, kept in its `run.json` at once, so that a resumption adds to it."""

    def __init__(self, folder: RunFolder):
        self.folder = folder
        self.parts: dict[str, float] = {
            name: value for name, value in folder.read().get("seconds", {}).items() if name != "total"
        }

    def set(self, name: str, value: float) -> None:
        """Set the seconds of a part, and with it the total."""
        self.parts[name] = round(value, 1)
        self.folder.update(seconds=self.parts | {"total": round(sum(self.parts.values()), 1)})

    def add(self, name: str, value: float) -> None:
        """Add to the seconds of a part."""
        self.set(name, self.parts.get(name, 0.0) + value)

    @contextmanager
    def spent_on(self, name: str) -> Iterator[None]:
        """Add the seconds that the block takes to a part."""
        started = time.monotonic()
        yield
        self.add(name, time.monotonic() - started)
