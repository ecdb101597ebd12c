"""A checkpoint counts only with its marker, written last."""

import json
import os
from pathlib import Path

import pytest

from submillion.training import checkpoints
from submillion.training.checkpoints import (
    KEPT,
    MARKER,
    complete_checkpoints,
    mark_complete,
    remove_incomplete,
    remove_old,
)


def lay(folder: Path, step: int, *, whole: bool) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "trained.safetensors").write_bytes(b"weights")
    if whole:
        mark_complete(path, step, 1.5)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_marked_ones_count_oldest_first(tmp_path):
    lay(tmp_path, 100, whole=True)
    lay(tmp_path, 20, whole=True)
    lay(tmp_path, 3, whole=False)
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["checkpoint-20", "checkpoint-100"]
    assert complete_checkpoints(tmp_path / "none") == []
    assert json.loads((tmp_path / "checkpoint-20" / MARKER).read_text()) == {"step": 20, "seconds": 1.5}


def test_half_written_ones_are_removed_and_nothing_else(tmp_path):
    lay(tmp_path, 1, whole=True)
    lay(tmp_path, 2, whole=False)
    (tmp_path / "best.safetensors").write_bytes(b"best")
    remove_incomplete(tmp_path)
    assert names(tmp_path) == ["best.safetensors", "checkpoint-1"]


def test_the_newest_are_kept(tmp_path):
    for step in (9, 10, 11, 2):
        lay(tmp_path, step, whole=True)
    lay(tmp_path, 1, whole=False)
    remove_old(tmp_path)
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["checkpoint-10", "checkpoint-11"]
    assert KEPT == 2
    assert "checkpoint-1" in names(tmp_path)


def test_the_marker_goes_first_when_one_is_removed(tmp_path, monkeypatch):
    for step in (1, 2, 3):
        lay(tmp_path, step, whole=True)

    def killed(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_old(tmp_path)
    assert (tmp_path / "checkpoint-1").is_dir()
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-3"]


def test_the_marker_is_written_after_all_files_reached_the_disk(tmp_path, monkeypatch):
    path = lay(tmp_path, 5, whole=False)
    (path / "sub").mkdir()
    (path / "sub" / "rng_state.pth").write_bytes(b"state")
    synced: list[bool] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        synced.append((path / MARKER).exists())
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    mark_complete(path, 5, 1.5)
    assert synced == [False] * 3  # two files, then the marker under its temporary name
    assert (path / MARKER).is_file()


def test_no_marker_where_a_file_cannot_be_synced(tmp_path, monkeypatch):
    path = lay(tmp_path, 5, whole=False)

    def full(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        mark_complete(path, 5, 1.5)
    assert complete_checkpoints(tmp_path) == []
