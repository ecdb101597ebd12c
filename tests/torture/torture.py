"""Kill every verb at random moments and see that nothing is lost: `python tests/torture/torture.py --kills 100`.

Each trial kills one verb up to three times, each time on the way to its end, looks at what stands there, lets it come to
its end and compares what it came to with what an undisturbed one did. The seed is printed; the same seed draws the same
moments, though a kill by time hits another instruction each time.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kills import Ended, Event, draw_moment, in_child
from verbs import VERBS, Ground, Verb, left_over

import conftest  # noqa: F401 - sets the environment before anything heavy is imported

KILLS_A_TRIAL = 3


@dataclass
class Undisturbed:
    """What a verb does when nobody kills it."""

    value: Any
    events: list[Event]
    seconds: float


@dataclass
class Torture:
    """What has been done so far."""

    ground: Ground
    draw: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def undisturbed(self, verb: Verb) -> Undisturbed:
        """Let a verb do its work in peace."""
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            place = Path(folder)
            verb.lay(self.ground, place)
            ended = _well(in_child(lambda: verb.do(self.ground, place), place))
            value = _well(in_child(lambda: verb.came_to(self.ground, place), place)).value
            return Undisturbed(value, ended.events, ended.seconds)

    def trial(self, verb: Verb, expected: Undisturbed, at_most: int) -> None:
        """Kill a verb up to so many times on the way to its end, then compare."""
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            place = Path(folder)
            verb.lay(self.ground, place)
            told = []
            for _ in range(at_most):
                moment = draw_moment(self.draw, expected.events, expected.seconds)
                ended = in_child(lambda: verb.do(self.ground, place), place, moment)
                if not ended.killed:
                    self._note(verb, told, [ended.error] if ended.error else [])
                    break
                self.kills[verb.name] += 1
                where = "" if moment.event is None else f" ({' '.join(expected.events[moment.event])})"
                told.append(f"{moment}{where}")
                self._note(verb, told, [ended.error] if ended.error else [])
                looked = in_child(lambda: verb.lost(self.ground, place), place)
                self._note(verb, told, [looked.error] if looked.error else looked.value)
            done = in_child(lambda: verb.do(self.ground, place), place)
            value = in_child(lambda: verb.came_to(self.ground, place), place)
            if error := done.error or value.error:
                self._note(verb, told, [error])
            else:
                self._note(verb, told, _differing(expected.value, value.value))
                self._note(verb, told, [f"left over: {path}" for path in left_over(place)])
            print(f"{verb.name}: {'; '.join(told) or 'came through'}", flush=True)

    def _note(self, verb: Verb, told: list[str], found: list[str]) -> None:
        for problem in found:
            line = f"{verb.name}, killed at {'; '.join(told) or 'no moment'}: {problem}"
            self.problems.append(line)
            print(f"PROBLEM: {line}", flush=True)


def _well(ended: Ended) -> Ended:
    if ended.error:
        raise RuntimeError(ended.error)
    return ended


def _differing(expected: Any, found: Any, where: str = "") -> list[str]:
    """Return where two values of JSON differ."""
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        return [
            line
            for key in expected
            for line in _differing(expected[key], found[key], f"{where}.{key}".lstrip("."))
        ]
    return [] if expected == found else [f"{where}: {expected!r} is now {found!r}"]


def main() -> int:
    """Torture until so many kills are done; 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None, help="Default: drawn, and printed.")
    parser.add_argument("--verbs", nargs="*", default=[verb.name for verb in VERBS])
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    started = time.monotonic()
    _import_all()
    with tempfile.TemporaryDirectory(prefix="torture-ground-") as folder:
        ground = Ground(Path(folder))
        _well(in_child(ground.make, ground.path))
        torture = Torture(ground, random.Random(seed))
        verbs = [verb for verb in VERBS if verb.name in asked.verbs]
        expected = {verb.name: torture.undisturbed(verb) for verb in verbs}
        print(f"ready after {time.monotonic() - started:.0f} s", flush=True)
        while (left := asked.kills - torture.kills.total()) > 0:
            verb = min(verbs, key=lambda verb: torture.kills[verb.name])
            torture.trial(verb, expected[verb.name], min(left, KILLS_A_TRIAL))
    each = ", ".join(f"{count} in {name}" for name, count in torture.kills.items())
    print(
        f"{torture.kills.total()} kills ({each}), {len(torture.problems)} problems, {time.monotonic() - started:.0f} s, "
        f"seed {seed}"
    )
    return 1 if torture.problems else 0


def _import_all() -> None:
    """Import what the verbs import, and start no thread: a fork copies only the one that forks."""
    for name in (
        "matplotlib.backends.backend_agg",
        "matplotlib.backends.backend_svg",
        "optuna.storages",
        "peft",
        "sklearn.svm",
        "transformers.models.bert.modeling_bert",
        "submillion.evaluation.whole",
        "submillion.exporters.export",
        "submillion.prediction",
        "submillion.study.search",
    ):
        import_module(name)


if __name__ == "__main__":
    sys.exit(main())
