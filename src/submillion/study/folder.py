"""The folder of one study."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from submillion.errors import RunError
from submillion.run import SCHEMA_VERSION, RunFolder, read_json, write_json
from submillion.study.jobs import Job


class StudyFolder:
    """The paths and the `study.json` of one study."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.study_json = self.path / "study.json"
        self.storage = self.path / "study.db"
        self.runs = self.path / "runs"
        self.best = RunFolder(self.path / "best")
        self.report = self.path / "report.html"

    @property
    def url(self) -> str:
        """Where the trainings are kept unless another storage is named."""
        return f"sqlite:///{self.storage.absolute()}"

    def run(self, job: Job) -> Path:
        """Return where a short training lies."""
        return self.runs / f"stage{job.stage + 1}-{job.place:03d}-seed{job.repeat + 1}"

    def read(self) -> dict[str, Any]:
        """Return `study.json`.

        Raises:
            RunError: If it is missing or damaged.
        """
        if not self.study_json.is_file():
            raise RunError(
                f"{self.path} is not a study: it has no study.json. Make one by: submillion search --output {self.path} ..."
            )
        return dict(read_json(self.study_json))

    def update(self, **changes: Any) -> dict[str, Any]:
        """Lay ``changes`` over `study.json` and return the whole."""
        record = self.read() if self.study_json.is_file() else {"schema_version": SCHEMA_VERSION}
        record |= changes
        write_json(self.study_json, record)
        return record

    def _is_begun(self) -> bool:
        return self.storage.is_file()

    def _holds_more(self) -> bool:
        """Whether there is anything that a study which never began could not have left."""
        return any(not entry.name.startswith((".lock", ".study.json")) for entry in self.path.iterdir())

    def check(self, resume: bool, is_joined: bool) -> None:
        """Refuse a folder that holds something else, or a study that is finished or not to be resumed.

        Raises:
            RunError: See above.
        """
        if self.study_json.is_file():
            status = self.read()["status"]
            if status == "finished":
                raise RunError(f"{self.path} is a finished study: choose another --output")
            if not (resume or is_joined):
                raise RunError(
                    f"{self.path} already holds a study (status: {status}): go on with it by --resume, or choose another "
                    "--output"
                )
        elif self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file: choose another --output")
        elif self.path.exists() and not self._is_begun() and self._holds_more():
            raise RunError(f"{self.path} exists and is not an empty folder: choose another --output")


@contextmanager
def held(folder: StudyFolder, *, is_shared: bool) -> Iterator[None]:
    """Make the folder and, unless several may, let no other process work on it meanwhile.

    Raises:
        RunError: If another does.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder.path} cannot be made: {error.strerror}: choose another --output") from None
    lock = FileLock(folder.path / ".lock", timeout=0)
    if not is_shared:
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{folder.path} is being worked on by another process: wait, or let several share it by --storage"
            ) from None
    try:
        yield
    finally:
        lock.release()
