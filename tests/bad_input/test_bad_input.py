"""Each bad input gives the message of the manifest, status 1, and leaves everything as it was."""

import time
from pathlib import Path

import pytest
from cases import MANIFEST, Case, cases, lay_out
from made import FILES, MADE

from submillion.cli.main import main

CASES = cases()
SECONDS = 10.0
"""What no bad input may take; measured on two slow cores, which others use too."""


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != ".lock"
    }


@pytest.fixture(scope="session", autouse=True)
def _imported() -> None:
    """Import what commands import, so that a case's time is its own."""
    import datasets  # noqa: F401

    import submillion.evaluation.whole
    import submillion.prediction  # noqa: F401


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{case.file}" for case in CASES])
def test_one_clear_message(case: Case, tmp_path, monkeypatch, capsys):
    lay_out(case, tmp_path)
    monkeypatch.chdir(tmp_path)
    before, start = contents(tmp_path), time.perf_counter()
    with pytest.raises(SystemExit) as ended:
        main(case.command.split())
    seconds = time.perf_counter() - start
    said = capsys.readouterr()
    errors = [line.removeprefix("error: ") for line in said.err.splitlines() if line.startswith("error: ")]
    assert ended.value.code == 1
    assert "Traceback" not in said.err
    assert case.is_said(errors), f"said: {errors}"
    assert said.err.splitlines()[-len(errors) :] == [f"error: {line}" for line in errors], "the last lines"
    after = contents(tmp_path)
    if case.kind == "model":  # of a training that began the run folder says that it failed, and why
        after = {name: content for name, content in after.items() if name.split("/")[0] != "out"}
    assert after == before
    assert seconds < SECONDS


def test_every_file_has_a_case():
    """A file here that no command reads would test nothing."""
    safetensors = {
        path.name for path in FILES.glob("*.safetensors")
    }  # laid into models and adapters by `made`
    there = {path.name for path in FILES.iterdir()} | set(MADE)
    assert there - safetensors == {case.file for case in CASES}


def test_messages_are_lines_that_say_what_to_do():
    assert len(CASES) > 100
    for case in CASES:
        assert all(len(line) > 30 for line in case.says), (MANIFEST, case)
