"""Who trains what: the trainings of a study as trials of an Optuna study, one taken up by one process at a time.

Every training that the study will hold stands there from the start, as a place in a stage: which candidate takes a
place of a later stage follows from the results of the earlier one, and so is the same whoever asks. A process takes a
place, shows by its heartbeat that it is alive, and writes down its result; a place whose process has died is given out
again, one that has a result never.
"""

import json
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from submillion.disk import refusal
from submillion.errors import ConfigError, RunError, one_line

HEARTBEAT_S = 10
GRACE_S = 60
"""A process that has shown no heartbeat for so long is taken for dead."""

_POLL_S = 1.0
_JOB, _RESULT = "job", "result"


@dataclass(frozen=True, order=True)
class Job:
    """One training of a study.

    Attributes:
        stage: From 0; the last one is the training in full.
        place: From 0, below the number that the stage before keeps.
        repeat: From 0, a seed each.
    """

    stage: int
    place: int
    repeat: int = 0

    def to_json(self) -> list[int]:
        """Return it as Optuna keeps it."""
        return [self.stage, self.place, self.repeat]


Results = Mapping[Job, dict[str, Any]]
Tell = Callable[[int, float], None]
"""Told an epoch and its validation accuracy."""

Do = Callable[[Job, Results, Tell], dict[str, Any]]
"""Train a job, given the results so far and where an epoch's accuracy is told; returns its result."""

Describe = Callable[[Job, Results], Mapping[str, Any]]
"""Return what a job is made of, given the results so far, for `optuna-dashboard` to show beside it."""

_BEATS_MISSED = 3
"""So many heartbeats that fail one after another are noted."""


