"""The run folder: files whole or not at all, and no half-written run taken for a whole one."""

import json
import os

import pytest

from submillion.errors import RunError
from submillion.run import SCHEMA_VERSION, RunFolder, read_json, write_json, written_atomically


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half():
        with written_atomically(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_half()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_readers_see_the_old_file_until_the_end(tmp_path):
    path = tmp_path / "sub" / "file.txt"
    with written_atomically(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "new"
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_json_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"é": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"é": 1}


def test_half_a_character_in_json_comes_back(tmp_path):
    write_json(tmp_path / "x.json", {"a slice \ud83d": "caf\u00e9"})
    assert read_json(tmp_path / "x.json") == {"a slice \ud83d": "caf\u00e9"}


def test_damaged_json_is_named(tmp_path):
    path = tmp_path / "run.json"
    with pytest.raises(RunError, match=f"{path} is missing: the run folder is not whole"):
        read_json(path)
    path.write_text('{"schema_version": 1, ')
    with pytest.raises(RunError, match=f"{path} cannot be read .*put a whole copy of it back"):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize("record", [{}, [], {"schema_version": "1"}, None])
def test_foreign_json_is_no_run(tmp_path, record):
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="has no schema_version or status: it is not a run of submillion"):
        RunFolder(tmp_path).read()


def test_newer_schema_is_refused(tmp_path):
    write_json(tmp_path / "run.json", {"schema_version": SCHEMA_VERSION + 1, "status": "finished"})
    with pytest.raises(RunError) as caught:
        RunFolder(tmp_path).read_finished()
    assert str(caught.value) == (
        f"{tmp_path}/run.json has schema_version {SCHEMA_VERSION + 1}, this version of submillion reads up to "
        f"{SCHEMA_VERSION}: pip install --upgrade submillion"
    )


def test_missing_run(tmp_path):
    with pytest.raises(RunError, match=r"nothing is not a run folder: it has no run\.json\. Make one by: "):
        RunFolder(tmp_path / "nothing").read_finished()


def test_statuses(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    assert not folder.exists
    parts = {"recipe": {}, "plan": {"rank": 1}, "with": {}, "data": {}}
    folder.start(**parts)
    assert folder.read() == {"schema_version": SCHEMA_VERSION, "status": "running", **parts}
    with pytest.raises(RunError) as caught:
        folder.read_finished()
    assert str(caught.value) == (
        f"{folder.path} is not a finished run (status: running). "
        f"Go on with it by: submillion train --output {folder.path} --resume"
    )
    with pytest.raises(ValueError, match="wrong"), folder.failure_noted():
        raise ValueError("wrong")
    assert (folder.read()["status"], folder.read()["error"]) == ("failed", "ValueError: wrong")
    with pytest.raises(RunError, match=r"not a finished run \(status: failed\)"):
        folder.read_finished()
    folder.checkpoints.mkdir()
    record = folder.finish(keep_checkpoints=True)
    assert folder.checkpoints.is_dir()
    assert (record["status"], record["error"], record["plan"]) == ("finished", None, {"rank": 1})
    folder.finish(keep_checkpoints=False)
    assert not folder.checkpoints.exists()
    with pytest.raises(RunError, match=r"run.json is damaged: plan.trainable_parameters: field required"):
        folder.read_finished()


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("finished", "choose another --output"),
        ("failed", "go on with it by --resume, or choose another --output"),
        ("running", "go on with it by --resume, or choose another --output"),
    ],
)
def test_a_run_is_never_overwritten(tmp_path, status, hint):
    write_json(tmp_path / "run.json", {"schema_version": 1, "status": status})
    with pytest.raises(RunError) as caught:
        RunFolder(tmp_path).start()
    assert str(caught.value) == f"{tmp_path} already holds a run (status: {status}): {hint}"


def test_only_an_empty_folder_is_free(tmp_path):
    RunFolder(tmp_path).check_free()
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(RunError, match="exists and is not an empty folder: choose another --output"):
            RunFolder(path).check_free()
    with pytest.raises(RunError, match="cannot be made: Not a directory"):
        RunFolder(tmp_path / "file" / "run").start()


def test_what_cannot_be_written_is_said_before_anything_is_done(tmp_path):
    (tmp_path / "file").write_text("old")
    for path, says in (
        (tmp_path, f"{tmp_path} is a folder: name a file to write"),
        (tmp_path / "file" / "out.csv", f"{tmp_path}/file/out.csv cannot be written: "),
    ):
        with pytest.raises(RunError) as caught, written_atomically(path):
            raise AssertionError("the block must not begin")
        assert str(caught.value).startswith(says)
    assert (tmp_path / "file").read_text() == "old"
