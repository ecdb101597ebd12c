"""One line a finished run in `benchmarks/results/NAME.jsonl`: what stands there is not run again."""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from submillion.model.device import has_bf16

RESULTS = Path(__file__).parent / "results"
STARTED = time.monotonic()


def lines(name: str) -> list[dict[str, Any]]:
    """Return the finished runs of a benchmark."""
    path = RESULTS / f"{name}.jsonl"
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    )


def stands(name: str, **key: Any) -> bool:
    """Whether a run with these settings is finished."""
    return any(line["settings"] == key for line in lines(name))


def append(name: str, figures: dict[str, Any], **key: Any) -> None:
    """Add a finished run."""
    line = {
        "settings": key,
        "figures": figures,
        "command": " ".join(["python", *sys.argv]),
        "commit": _git("rev-parse", "--short", "HEAD")
        + ("+changes" if _git("status", "--porcelain", ":/src") else ""),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
    }
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(f"{name} {key}: {json.dumps(figures)[:300]}", file=sys.stderr, flush=True)


def hardware() -> str:
    """Return what a run runs on, in a few words."""
    card = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    bf16 = "bf16" if has_bf16() else "no bf16"
    return f"{card}{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}, {bf16}"


def source(*parts: str) -> str:
    """Return a short sha256 over the package's files that a figure depends on, so that only like is compared.

    Args:
        parts: Folders and files below `src/submillion`.
    """
    root = RESULTS.parents[1] / "src" / "submillion"
    files = sorted(
        file for part in parts for file in [root / part, *(root / part).rglob("*.py")] if file.is_file()
    )
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True, cwd=RESULTS.parent
    ).stdout.strip()
