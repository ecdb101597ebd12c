"""A full disk, one that cannot be written, a second process, a clock that jumps: one line, status 1, and nothing is lost."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from verbs import Ground, left_over

import submillion
from conftest import sha256s
from submillion.cli.main import main
from submillion.evaluation import label_reads
from submillion.run import RunFolder

NO_ROOM = (
    "cannot be written: No space left on device: free some there (train and search then go on with --resume), or name "
    "another place"
)
NO_WRITING = "cannot be written: Read-only file system"


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Ground:
    found = Ground(tmp_path_factory.mktemp("ground"))
    found.make()
    return found


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[[str], Path]]:
    """Return what mounts, or mounts anew, a small disk with some options."""
    place = tmp_path / "disk"
    place.mkdir()
    is_mounted = False

    def mount(options: str) -> Path:
        nonlocal is_mounted
        if os.geteuid() != 0:
            pytest.skip("a small disk is mounted, which only root may")
        given = f"remount,{options}" if is_mounted else options
        command = ["mount", "-t", "tmpfs", "-o", given, "none", str(place)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        is_mounted = True
        return place

    yield mount
    if is_mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def refused(capsys) -> Callable[[list[str]], str]:
    """Return what runs a command that fails, and returns its one line."""

    def run(arguments: list[str]) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        errors = capsys.readouterr().err
        assert caught.value.code == 1, errors
        lines = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, errors
        assert errors.splitlines()[-1] == lines[0]
        return lines[0]

    return run


def flags(arguments: dict[str, Any]) -> list[str]:
    return [
        word
        for name, value in arguments.items()
        if name != "quiet"
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]


def train(ground: Ground, output: Path) -> list[str]:
    return ["train", "--output", str(output), "--resume", *flags(ground.arguments())]


def search(ground: Ground, output: Path) -> list[str]:
    recipe = str(ground.path / "space.yaml")
    return ["search", "--recipe", recipe, "--output", str(output), "--resume", *flags(ground.arguments())]


def predict(ground: Ground, output: Path) -> list[str]:
    return ["predict", str(ground.run), "--input", str(ground.path / "test.csv"), "--output", str(output)]


def evaluate(ground: Ground, run: Path, data: str, output: Path | None = None) -> list[str]:
    chosen = [] if output is None else ["--output", str(output)]
    return ["evaluate", str(run), "--data", str(ground.path / data), *chosen]


def fill(disk: Path) -> None:
    """Leave no room on a disk."""
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def comes_through(
    arguments: list[str], disk: Callable[[str], Path], refused: Any, sizes_kb: list[int]
) -> None:
    """Run a command on a disk that is too small for it, each time a little less so, then on one that is not."""
    for size in sizes_kb:
        place = disk(f"size={size}k")
        line = refused(arguments)
        assert NO_ROOM in line
        assert line.startswith(f"error: {place}/")
    disk("size=64m")
    main(arguments)


def test_train_on_a_full_disk_goes_on_once_there_is_room(ground, disk, refused):
    output = disk("size=16k") / "run"
    comes_through(train(ground, output), disk, refused, [8, 60, 200, 320])
    assert sha256s(output) == sha256s(ground.run)
    record = json.loads((output / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["figures"] == json.loads((ground.run / "run.json").read_text())["figures"]
    assert left_over(output) == []


def test_search_on_a_full_disk_goes_on_once_there_is_room(ground, disk, refused, tmp_path):
    output = disk("size=16k") / "study"
    comes_through(search(ground, output), disk, refused, [60, 400])
    record = json.loads((output / "study.json").read_text())
    assert record["status"] == "finished"
    recipe = ground.path / "space.yaml"
    whole = submillion.search(recipe=recipe, output=tmp_path / "whole", **ground.arguments())
    assert record["recommendation"] == whole["recommendation"]
    assert sha256s(output / "best") == sha256s(tmp_path / "whole" / "best")


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "labels.parquet"])
def test_predict_on_a_full_disk_keeps_what_stood(ground, disk, refused, name):
    place = disk("size=64k")
    (place / name).write_text("what stood before")
    fill(place)
    line = refused(predict(ground, place / name))
    assert line == f"error: {place / name} {NO_ROOM}"
    assert (place / name).read_text() == "what stood before"
    assert sorted(path.name for path in place.iterdir()) == ["filler", name]


def test_evaluate_on_a_full_disk_keeps_the_earlier_evaluation(ground, disk, refused):
    place = disk("size=8m")
    main(evaluate(ground, ground.run, "other.csv", place / "report"))
    before = {path.name: path.read_bytes() for path in (place / "report").iterdir()}
    assert "report.json" in before
    fill(place)
    line = refused(evaluate(ground, ground.run, "test.csv", place / "report"))
    assert NO_ROOM in line
    assert line.startswith(f"error: {place}/")
    assert {path.name: path.read_bytes() for path in (place / "report").iterdir()} == before
    assert sorted(path.name for path in place.iterdir()) == ["filler", "report"]


def test_a_disk_that_cannot_be_written_is_named_before_anything_is_computed(ground, disk, refused):
    place = disk("size=8m")
    subprocess.run(["cp", "-r", str(ground.run), str(place / "run")], check=True)
    disk("ro")
    for arguments in (
        train(ground, place / "new"),
        search(ground, place / "new"),
        predict(ground, place / "labels.csv"),
        evaluate(ground, ground.run, "other.csv", place / "report"),
        evaluate(ground, place / "run", "other.csv"),
        evaluate(ground, place / "run", "test.csv"),
    ):
        line = refused(arguments)
        assert "Read-only file system" in line
        assert line.startswith(f"error: {place}/")


def test_a_run_that_cannot_be_written_answers_but_its_test_rows_stay_locked(ground, disk, refused, tmp_path):
    place = disk("size=8m")
    subprocess.run(["cp", "-r", str(ground.run), str(place / "run")], check=True)
    disk("ro")
    main(["predict", str(place / "run"), "--text", "goal match"])
    main(evaluate(ground, place / "run", "other.csv", tmp_path / "report"))
    assert (tmp_path / "report" / "report.json").is_file()
    line = refused(evaluate(ground, place / "run", "test.csv", tmp_path / "test"))
    assert line == (
        f"error: {place / 'run'} {NO_WRITING}: the read of its test rows must be noted there, so copy the run to where it can"
    )
    assert not (tmp_path / "test").exists()


@pytest.fixture
def holder() -> Iterator[Callable[[Path, float], None]]:
    """Return what lets another process hold a folder, for so long."""
    holding: list[subprocess.Popen[str]] = []
    code = (
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1] + '/.lock'): print('held', flush=True); time.sleep(float(sys.argv[2]))"
    )

    def hold(folder: Path, seconds: float) -> None:
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", code, str(folder), str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        holding.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"

    yield hold
    for process in holding:
        process.kill()
        process.communicate()


def test_a_second_process_is_refused_and_changes_nothing(ground, refused, holder, tmp_path):
    for make in (train, search):
        folder = tmp_path / make.__name__
        holder(folder, 600)
        line = refused(make(ground, folder))
        assert line.startswith(f"error: {folder} is being worked on by another process: wait")
        assert [path.name for path in folder.iterdir()] == [".lock"]


def test_evaluations_of_one_run_note_their_reads_one_after_the_other(
    ground, refused, holder, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    subprocess.run(["cp", "-r", str(ground.run), str(run)], check=True)
    n_reads = len(RunFolder(run).read()["test_reads"])
    holder(run, 0.5)
    main(evaluate(ground, run, "test.csv"))
    assert len(RunFolder(run).read()["test_reads"]) == n_reads + 1
    holder(run, 600)
    monkeypatch.setattr(label_reads, "NOTE_WAIT_S", 0.1)
    assert "is being worked on by another process" in refused(evaluate(ground, run, "test.csv"))
    assert len(RunFolder(run).read()["test_reads"]) == n_reads + 1
    main(evaluate(ground, run, "other.csv"))  # notes nothing, and waits for nobody


def test_a_clock_that_jumps_changes_nothing(ground, tmp_path, monkeypatch):
    draw, plain = random.Random(0), time.time
    jumps: list[float] = []

    def jumping() -> float:
        jumps.append(draw.choice([-1, 1]) * draw.uniform(0, 1e7))
        return plain() + jumps[-1]

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(plain(), tz or UTC) + timedelta(seconds=draw.uniform(-1e7, 1e7))

    for module in ("training.train", "evaluation.label_reads", "study.search"):
        monkeypatch.setattr(f"submillion.{module}.datetime", Jumping)
    monkeypatch.setattr(time, "time", jumping)
    started = time.monotonic()
    main(train(ground, tmp_path / "run"))
    main(evaluate(ground, tmp_path / "run", "test.csv"))
    main(predict(ground, tmp_path / "labels.csv"))
    main(search(ground, tmp_path / "study"))
    elapsed = time.monotonic() - started
    assert jumps  # libraries have asked for the time
    assert sha256s(tmp_path / "run") == sha256s(ground.run)
    for name in ("run/run.json", "study/best/run.json"):
        seconds = json.loads((tmp_path / name).read_text())["seconds"]
        assert all(0 <= value <= elapsed for value in seconds.values()), seconds
    report = json.loads((tmp_path / "run" / "evaluation" / "test" / "report.json").read_text())
    expected = json.loads((ground.run / "evaluation" / "test" / "report.json").read_text())
    assert report["accuracy"] == expected["accuracy"]
