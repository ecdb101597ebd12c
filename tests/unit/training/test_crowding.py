"""Other processes on the cores that training counts on."""

import subprocess
import sys
import time
from contextlib import nullcontext

import pytest

import submillion
from conftest import learnable_rows
from submillion.training import crowding, forecast
from submillion.training.crowding import Crowding, measured_crowding


def test_what_threads_waited_is_summed_and_what_cannot_be_read_left_out(tmp_path):
    for name, text in (("1", "5 1500000000 7"), ("2", "5 500000000 7"), ("3", "5"), ("4", "a b c")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(text)
    (tmp_path / "5").mkdir()
    assert crowding._waited_seconds(tmp_path) == 2.0
    assert crowding._waited_seconds(tmp_path / "nowhere") == 0


def test_the_share_is_of_the_time_that_passed(monkeypatch):
    waited = iter((3.0, 3.1))
    monkeypatch.setattr(crowding, "_waited_seconds", lambda: next(waited))
    with measured_crowding() as found:
        time.sleep(0.2)
    assert 0.2 < found.share <= 0.5


@pytest.mark.alone
@pytest.mark.skipif(not crowding._waited_seconds(), reason="this kernel does not count")
def test_a_crowded_core_is_seen_and_a_free_one_is_not():
    spin = "import os, time\nos.sched_setaffinity(0, {0})\nend = time.time() + 1.5\nwhile time.time() < end: pass"
    busy = [sys.executable, "-c", spin]
    measuring = (
        "import os, time\nfrom submillion.training.crowding import measured_crowding\nos.sched_setaffinity(0, {0})\n"
        "with measured_crowding() as found:\n    end = time.time() + 0.7\n    while time.time() < end: pass\nprint(found.share)"
    )
    shares = []
    for n_others in (2, 0):
        others = [subprocess.Popen(busy) for _ in range(n_others)]
        time.sleep(0.1)
        done = subprocess.run([sys.executable, "-c", measuring], capture_output=True, text=True, check=True)
        shares.append(float(done.stdout))
        for other in others:
            other.wait()
    crowded, alone = shares
    assert crowded > 0.3
    assert alone < crowded - 0.2


@pytest.mark.parametrize(
    ("share", "n_threads", "is_told"), [(0.5, 2, True), (0.1, 2, False), (0.5, 1, False)]
)
def test_train_tells_of_it_where_several_threads_wait(
    tiny_encoder, tmp_path, monkeypatch, capsys, share, n_threads, is_told
):
    monkeypatch.setattr(forecast, "measured_crowding", lambda: nullcontext(Crowding(share)))
    monkeypatch.setattr("torch.get_num_threads", lambda: n_threads)
    submillion.train(
        learnable_rows(30), output=tmp_path / "run", model=tiny_encoder("bert"), rank=1, num_train_epochs=1
    )
    printed = capsys.readouterr().err
    assert ("waited for one 50 % of the time" in printed) == is_told
    assert ("OMP_NUM_THREADS=1" in printed) == is_told
