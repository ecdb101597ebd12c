"""The folder of one study."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from submillion.disk import disk_refusals
from submillion.errors import RunError
from submillion.run import RecordFolder, RunFolder
from submillion.study.jobs import Job, Jobs, check_shared


class StudyFolder(RecordFolder):
    """The paths and the `study.json` of one study."""

    KIND, RECORD, COMMAND = "study", "study.json", "search"
    WHILE_HELD = "wait, or let several share it by --storage"

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

    @property
    def name(self) -> str:
        """What the study is called in a storage: the folder's last part, also of ``.``."""
        return self.path.resolve().name

    def open_jobs(self, storage: str | None, console: Console) -> Jobs:
        """Open the trainings: in the storage named, which others may share, else in a file of the folder.

        Raises:
            ConfigError: If the storage cannot be opened.
        """
        return Jobs(
            storage or self.url,
            self.name,
            is_shared=storage is not None,
            note=partial(console.print, "note:", highlight=False, soft_wrap=True, markup=False),
        )

    def run(self, job: Job) -> Path:
        """Return where a short training lies."""
        return self.runs / f"stage{job.stage + 1}-{job.place:03d}-seed{job.repeat + 1}"

    def check(self, resume: bool, storage: str | None) -> None:
        """Refuse a folder that holds something else, a study that is finished or not to be resumed, or a wrong storage.

        Raises:
            RunError: About the folder.
            ConfigError: About the storage.
        """
        if storage is not None:
            check_shared(storage)
        if self.exists:
            status = self.read()["status"]
            if status == "finished":
                raise RunError(f"{self.path} is a finished study: choose another --output")
            if not resume and storage is None:
                raise RunError(
                    f"{self.path} already holds a study (status: {status}): go on with it by --resume, or choose another "
                    "--output"
                )
        elif not self.storage.is_file():  # which stands before study.json does
            self.check_empty()


@contextmanager
def held(folder: StudyFolder, *, is_shared: bool) -> Iterator[None]:
    """Make the folder and, unless several may, let no other process work on it meanwhile.

    Raises:
        RunError: If another does; if the disk is full, cannot be written, or fails.
    """
    if is_shared:
        folder.make()
        yield
        return
    with folder.held(), disk_refusals(folder.storage):
        yield
