"""Run folders and encoders with one file changed at random: they answer, or say by one line which file is at fault."""

import json
import random
import shutil
from pathlib import Path

import pytest
from bounds import COUNT, attempt, changed

import submillion
from submillion.budget import make_plan

STORED = Path(__file__).parents[1] / "old_runs" / "schema_1"
TEXTS = ["a first text", "another one, of more words"]
ODD = [
    None,
    True,
    -1,
    0,
    1e300,
    2**63,
    "",
    "x" * 5000,
    "../../x",
    "\x1b[2J\n",
    [],
    [[]],
    {},
    {"a": 1},
    [1, "a"],
    "NaN",
]


def changed_tree(content: bytes, draw: random.Random) -> bytes:
    """Return a JSON document with one value taken out, or something odd in its place."""
    tree = json.loads(content)
    at = tree
    while True:
        key = draw.choice(list(at) if isinstance(at, dict) else range(len(at)))
        if isinstance(at[key], dict | list) and at[key] and draw.random() < 0.8:
            at = at[key]
            continue
        if draw.random() < 0.3:
            del at[key]
        else:
            at[key] = draw.choice(ODD)
        return json.dumps(tree).encode()


def a_changed_copy(folder: Path, to: Path, draw: random.Random) -> tuple[str, bytes]:
    """Copy a folder with one file changed; return its name and what it holds now."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    path = draw.choice(sorted(path for path in to.rglob("*") if path.is_file() and path.suffix != ".md"))
    is_tree = path.suffix == ".json" and draw.random() < 0.8
    path.write_bytes((changed_tree if is_tree else changed)(path.read_bytes(), draw))
    return str(path.relative_to(to)), path.read_bytes()


@pytest.fixture(scope="module", autouse=True)
def imported():
    """Pay for the first import of everything outside any bound."""
    submillion.load(STORED / "run", encoder=str(STORED / "encoder")).predict(TEXTS)


@pytest.mark.parametrize("using", ["adapter", "tfidf_svm", "probe_mean"])
def test_a_changed_run(using, tmp_path, capfd):
    draw, outcomes = random.Random(using), set()
    for _ in range(COUNT // 2):
        what = a_changed_copy(STORED / "run", tmp_path / "run", draw)
        encoder = str(STORED / "encoder")
        labels, message = attempt(
            lambda encoder=encoder: submillion.load(tmp_path / "run", encoder=encoder, using=using).predict(
                TEXTS
            ),
            what,
        )
        assert "\n" not in message, (message, what)
        outcomes.add(labels is None)
    assert outcomes == {True, False}
    assert "Traceback" not in capfd.readouterr().err


def test_runs_of_which_one_is_changed_compared(tmp_path):
    draw = random.Random(1)
    for _ in range(COUNT // 2):
        what = a_changed_copy(STORED / "run", tmp_path / "run", draw)
        attempt(lambda: submillion.compare([tmp_path / "run", STORED / "lean"]), what)


def test_a_changed_encoder(tmp_path, capfd):
    draw, outcomes = random.Random(2), set()
    for _ in range(COUNT):
        what = a_changed_copy(STORED / "encoder", tmp_path / "encoder", draw)
        plan, message = attempt(lambda: make_plan(str(tmp_path / "encoder"), 2), what)
        assert "\n" not in message, (message, what)
        outcomes.add(plan is None)
        labels, message = attempt(
            lambda: submillion.load(STORED / "run", encoder=str(tmp_path / "encoder")).predict(TEXTS), what
        )
        assert "\n" not in message, (message, what)
        outcomes.add(labels is None)
    assert outcomes == {True, False}
    assert "Traceback" not in capfd.readouterr().err
