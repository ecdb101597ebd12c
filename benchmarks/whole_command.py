"""A whole `submillion train`, in a process of its own: what of it is not training steps, and whether the forecast held.

    python benchmarks/whole_command.py              about half an hour on 2 cores; goes on where it stopped
    python benchmarks/whole_command.py --data r8    a part of it

12,000 AG News rows for 3 epochs, Reuters R8 and 4,000 rows of 20 Newsgroups (cut at 256 tokens) for 2, by the default
recipe. Steps: from a micro-batch's beginning to its optimizer step's end. Apart from both stand what the baselines and
the probes take, that of the head's start too, to be fitted and to score what was held back, embedding included. Forecast: minutes and peak GB as printed before training, beside what happened.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import unittest.mock
from pathlib import Path
from typing import Any

import texts
from record import append, lines, source, stands
from submillion.run import RunFolder

NAME = "whole_command"
SOURCE = source("training", "fast", "model", "data", "scoring.py")
"""A line stands for one version of what trains."""

CASES: dict[str, tuple[int, list[str]]] = {
    "agnews": (12_000, ["--num-train-epochs", "3"]),
    "r8": (5_485, ["--num-train-epochs", "2"]),
    "20ng": (4_000, ["--num-train-epochs", "2", "--max-length", "256"]),
}


APART = ("embedding", "head_start", "baselines", "scoring_baselines")
"""What of a run's seconds is of the baselines and of the probe that the head starts from."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--measured", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measured:
        train(asked.measured)
        return
    for data in asked.data:
        key = {"data": data, "source": SOURCE}
        if not stands(NAME, **key):
            append(NAME, measure(data), **key)
    print(summary())


def measure(data: str) -> dict[str, Any]:
    """Run the command on one data set and return what it took."""
    n_rows, flags = CASES[data]
    rows = texts.read(data)[0].sample(n_rows, random_state=1)
    with tempfile.TemporaryDirectory() as folder:
        rows.to_csv(f"{folder}/train.csv", index=False)
        command = [sys.executable, "-W", "ignore", __file__, "--measured", f"{folder}/steps.json", "train"]
        command += ["--train", f"{folder}/train.csv", "--output", f"{folder}/run", *flags]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        wall = time.monotonic() - started
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        record = RunFolder(f"{folder}/run").read_finished()
        measured = json.loads(Path(f"{folder}/steps.json").read_text())
    parts = record["seconds"]
    return {
        "rows": n_rows,
        "wall_seconds": round(wall, 1),
        "step_seconds": round(measured["step_seconds"], 1),
        "forecast": record["forecast"],
        "minutes": round(parts["training"] / 60, 2),
        "peak_gb": measured["peak_gb"],
        "seconds": parts,
    }


def train(arguments: list[str]) -> None:
    """Run the command line in this process, timing its steps; write the figures to the first argument."""
    from transformers.trainer_callback import CallbackHandler

    from submillion.cli.main import main as command

    begun, seconds = 0.0, 0.0
    plain_begin, plain_end = CallbackHandler.on_step_begin, CallbackHandler.on_step_end

    def on_step_begin(self: Any, *given: Any) -> Any:
        nonlocal begun
        begun = time.perf_counter()
        return plain_begin(self, *given)

    def on_step_end(self: Any, *given: Any) -> Any:
        nonlocal seconds
        seconds += time.perf_counter() - begun
        return plain_end(self, *given)

    with (
        unittest.mock.patch.object(CallbackHandler, "on_step_begin", on_step_begin),
        unittest.mock.patch.object(CallbackHandler, "on_step_end", on_step_end),
    ):
        command(arguments[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    Path(arguments[0]).write_text(json.dumps({"step_seconds": seconds, "peak_gb": round(peak, 3)}))


def summary() -> str:
    """Return the finished runs, in Markdown."""
    text = [
        "| data | commit | rows | wall, s | steps, s | baselines and probe, s | all else, s (share) | forecast: min, GB | was |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines(NAME):
        figures = line["figures"]
        told = figures["forecast"]
        apart = sum(figures["seconds"].get(part, 0.0) for part in APART)
        other = figures["wall_seconds"] - figures["step_seconds"] - apart
        share = other / (figures["wall_seconds"] - apart)
        text.append(
            f"| {line['settings']['data']} | {line['commit']} | {figures['rows']:,} | {figures['wall_seconds']} | {figures['step_seconds']} "
            f"| {apart:.1f} | {other:.1f} ({100 * share:.1f} %) | {told['minutes']}, {told['peak_gb']} "
            f"| {figures['minutes']} ({100 * (told['minutes'] / figures['minutes'] - 1):+.0f} %), "
            f"{figures['peak_gb']:.2f} ({100 * (told['peak_gb'] / figures['peak_gb'] - 1):+.0f} %) |"
        )
    return "\n".join(text)


if __name__ == "__main__":
    main()
