"""The run folder: one training, whole or not at all.

Every file is written to a temporary name beside it and renamed, so that a reader sees the old one or the
new one. `run.json` says `running`, `failed` or `finished`; no command takes a half-written run for a whole
one. Whoever changes a folder holds its lock, which the system drops when a process is killed.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock, Timeout

from submillion.disk import disk_refusals, temporary_beside
from submillion.errors import RunError
from submillion.shapes import FinishedRun, check_shape

SCHEMA_VERSION = 1

LOCK = ".lock"
"""The file in a folder that whoever changes it holds."""


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends without error.

    Raises:
        RunError: Before the block, if ``path`` cannot be written; after it, if the disk is full or fails.
    """
    if path.is_dir():
        raise RunError(f"{path} is a folder: name a file to write")
    with temporary_beside(path) as temporary, disk_refusals(path):
        yield temporary
        settle(temporary)
        temporary.replace(path)


@contextmanager
def written_together(folder: Path, last: str) -> Iterator[Path]:
    """Yield a temporary folder; what the block writes there comes into ``folder`` only at its end, ``last`` after the rest.

    Until then what stood in ``folder`` stands as it was. Whoever finds ``last`` finds the files of one block; a kill in the
    instant of the renames leaves none of that name.

    Raises:
        RunError: If the disk cannot be written, is full or fails.
    """
    with temporary_beside(folder, is_folder=True) as temporary, disk_refusals(folder):
        yield temporary
        names = sorted((path.name for path in temporary.iterdir()), key=lambda name: (name == last, name))
        for name in names:
            settle(temporary / name)
        folder.mkdir(exist_ok=True)
        (folder / last).unlink(missing_ok=True)
        for name in names:
            (temporary / name).replace(folder / name)


def settle(path: Path) -> None:
    """Bring a file or folder to the disk, with the permissions that the user's umask gives new ones.

    Temporary ones, and those that safetensors writes, are for their owner alone.
    """
    mask = os.umask(0)
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    with written_atomically(path) as temporary:
        # Half a character has no UTF-8, and its escape is JSON's own.
        temporary.write_text(
            json.dumps(value, indent=2, ensure_ascii=False) + "\n",
            encoding="utf-8",
            errors="backslashreplace",
        )


def read_json(path: Path) -> Any:
    """Read a JSON file of a run.

    Raises:
        RunError: If it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"{path} is missing: the run folder is not whole; copy it again, or train again"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"{path} cannot be read ({error}): put a whole copy of it back, or make the folder anew"
        ) from None


class RecordFolder:
    """A folder with a record of its own, in one JSON file.

    Attributes:
        path: The folder.
        record_json: The file.
    """

    KIND: ClassVar[str]
    """What messages call such a folder."""

    RECORD: ClassVar[str]
    """The file's name."""

    COMMAND: ClassVar[str]
    """What makes one."""

    WHILE_HELD: ClassVar[str] = "wait until it has ended, or choose another --output"
    """What to do while another process works on it."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.record_json = self.path / self.RECORD

    @property
    def exists(self) -> bool:
        """Whether the record is there, whole or not."""
        return self.record_json.is_file()

    def read(self) -> dict[str, Any]:
        """Return the record.

        Raises:
            RunError: If it is missing, damaged or of a newer schema.
        """
        if not self.exists:
            raise RunError(
                f"{self.path} is not a {self.KIND}: it has no {self.RECORD}. Make one by: submillion {self.COMMAND} "
                f"--output {self.path} ..."
            )
        record = read_json(self.record_json)
        version = record.get("schema_version") if isinstance(record, dict) else None
        if not isinstance(version, int) or not isinstance(record.get("status"), str):
            raise RunError(
                f"{self.record_json} has no schema_version or status: it is not a {self.KIND.split()[0]} of submillion; name "
                "another folder, or put the whole file back"
            )
        if version > SCHEMA_VERSION:
            raise RunError(
                f"{self.record_json} has schema_version {version}, this version of submillion reads up to {SCHEMA_VERSION}: "
                "pip install --upgrade submillion"
            )
        return dict(record)

    def update(self, **changes: Any) -> dict[str, Any]:
        """Lay ``changes`` over the record and return the whole."""
        record: dict[str, Any] = self.read() if self.exists else {"schema_version": SCHEMA_VERSION}
        record |= changes
        write_json(self.record_json, record)
        return record

    @contextmanager
    def failure_noted(self) -> Iterator[None]:
        """Set status `failed` and the reason where the block raises an error, unless another process has finished."""
        try:
            yield
        except Exception as error:
            with suppress(
                RunError
            ):  # on a full disk not even that can be noted; it goes on by --resume all the same
                if self.read()["status"] != "finished":
                    self.update(status="failed", error=f"{type(error).__name__}: {error}")
            raise

    @contextmanager
    def held(self, *, wait_s: float = 0) -> Iterator[None]:
        """Make the folder and let no other process change it meanwhile; one that stays empty is removed again.

        Args:
            wait_s: How long to wait for another process that does.

        Raises:
            RunError: If another process does, or the folder cannot be made or written.
        """
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        self.make()
        lock = FileLock(self.path / LOCK, timeout=wait_s)
        try:
            with disk_refusals(self.path):
                lock.acquire()
        except Timeout:
            raise RunError(f"{self.path} is being worked on by another process: {self.WHILE_HELD}") from None
        try:
            yield
        finally:
            if made and [entry.name for entry in self.path.iterdir()] == [LOCK]:
                with suppress(OSError):  # a folder above that others have filled meanwhile stays
                    (self.path / LOCK).unlink()
                    for path in made:
                        path.rmdir()
            lock.release()

    def check_empty(self, *left_over: str) -> None:
        """Refuse what is no folder, or holds more than a record half written or what begins with ``left_over``.

        Raises:
            RunError: See above.
        """
        if self.path.exists() and (
            not self.path.is_dir()
            or any(
                not entry.name.startswith((f".{self.RECORD}.", LOCK, *left_over))
                for entry in self.path.iterdir()
            )
        ):
            raise RunError(f"{self.path} exists and is not an empty folder: choose another --output")

    def make(self) -> None:
        """Make the folder where it is missing.

        Raises:
            RunError: If it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path} cannot be made: {error.strerror}: choose another --output") from None