class Jobs:
    """The trainings of one study, in a storage that several processes may share.

    Args:
        url: An SQLAlchemy URL.
        name: The study's name in that storage.
        is_shared: Whether other processes may work on it; if not, whatever is running there has died.
        note: Told in one line what the user should know.

    Raises:
        ConfigError: If the storage cannot be opened.
    """

    def __init__(self, url: str, name: str, *, is_shared: bool, note: Callable[[str], None] = print):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.name, self.is_shared, self.note = name, is_shared, note
        try:
            self.storage = _open(url)
        except (SQLAlchemyError, ImportError, ValueError) as error:
            if not is_shared and refusal(error) is not None:
                raise
            reason = one_line(error)
            raise ConfigError(
                f"storage={_without_password(url)!r} cannot be opened: {reason[:300]}. Give an SQLAlchemy URL such as "
                "postgresql+psycopg://user@host/database"
            ) from None

    def begin(self, jobs: Iterable[Job], definition: Mapping[str, Any]) -> None:
        """Make the study, or join it, and see that every job stands there.

        Args:
            jobs: All of them.
            definition: What the study is; to join it, a process must come with the same.

        Raises:
            RunError: If the study was begun with another definition.
        """
        try:
            self.study = optuna.create_study(
                study_name=self.name, storage=self.storage, direction="maximize", load_if_exists=False
            )
            is_maker = True
        except optuna.exceptions.DuplicatedStudyError:
            self.study = optuna.load_study(study_name=self.name, storage=self.storage)
            is_maker = not self.is_shared
        is_maker = is_maker or not self._is_made()
        self._check_same(definition)
        if is_maker:
            self.study.set_user_attr("definition", dict(definition))
            self._give_out(jobs)
            self.study.set_user_attr("made", True)

    def _check_same(self, definition: Mapping[str, Any]) -> None:
        """Refuse to go on with a study that was begun as something else.

        Raises:
            RunError: Naming what differs.
        """
        found = self.study.user_attrs.get("definition")
        if found is None:
            if self.study.get_trials(deepcopy=False):
                raise RunError(
                    f"the storage holds another study named {self.name!r}: choose an --output of another name"
                )
            return
        wanted = json.loads(json.dumps(definition))  # as the storage gives it back
        if found != wanted:
            differing = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
            raise RunError(
                f"the study {self.name!r} was begun with another {', '.join(differing)}: join or resume it with the same, or "
                "choose an --output of another name"
            )

    def close(self) -> None:
        """Let go of the storage."""
        self.storage.remove_session()
        self.storage.engine.dispose()

    def _is_made(self) -> bool:
        """Wait until the process that made the study has written its jobs down; False where it seems to have died."""
        for _ in range(GRACE_S):
            if self.study.user_attrs.get("made"):
                return True
            time.sleep(1)
        return False

    def _give_out(self, jobs: Iterable[Job]) -> None:
        """Write down each job that has no result and waits for nobody; what a dead process ran waits again."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
        known = {*self.results(), *(job for job, _ in self._waiting())}
        for job in sorted(jobs):
            if job not in known:
                self.study.add_trial(
                    optuna.create_trial(
                        state=TrialState.WAITING,
                        user_attrs={_JOB: job.to_json()},
                    )
                )

    def results(self) -> dict[Job, dict[str, Any]]:
        """Return what each finished job came to."""
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
        return {
            Job(*trial.user_attrs[_JOB]): trial.user_attrs[_RESULT]
            for trial in reversed(trials)
            if _RESULT in trial.user_attrs
        }

    def work(self, jobs: Iterable[Job], do: Do, describe: Describe = lambda _job, _results: {}) -> Results:
        """Do jobs, a stage only once the one before is finished, until every one has a result; return the results.

        Args:
            jobs: All of them.
            do: Trains one. Where it returns no ``accuracy``, the training has failed for good.
            describe: Whatever it returns of a job becomes user attributes of its trial.
        """
        wanted = set(jobs)
        while True:
            with _without_experimental_warnings():
                fail_stale_trials(self.study)
            results = self.results()
            missing = wanted - results.keys()
            if not missing:
                return results
            stage = min(job.stage for job in missing)
            taken = next(
                ((job, trial) for job, trial in self._waiting() if job.stage == stage and self._take(trial)),
                None,
            )
            if taken is None:
                time.sleep(_POLL_S)
            elif taken[0] in results:  # given out twice: by this process and by a heartbeat that came late
                self.study.tell(taken[1].number, state=TrialState.FAIL)
            else:
                self._do(*taken, do, results, describe(taken[0], results))

    def _waiting(self) -> list[tuple[Job, FrozenTrial]]:
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return sorted(
            ((Job(*trial.user_attrs[_JOB]), trial) for trial in trials),
            key=lambda pair: (pair[0], pair[1].number),
        )

    def _id(self, trial: FrozenTrial) -> int:
        study_id = self.storage.get_study_id_from_name(self.name)
        return self.storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)

    def _take(self, trial: FrozenTrial) -> bool:
        """Whether this process, and no other, has got the trial."""
        # The heartbeat first: a trial that runs without one would never be given out again.
        self.storage.record_heartbeat(self._id(trial))
        try:
            return self.storage.set_trial_state_values(self._id(trial), state=TrialState.RUNNING)
        except optuna.exceptions.UpdateFinishedTrialError:
            return False

    def _do(
        self, job: Job, trial: FrozenTrial, do: Do, results: Results, described: Mapping[str, Any]
    ) -> None:
        """Do a job and write down its result; one that was given out again meanwhile is dropped."""
        trial_id = self._id(trial)

        def tell(epoch: int, accuracy: float) -> None:
            self.storage.set_trial_intermediate_value(trial_id, epoch, accuracy)

        try:
            with self._heartbeat(trial_id):
                for name, value in described.items():
                    self.storage.set_trial_user_attr(trial_id, name, value)
                result = do(job, results, tell)
                self.storage.set_trial_user_attr(trial_id, _RESULT, result)
                accuracy = result.get("accuracy")
                if accuracy is None:
                    self.storage.set_trial_state_values(trial_id, TrialState.FAIL)
                else:
                    self.storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [accuracy])
        except optuna.exceptions.UpdateFinishedTrialError:
            self.note(
                f"stage {job.stage + 1}, place {job.place + 1}: this process showed no heartbeat for {GRACE_S} s and its job "
                "was given to another; its own result is dropped"
            )
        except BaseException:
            self._give_back(trial_id)
            raise

    def _give_back(self, trial_id: int) -> None:
        """Let the job of a training that was broken off be taken up at once, not only once its heartbeat is missed."""
        with suppress(SQLAlchemyError, optuna.exceptions.OptunaError), _without_experimental_warnings():
            self.storage.set_trial_state_values(trial_id, TrialState.FAIL)
            trial = self.storage.get_trial(trial_id)
            if _RESULT not in trial.user_attrs:
                RetryHeartbeatStaleTrialCallback()(self.study, trial)

    @contextmanager
    def _heartbeat(self, trial_id: int) -> Iterator[None]:
        stopped = threading.Event()
        interval = self.storage.get_heartbeat_interval() or HEARTBEAT_S

        def beat() -> None:
            n_missed = 0
            while not stopped.wait(interval):
                try:
                    self.storage.record_heartbeat(trial_id)
                    n_missed = 0
                except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
                    n_missed += 1
                    if n_missed == _BEATS_MISSED:
                        reason = one_line(error.__cause__ or error, 200)
                        self.note(
                            f"the storage has missed {n_missed} heartbeats ({reason}): tried again, but after {GRACE_S} s "
                            "another process may take up this job"
                        )

        self.storage.record_heartbeat(trial_id)
        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()


def check_shared(url: str) -> None:
    """Refuse a storage that several processes cannot share.

    Raises:
        ConfigError: If it is nothing, or SQLite, in which two processes may be given one job.
    """
    if not url.strip() or url.strip().lower().startswith("sqlite"):
        what = (
            "is a file, in which two processes may be given one job" if url.strip() else "names no database"
        )
        raise ConfigError(
            f"storage={url!r} {what}: leave it out to keep the study in a file of its folder, or for several processes name a "
            "PostgreSQL, such as postgresql+psycopg://user@host/database"
        )


def _open(url: str, tries: int = 5) -> RDBStorage:
    """Return the storage; where several processes make its tables at once, all but one fail, and try again."""
    while True:
        tries -= 1
        try:
            with _without_experimental_warnings():
                return RDBStorage(
                    url,
                    heartbeat_interval=HEARTBEAT_S,
                    grace_period=GRACE_S,
                    heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
                )
        except (IntegrityError, ProgrammingError):
            if not tries:
                raise
            time.sleep(_POLL_S)


@contextmanager
def _without_experimental_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _without_password(url: str) -> str:
    """Return a URL as it may be shown.

    >>> _without_password("postgresql://me:secret@host/studies")
    'postgresql://me:***@host/studies'
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url
