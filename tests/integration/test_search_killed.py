"""A study goes on after SIGKILL: one process killed five times, and four that share a PostgreSQL, one of them killed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import ProgrammingError

import submillion
from conftest import ROOT, learnable_rows, what_counts, write_csv
from submillion.study.jobs import Jobs

SPACE = """
space:
  rank: [1, 2, 4]
  learning_rate: [1.0e-3, 2.0e-2]
stages:
  - {num_train_epochs: 1, share: 0.5, keep: 3}
  - {num_train_epochs: 2, share: 0.7}
final: {num_train_epochs: 3}
"""
FIELDS = {
    "validation_share": 0.3,
    "calibration_share": 0.0,
    "min_rows_to_split": 50,
    "save_steps": 2,
    "per_device_train_batch_size": 8,
    "seed": 3,
}
WORKER = """
import json, os, signal, sys, time
import submillion
from submillion.evaluation import whole
from submillion.study import jobs
from submillion.training import callbacks

where, arguments, gate = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
jobs.GRACE_S, jobs.HEARTBEAT_S = 5, 1
calls = 0

def dies_after(home, name, n_calls, when=lambda arguments: True):
    plain = getattr(home, name)
    def dying(*arguments, **named):
        global calls
        result = plain(*arguments, **named)
        if when(arguments):
            calls += 1
            if calls == n_calls:
                while gate and not os.path.exists(gate):
                    time.sleep(0.1)
                os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(home, name, dying)

step = (callbacks.ProgressBar, "on_step_end")
if where == "while it is made":
    import optuna
    dies_after(optuna.Study, "add_trial", 4)
elif where == "in the first stage":
    dies_after(*step, 4)
elif where == "between a result and its end":
    from optuna.storages import RDBStorage
    dies_after(RDBStorage, "set_trial_user_attr", 3, lambda given: given[2] == "result")
elif where == "in the last stage":
    dies_after(*step, 5, lambda given: given[1].num_train_epochs == 2)
elif where == "in the final run":
    dies_after(*step, 5, lambda given: given[1].num_train_epochs == 3)
elif where == "after the test split was read":
    dies_after(whole, "evaluate_run", 1)
record = submillion.search(**arguments)
print(json.dumps(record))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_encoder) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of a study, and what comes of it uninterrupted."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "space.yaml").write_text(SPACE)
    arguments = {
        "recipe": str(folder / "space.yaml"),
        "train": write_csv(folder / "train.csv", learnable_rows(200)),
        "test": write_csv(folder / "test.csv", learnable_rows(60, seed=1)),
        "model": tiny_encoder("bert"),
        "quiet": True,
        **FIELDS,
    }
    return arguments, submillion.search(output=folder / "whole", **arguments)


def start(where: str, arguments: dict[str, Any], gate: str = "") -> subprocess.Popen[str]:
    """Start a process that dies at that place, as soon as the file ``gate`` is there."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, where, json.dumps(arguments), gate],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_killed_five_times_comes_to_the_same_recommendation(whole, tmp_path):
    arguments, expected = whole
    arguments = arguments | {"output": str(tmp_path / "study"), "resume": True}
    for where in (
        "while it is made",
        "in the first stage",
        "between a result and its end",
        "in the last stage",
        "in the final run",
    ):
        process = start(where, arguments)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, f"{where}: {errors}"
    process = start("after the test split was read", arguments)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors
    record = submillion.search(**arguments)
    assert what_counts(record) == what_counts(expected)
    assert what_counts(record)["reads"] == 1
    done = Counter(
        tuple(trial.user_attrs["job"])
        for trial in trials(f"sqlite:///{tmp_path / 'study' / 'study.db'}")
        if "result" in trial.user_attrs
    )
    assert set(done.values()) == {1}  # nothing that was finished has been done again
    assert len(done) == 6 + 3 + 1


def wait_for_work(url: str, n_jobs: int) -> None:
    """Wait until so many jobs have been taken."""
    until = time.monotonic() + 200
    engine = create_engine(url, poolclass=NullPool)
    while time.monotonic() < until:
        with suppress(ProgrammingError), engine.connect() as connection:  # before the tables are there
            taken = connection.execute(text("SELECT count(*) FROM trials WHERE state <> 'WAITING'")).scalar()
            if taken >= n_jobs:
                return
        time.sleep(0.5)
    raise AssertionError(f"{n_jobs} jobs were not taken in 200 s")


def trials(url: str) -> list[Any]:
    with closing(Jobs(url, "study", is_shared=True)) as jobs:
        return optuna.load_study(study_name="study", storage=jobs.storage).get_trials(deepcopy=False)


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of an empty database on a server of its own."""
    places = [Path(found).parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = next((place for place in places if (place / "initdb").exists()), None)
    if found is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    pytest.importorskip("psycopg")
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory() as home, socket.socket() as free:
        if user is not None:
            shutil.chown(home, user)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        data = f"{home}/data"

        def run(*command: str) -> None:
            subprocess.run(
                [str(found / command[0]), *command[1:]], check=True, user=user, cwd=home, capture_output=True
            )

        run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-l", f"{home}/log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")


def test_four_processes_share_a_postgresql_and_one_is_killed(whole, tmp_path, postgresql):
    arguments, expected = whole
    arguments = arguments | {"output": str(tmp_path / "study"), "storage": postgresql}
    gate = tmp_path / "gate"
    workers = [start("in the first stage", arguments, str(gate))]
    wait_for_work(postgresql, n_jobs=1)
    workers += [start("", arguments) for _ in range(3)]
    wait_for_work(postgresql, n_jobs=2)
    gate.touch()
    outputs = [worker.communicate(timeout=400) for worker in workers]
    assert workers[0].returncode == -signal.SIGKILL, outputs[0][1]
    for worker, (output, errors) in zip(workers[1:], outputs[1:], strict=True):
        assert worker.returncode == 0, errors
        assert what_counts(json.loads(output)) == what_counts(expected)
    found = trials(postgresql)
    done = Counter(tuple(trial.user_attrs["job"]) for trial in found if trial.state.name == "COMPLETE")
    assert set(done.values()) == {1}
    assert len(done) == 6 + 3 + 1
    taken_up = [trial for trial in found if "failed_trial" in trial.system_attrs]
    assert len(taken_up) == 1
    assert taken_up[0].state.name == "COMPLETE"
