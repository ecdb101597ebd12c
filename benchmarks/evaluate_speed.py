"""What `evaluate` on rows without labels takes beside `predict` on the same rows.

    python benchmarks/evaluate_speed.py         some minutes on 2 cores

One run (all-MiniLM-L6-v2, 2,000 AG News rows, one epoch, the default numerics), 8,000 other train rows without their labels; the
commands in turn, each in a process of its own with its imports, three rounds, medians. Tokens are not kept between them.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import submillion
import texts
from record import append, stands

NAME = "evaluate_speed"
N_ROWS, ROUNDS = 8_000, 3


def main() -> None:
    if stands(NAME, rows=N_ROWS):
        return
    rows = texts.read("agnews")[0].sample(2_000 + N_ROWS, random_state=3)
    with tempfile.TemporaryDirectory() as folder:
        run, data = f"{folder}/run", f"{folder}/new.csv"
        submillion.train(rows[:2_000], output=run, num_train_epochs=1, quiet=True)
        rows[2_000:][["text"]].to_csv(data, index=False)
        commands = {
            "predict": ["predict", run, "--input", data, "--output", f"{folder}/labels.csv"],
            "evaluate": ["evaluate", run, "--data", data],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                seconds[name].append(_seconds(command))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    figures = {
        "seconds": {name: [round(value, 1) for value in each] for name, each in seconds.items()},
        "ratio": round(medians["evaluate"] / medians["predict"], 2),
    }
    append(NAME, figures, rows=N_ROWS)


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(
        [str(Path(sys.executable).with_name("submillion")), *command],
        check=True,
        capture_output=True,
        env=os.environ | {"SUBMILLION_CACHE": "off"},
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
