"""Two commands as a user starts them, a process each: how long `submillion --help` and `submillion quickstart` take.

    python benchmarks/command_speed.py        a minute on 2 cores, quiet; the median of 20 starts of --help, one quickstart

The quickstart includes all imports, training, its test rows and the report. A line for each version and machine; all are printed.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import append, hardware, lines, source, stands

NAME = "command_speed"
COMMAND = Path(sys.executable).with_name("submillion")
STARTS = 20


def main() -> None:
    here = {"source": source(""), "hardware": hardware()}
    if not stands(NAME, command="--help", **here):
        took = [seconds("--help") for _ in range(STARTS)]
        append(
            NAME,
            {"median_s": round(statistics.median(took), 3), "longest_s": round(max(took), 3)},
            command="--help",
            **here,
        )
    if not stands(NAME, command="quickstart", **here):
        with tempfile.TemporaryDirectory() as folder:
            took = [seconds("quickstart", "--output", f"{folder}/run")]
        append(NAME, {"seconds": round(took[0], 1)}, command="quickstart", **here)
    for line in lines(NAME):
        print(line["settings"]["command"], line["figures"], line["hardware"], line["commit"])


def seconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([COMMAND, *arguments], capture_output=True, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
