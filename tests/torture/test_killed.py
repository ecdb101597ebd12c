"""Ten kills of `make torture`, in a process of its own: it forks, and a process that has computed has threads to lose."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def test_ten_kills_lose_nothing():
    script = Path(__file__).with_name("torture.py")
    # A search costs most, and tests/integration/test_search_killed.py kills it.
    command = [
        sys.executable,
        str(script),
        "--kills",
        "10",
        "--seed",
        "11",
        "--verbs",
        "train",
        "predict",
        "evaluate",
        "export",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^10 kills \(.*\), 0 problems", done.stdout, re.MULTILINE), done.stdout
