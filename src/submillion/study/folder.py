"""The folder of one study."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from submillion.errors import RunError
from submillion.run import RecordFolder, RunFolder
from submillion.study.jobs import Job


class StudyFolder(RecordFolder):
    """The paths and the `study.json` of one study."""

    KIND, RECORD, COMMAND = "study", "study.json", "search"

    def __init__(self, path: str | Path):
        super().__init__(path)
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

    def check(self, resume: bool, is_joined: bool) -> None:
        """Refuse a folder that holds something else, or a study that is finished or not to be resumed.

        Raises:
            RunError: See above.
        """
        if self.exists:
            status = self.read()["status"]
            if status == "finished":
                raise RunError(f"{self.path} is a finished study: choose another --output")
            if not (resume or is_joined):
                raise RunError(
                    f"{self.path} already holds a study (status: {status}): go on with it by --resume, or choose another "
                    "--output"
                )
        elif not self.storage.is_file():  # which stands before study.json does
            self.check_empty(".lock")


@contextmanager
def held(folder: StudyFolder, *, is_shared: bool) -> Iterator[None]:
    """Make the folder and, unless several may, let no other process work on it meanwhile.

    Raises:
        RunError: If another does.
    """
    folder.make()
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