class RunFolder(RecordFolder):
    """The paths and the `run.json` of one run."""

    KIND, RECORD, COMMAND = "run folder", "run.json", "train"

    def __init__(self, path: str | Path):
        super().__init__(path)
        self.adapter = self.path / "adapter"
        self.baselines = self.path / "baselines"
        self.train_hashes = self.path / "train_hashes.json"
        self.history = self.path / "history.jsonl"
        self.learning_curves = self.path / "learning_curves.png"
        self.checkpoints = self.path / "checkpoints"
        self.evaluation = self.path / "evaluation"
        self.run_json = self.record_json

    def scores(self, split: str) -> Path:
        """Return where the scored rows of a split are kept."""
        return self.path / f"{split}.parquet"

    def look(self, split: str) -> Path:
        """Return where it is kept how a split's rows look to the frozen encoder and the baselines."""
        return self.path / "reference" / f"{split}.safetensors"

    def read_finished(self) -> dict[str, Any]:
        """Return `run.json` of a run that came to its end.

        Raises:
            RunError: Also if the run is still `running` or has `failed`, or the record was damaged since.
        """
        record = self.read()
        if record["status"] != "finished":
            raise RunError(
                f"{self.path} is not a finished run (status: {record['status']}). "
                f"Go on with it by: submillion train --output {self.path} --resume"
            )
        check_shape(record, FinishedRun, self.run_json)
        return record

    def check_free(self) -> None:
        """Check that a new run can be made here.

        Raises:
            RunError: If the folder already holds something.
        """
        if self.exists:
            status = self.read().get("status")
            hint = (
                "choose another --output"
                if status == "finished"
                else "go on with it by --resume, or choose another --output"
            )
            raise RunError(f"{self.path} already holds a run (status: {status}): {hint}")
        self.check_empty()

    def start(self, **record: Any) -> None:
        """Make a new run folder, with status `running`.

        Raises:
            RunError: If the folder already holds something, or cannot be made.
        """
        self.check_free()
        self.make()
        self.update(status="running", **record)

    def finish(self, keep_checkpoints: bool) -> dict[str, Any]:
        """Set status `finished`, then remove what was only needed to resume."""
        record = self.update(status="finished", error=None)
        if not keep_checkpoints:
            self.remove_checkpoints()
        return record

    def remove_checkpoints(self) -> None:
        """Remove what was only needed to resume."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
