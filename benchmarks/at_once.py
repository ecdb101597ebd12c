"""Run many benchmark commands at once, so that a card that one training leaves idle is kept busy.

    python benchmarks/at_once.py JOBS [--processes 16] [--seconds 500]

JOBS is a file with a line a command, most wanted first, such as `accuracy.py --data r52 --seeds 0`. Each runs in a process of its own with one
thread; what a command prints goes to `runs/at_once/NUMBER.log`. After so many seconds what still runs is killed; every benchmark
goes on where it stopped. Small batches leave a large card nearly idle: sixteen trainings of all-MiniLM-L6-v2 on an H200 took
little longer than one. Their seconds say nothing of speed.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
LOGS = FOLDER.parent / "runs" / "at_once"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("jobs", type=Path)
    options.add_argument("--processes", type=int, default=16)
    options.add_argument("--seconds", type=float, default=float("inf"))
    asked = options.parse_args()
    waiting = [line for line in asked.jobs.read_text().splitlines() if line.strip()]
    numbered = list(enumerate(waiting))
    running: dict[subprocess.Popen[bytes], str] = {}
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    while (numbered or running) and time.monotonic() - started < asked.seconds:
        for process in [each for each in running if each.poll() is not None]:
            how = "done" if process.returncode == 0 else f"failed ({process.returncode})"
            print(f"{time.monotonic() - started:6.0f} s: {how}: {running.pop(process)}", flush=True)
        while numbered and len(running) < asked.processes:
            number, job = numbered.pop(0)
            running[start(number, job)] = job
        time.sleep(0.5)
    for process, job in running.items():
        process.kill()
        print(f"killed: {job}")
    for _, job in numbered:
        print(f"not started: {job}")


def start(number: int, job: str) -> subprocess.Popen[bytes]:
    script, *arguments = shlex.split(job)
    with (LOGS / f"{number}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", str(FOLDER / script), *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )


if __name__ == "__main__":
    main()
