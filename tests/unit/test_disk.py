"""What a disk refuses is one line; what a kill leaves behind goes; what stood stands until the new is whole."""

import errno
import fcntl
import os
import sqlite3
import tempfile

import pytest
from safetensors import SafetensorError

from submillion.disk import check_writable, disk_refusals, refusal, replace_folder, temporary_beside
from submillion.errors import DataError, RunError
from submillion.run import RunFolder, written_atomically, written_together

FREE = "free some there (train and search then go on with --resume), or name another place"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "x"), f"No space left on device: {FREE}"),
        (OSError(errno.EDQUOT, "x"), f"Disk quota exceeded: {FREE}"),
        (OSError(errno.EROFS, "x"), "Read-only file system: name another place"),
        (
            PermissionError(errno.EACCES, "x"),
            "Permission denied: change its permissions, or name another place",
        ),
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), FREE),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), FREE),
        (sqlite3.OperationalError("database or disk is full"), FREE),
        (sqlite3.OperationalError("attempt to write a readonly database"), "Read-only file system"),
        (RuntimeError("CUDA out of memory"), None),
        (FileNotFoundError(errno.ENOENT, "x"), None),
    ],
)
def test_what_the_disk_refuses_is_known_whoever_says_it(error, says):
    found = refusal(error)
    assert found is None if says is None else says in found
    caused = ValueError("of a library")
    caused.__cause__ = error
    assert refusal(caused) == found


def test_only_what_the_disk_refuses_becomes_a_line(tmp_path):
    path = tmp_path / "out.csv"
    with pytest.raises(RunError) as caught, disk_refusals(path):
        raise OSError(errno.ENOSPC, "Error writing bytes to file")
    assert str(caught.value) == f"{path} cannot be written: No space left on device: {FREE}"
    for error in (
        DataError("bad row"),
        ZeroDivisionError("ours"),
        FileNotFoundError(errno.ENOENT, "x", "in"),
    ):
        with pytest.raises(type(error)) as kept, disk_refusals(path):
            raise error
        assert kept.value is error


def test_a_file_that_may_not_be_read_is_not_taken_for_the_one_that_is_written(tmp_path):
    elsewhere = PermissionError(errno.EACCES, "Permission denied", "/elsewhere/in.csv")
    with pytest.raises(PermissionError), disk_refusals(tmp_path / "out.csv"):
        raise elsewhere
    here = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / ".out.csv.12345678.csv"))
    says = r"out\.csv cannot be written: Permission denied: change its"
    with pytest.raises(RunError, match=says), disk_refusals(tmp_path / "out.csv"):
        raise here


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path, is_folder):
    path = tmp_path / ("report" if is_folder else "labels.csv")
    suffix = "" if is_folder else ".csv"
    left, held = (tmp_path / f".{path.name}.{name}{suffix}" for name in ("abcdefgh", "ijklmnop"))
    for each in (left, held):
        if is_folder:
            each.mkdir()
            (each / "half").write_text("")
        else:
            each.write_text("half")
    (tmp_path / ".labels.csv.mine").write_text("of the user")
    handle = os.open(held, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with temporary_beside(path, is_folder=is_folder) as temporary:
        assert not left.exists()
        assert held.exists()
        assert temporary.is_dir() == is_folder
        with temporary_beside(path, is_folder=is_folder):
            assert temporary.exists()
    os.close(handle)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([held.name, ".labels.csv.mine"])


def test_files_written_together_come_only_once_all_are_whole(tmp_path):
    folder = tmp_path / "report"
    with written_together(folder, "report.json") as place:
        (place / "rows.csv").write_text("old")
        (place / "report.json").write_text("old")
    (folder / "of the user").write_text("")

    def fails():
        with written_together(folder, "report.json") as place:
            (place / "rows.csv").write_text("new")
            raise OSError(errno.ENOSPC, "x")

    with pytest.raises(RunError, match="report cannot be written: No space left"):
        fails()
    assert (folder / "rows.csv").read_text() == "old"
    with written_together(folder, "report.json") as place:
        (place / "rows.csv").write_text("new")
        (place / "report.json").write_text("new")
        assert (folder / "report.json").read_text() == "old"
    assert {entry.name: entry.read_text() for entry in folder.iterdir()} == {
        "rows.csv": "new",
        "report.json": "new",
        "of the user": "",
    }
    assert [entry.name for entry in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr("submillion.disk._exchange", lambda *_: False)
    new, folder = tmp_path / "new", tmp_path / "run"
    for name in ("first", "second"):
        new.mkdir()
        (new / name).write_text(name)
        replace_folder(new, folder)
        assert [entry.name for entry in folder.iterdir()] == [name]
        assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_a_place_is_tried_before_a_long_computation(tmp_path, monkeypatch):
    check_writable(tmp_path / "a" / "b", "name another")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/b cannot be made: .*/file is a file: name another"):
        check_writable(tmp_path / "file" / "b", "name another")

    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuses)
    with pytest.raises(RunError, match="a cannot be written: Permission denied: name another"):
        check_writable(tmp_path / "a", "name another")
    monkeypatch.setattr(tempfile, "mkstemp", refuses)
    says = "a cannot be written: Permission denied: change its permissions, or"
    with pytest.raises(RunError, match=says), written_atomically(tmp_path / "a"):
        pass


def test_a_folder_is_held_by_one_and_removed_where_it_stays_empty(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "first")
    with folder.held():
        with pytest.raises(RunError) as caught, RunFolder(folder.path).held():
            pass
        assert str(caught.value) == (
            f"{folder.path} is being worked on by another process: wait until it has ended, or choose another --output"
        )
    assert not list(tmp_path.iterdir())
    with folder.held():
        folder.start()
    assert folder.read()["status"] == "running"
    with folder.held():  # and again, by the next
        pass


def test_a_failure_that_cannot_be_noted_is_raised_all_the_same(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "run")
    folder.start()

    def full(**_: object) -> None:
        raise RunError("no room")

    monkeypatch.setattr(folder, "update", full)
    with pytest.raises(ValueError, match="the cause"), folder.failure_noted():
        raise ValueError("the cause")
