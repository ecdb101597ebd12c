"""Whether other processes take the cores that training counts on (Linux).

Threads of one product wait for each other at its end. Where one of them has to wait for a core, all do, thousands of times a step:
beside a single busy process on two cores, two threads train many times slower than one.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CROWDED = 0.2
"""Share of the time that threads wait for a core, from which on it is told of."""


@dataclass
class Crowding:
    """What a stretch of time was like.

    Attributes:
        share: Seconds that this process's threads waited for a core, over the seconds that passed; 0 where the system does
            not tell.
    """

    share: float = 0.0

    def sentence(self, n_threads: int) -> str | None:
        """Return what to do, where training runs on so many threads; None where there is nothing to say.

        >>> Crowding(0.5).sentence(1), Crowding(0.05).sentence(2)
        (None, None)
        """
        if self.share < CROWDED or n_threads < 2:
            return None
        return (
            f"other processes use the cores: the {n_threads} threads here waited for one {100 * self.share:.0f} % of the time, and for "
            "each other; with fewer (OMP_NUM_THREADS=1) training may be several times as fast"
        )


@contextmanager
def measured_crowding() -> Iterator[Crowding]:
    """Measure while the block runs; the result is there at its end."""
    found, started, before = Crowding(), time.perf_counter(), _waited_seconds()
    yield found
    found.share = max(0.0, _waited_seconds() - before) / (time.perf_counter() - started)


def _waited_seconds(tasks: Path = Path("/proc/self/task")) -> float:
    """Return how long the threads that live now have waited for a core, summed (Documentation/scheduler/sched-stats)."""
    total = 0
    for task in tasks.glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[1])
        except (
            OSError,
            ValueError,
            IndexError,
        ):  # a thread that has just ended, or a kernel that doesn't count
            continue
    return total / 1e9
