"""Checkpoints that count only once they are whole.

The Trainer writes a checkpoint's files in place. A marker is written last, after all of them are on the disk;
a folder without it is what a kill left behind and is removed before training goes on.
"""

import re
import shutil
from pathlib import Path

from submillion.run import read_json, settle, write_json

MARKER = "complete.json"
KEPT = 2


def mark_complete(checkpoint: Path, step: int, seconds: float) -> None:
    """Write the marker, after every other file of the checkpoint has reached the disk.

    Args:
        checkpoint: The folder.
        step: Optimiser steps done.
        seconds: Time spent on training up to here, that before a resumption included.
    """
    for file in sorted(checkpoint.rglob("*")):
        if file.is_file():
            settle(file)
    write_json(checkpoint / MARKER, {"step": step, "seconds": seconds})


def seconds_at(checkpoint: Path) -> float:
    """Return the time spent on training up to a whole checkpoint."""
    return float(read_json(checkpoint / MARKER)["seconds"])


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the whole checkpoints of a run, oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if (path / MARKER).is_file()]
    return sorted(found, key=_step)


def share_done(folder: Path) -> float:
    """Return the share of a run's steps, from 0 to 1, that its newest whole checkpoint stands for."""
    whole = complete_checkpoints(folder)
    if not whole:
        return 0.0
    state = read_json(whole[-1] / "trainer_state.json")
    return float(state["global_step"] / state["max_steps"])


def remove_incomplete(folder: Path) -> None:
    """Remove the checkpoints that a kill left half-written."""
    for path in folder.glob("checkpoint-*"):
        if not (path / MARKER).is_file():
            shutil.rmtree(path)


def remove_old(folder: Path) -> None:
    """Keep the newest whole checkpoints, the marker of each other one going first."""
    for path in complete_checkpoints(folder)[:-KEPT]:
        (path / MARKER).unlink()
        shutil.rmtree(path)


def _step(path: Path) -> int:
    match = re.fullmatch(r"checkpoint-(\d+)", path.name)
    return int(match.group(1)) if match else -1
