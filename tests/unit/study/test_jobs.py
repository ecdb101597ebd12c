"""Who trains what: what becomes of a job whose worker was late, was cut off from the storage, or was interrupted."""

import time
from contextlib import closing

import optuna
import pytest
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from submillion.errors import ConfigError, RunError
from submillion.study.folder import StudyFolder
from submillion.study.jobs import Job, Jobs, check_shared

JOBS = [Job(0, 0), Job(0, 1)]


@pytest.fixture
def notes():
    return []


@pytest.fixture
def jobs(tmp_path, notes):
    """Two jobs of a study that is shared, in a file that only this process uses."""
    with closing(Jobs(url(tmp_path), "study", is_shared=True, note=notes.append)) as jobs:
        jobs.begin(JOBS, {"recipe": 1})
        yield jobs


def url(folder):
    return f"sqlite:///{folder / 'study.db'}"


def given_out_again(jobs):
    """Do to the running trial what another process does that finds its heartbeat missing."""
    [running] = jobs.study.get_trials(states=(TrialState.RUNNING,))
    jobs.storage.set_trial_state_values(running._trial_id, TrialState.FAIL)
    RetryHeartbeatStaleTrialCallback()(jobs.study, running)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("when", ["at an epoch's end", "at the end"])
def test_a_worker_that_wakes_late_drops_its_result_and_goes_on(jobs, notes, when):
    done = []

    def do(job, _results, tell):
        done.append(job)
        if len(done) == 1:
            given_out_again(jobs)
            if when == "at an epoch's end":
                tell(1, 0.5)
        return {"accuracy": float(len(done))}

    results = jobs.work(JOBS, do)
    assert sorted(done) == [Job(0, 0), Job(0, 0), Job(0, 1)]
    assert results[Job(0, 0)]["accuracy"] > 1
    assert notes == [
        "stage 1, place 1: this process showed no heartbeat for 60 s and its job was given to another; its own result is "
        "dropped"
    ]


def test_a_missed_heartbeat_is_tried_again_and_noted_once(jobs, notes, monkeypatch):
    beats = []

    def flaky(_trial_id):
        beats.append(1)
        if 1 < len(beats) < 8:
            raise optuna.exceptions.StorageInternalError("the server is gone")

    monkeypatch.setattr(jobs.storage, "record_heartbeat", flaky)
    monkeypatch.setattr(jobs.storage, "get_heartbeat_interval", lambda: 0.005)
    with jobs._heartbeat(1):
        before = time.monotonic()
        while len(beats) < 12 and time.monotonic() - before < 30:
            time.sleep(0.01)
    assert len(beats) >= 12
    [note] = notes
    assert note.startswith(
        "the storage has missed 3 heartbeats (the server is gone): tried again, but after 60 s"
    )


def test_an_interrupted_job_is_given_back_at_once(jobs):
    def interrupted(_job, _results, _tell):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jobs.work(JOBS, interrupted)
    assert not jobs.study.get_trials(states=(TrialState.RUNNING,))
    assert sorted(job for job, _ in jobs._waiting()) == JOBS
    assert jobs.work(JOBS, lambda *_given: {"accuracy": 0.5}).keys() == set(JOBS)


def test_what_a_job_is_made_of_stands_in_its_trial(jobs, tmp_path):
    jobs.work(
        JOBS, lambda *_given: {"accuracy": 0.5}, lambda job, _results: {"rank": job.place, "layers": (0, 1)}
    )
    study = optuna.load_study(study_name="study", storage=url(tmp_path))
    assert [(trial.user_attrs["rank"], trial.user_attrs["layers"]) for trial in study.trials] == [
        (0, [0, 1]),
        (1, [0, 1]),
    ]


def test_another_study_of_the_same_name_is_not_joined(jobs, tmp_path):
    with (
        closing(Jobs(url(tmp_path), "study", is_shared=True)) as other,
        pytest.raises(RunError, match=r"begun with another recipe: join or .* an --output of another name"),
    ):
        other.begin(JOBS, {"recipe": 2})


def test_a_study_is_named_by_its_folder_also_from_within(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert StudyFolder(".").name == tmp_path.name
    assert StudyFolder("first/").name == "first"


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("", "storage='' names no database: leave it out to keep the study in a file of its folder"),
        (
            "sqlite:///a.db",
            "storage='sqlite:///a.db' is a file, in which two processes may be given one job: ",
        ),
    ],
)
def test_a_storage_that_cannot_be_shared_is_refused(tmp_path, storage, message):
    with pytest.raises(ConfigError) as error:
        StudyFolder(tmp_path / "study").check(resume=False, storage=storage)
    assert message in str(error.value)
    check_shared("postgresql+psycopg://me@host/studies")
