"""A real process killed by SIGKILL goes on to the same adapter, bit for bit."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

import submillion
from conftest import ROOT, learnable_rows, sha256s, write_csv
from submillion.errors import RunError
from submillion.fast.features import can_multiply_int8
from submillion.run import RunFolder
from submillion.scoring import embed_frozen, read_scores, score

FIELDS = {
    "num_train_epochs": 3,
    "learning_rate": 3e-3,
    "min_rows_to_split": 50,
    "validation_share": 0.2,
    "calibration_share": 0.0,
    "save_steps": 3,
    "logging_steps": 1,
    "base_dropout": 0.1,
    "per_device_train_batch_size": 8,
    "seed": 3,
}

KILLED = """
import json, os, signal, sys
import submillion
from submillion.training import callbacks, trainer

where, arguments = sys.argv[1], json.loads(sys.argv[2])
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
if where == "epoch":
    step_end = callbacks.ProgressBar.on_step_end
    def dying(self, args, state, control, **kwargs):
        if state.global_step == 17:  # 10 steps an epoch: inside the second, two steps after a checkpoint
            die()
        return step_end(self, args, state, control, **kwargs)
    callbacks.ProgressBar.on_step_end = dying
else:
    write = trainer.write_trained
    def dying(model, path):
        if path.parent.name == "checkpoint-15":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"half")
            die()
        write(model, path)
    trainer.write_trained = dying
submillion.train(**arguments)
"""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("resume")
    arguments = {
        "train": write_csv(folder / "train.csv", learnable_rows(100)),
        "model": tiny_encoder("bert"),
        "quiet": True,
        **FIELDS,
    }
    record = submillion.train(output=folder / "whole", **arguments)
    return folder, arguments, record


@pytest.mark.parametrize("where", ["epoch", "checkpoint"])
def test_killed_process_resumes_to_the_same_adapter(uninterrupted, where):
    """Killed inside an epoch in the fast numerics, with dropout from the shared pool; inside a write in the exact ones."""
    folder, arguments, record = uninterrupted
    run, whole = folder / where, folder / "whole"
    if where == "epoch":
        arguments = arguments | {"numerics": "fast", "base_dropout": 0.0, "lora_dropout": 0.2}
        whole = folder / "whole-fast"
        record = submillion.train(output=whole, **arguments)
    told = json.dumps(arguments | {"output": str(run)})
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, where, told], capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert json.loads((run / "run.json").read_text())["status"] == "running"
    with pytest.raises(RunError, match="is not a finished run"):
        submillion.load(run)
    kept = sorted(path.name for path in (run / "checkpoints").glob("*/complete.json"))
    assert kept
    if where == "checkpoint":
        assert not (run / "checkpoints" / "checkpoint-15" / "complete.json").exists()
        assert (run / "checkpoints" / "checkpoint-15").is_dir()

    resumed = submillion.train(output=run, resume=True, **arguments)
    assert resumed["status"] == "finished"
    assert sha256s(run) == sha256s(whole)
    assert resumed["figures"] == record["figures"]
    assert resumed["best_epoch"] == record["best_epoch"]
    steps = [json.loads(line)["step"] for line in (run / "history.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == 30


def test_resume_refuses_another_recipe_or_other_rows(uninterrupted, tmp_path):
    folder, arguments, _ = uninterrupted
    run = tmp_path / "run"
    run.mkdir()
    record = json.loads((folder / "whole" / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"status": "running"}))
    with pytest.raises(
        RunError, match=r"was begun with another training\.learning_rate: resume it with the same"
    ):
        submillion.train(output=run, resume=True, **arguments | {"learning_rate": 1e-3})
    other = write_csv(tmp_path / "other.csv", learnable_rows(100, seed=9))
    with pytest.raises(RunError, match=r"was begun on other rows than"):
        submillion.train(output=run, resume=True, **arguments | {"train": other})
    with pytest.raises(RunError, match=r"was begun with another .*training\.numerics"):
        submillion.train(output=run, resume=True, **arguments | {"numerics": "fast", "base_dropout": 0.0})
    with pytest.raises(RunError, match="is finished: there is nothing to resume"):
        submillion.train(output=folder / "whole", resume=True, **arguments)
    with pytest.raises(RunError, match=r"already holds a run \(status: finished\)"):
        submillion.train(output=folder / "whole", **arguments)


def test_a_run_whose_version_lacked_a_key_goes_on_where_the_key_is_not_set(uninterrupted, tmp_path):
    folder, arguments, _ = uninterrupted
    run = tmp_path / "run"
    run.mkdir()
    record = json.loads((folder / "whole" / "run.json").read_text())
    del record["recipe"]["training"]["self_training_teacher"]
    (run / "run.json").write_text(json.dumps(record | {"status": "running"}))
    with pytest.raises(RunError, match=r"was begun with another training\.self_training_teacher"):
        submillion.train(output=run, resume=True, **arguments, self_training_teacher="adapter")
    assert submillion.train(output=run, resume=True, **arguments)["status"] == "finished"


def test_resume_keeps_the_numerics_where_the_machine_would_choose_others(tiny_encoder, tmp_path, monkeypatch):
    arguments = {"train": learnable_rows(60), "model": tiny_encoder("bert"), "quiet": True, "rank": 2}
    run = tmp_path / "run"
    first = submillion.train(output=run, numerics="fast", **arguments)
    assert first["with"]["numerics"] == "fast"
    (run / "run.json").write_text(json.dumps(first | {"status": "running"}))
    monkeypatch.setattr("submillion.model.device.has_bf16", lambda: False)
    resumed = submillion.train(output=run, resume=True, **arguments)
    assert resumed["recipe"]["training"]["numerics"] == "fast"


def test_a_run_interrupted_before_its_baselines_comes_to_the_same(tiny_encoder, tmp_path, monkeypatch):
    """The head starts from a probe of some rows; the others are embedded after training, in the same parts again."""
    monkeypatch.setattr("submillion.training.start.MOST_ROWS", 40)
    monkeypatch.setattr("submillion.training.start.MOST_ROWS_A_LABEL", 1)
    embedded = []

    def embed(model, input_ids, batch_size):
        embedded.append(len(input_ids))
        return embed_frozen(model, input_ids, batch_size)

    monkeypatch.setattr("submillion.training.frozen_rows.embed_frozen", embed)
    arguments = {"train": learnable_rows(100), "model": tiny_encoder("bert"), "quiet": True, **FIELDS}
    whole = submillion.train(output=tmp_path / "whole", **arguments)
    n_train = whole["data"]["splits"]["train"]["n_rows"]
    assert embedded[:2] == [40, n_train - 40]
    assert whole["baselines"]["n_rows"] == n_train

    def stopped(*_):
        raise RuntimeError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr("submillion.training.frozen_rows.fit_baselines", stopped)
        with pytest.raises(RuntimeError, match="stopped"):
            submillion.train(output=tmp_path / "run", **arguments)
    embedded.clear()
    resumed = submillion.train(output=tmp_path / "run", resume=True, **arguments)
    assert embedded[:2] == [40, n_train - 40]
    assert sha256s(tmp_path / "run") == sha256s(tmp_path / "whole")
    assert resumed["figures"] == whole["figures"]
    weights = [tmp_path / name / "baselines" / "weights.safetensors" for name in ("run", "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    looks = [RunFolder(tmp_path / name).look("train") for name in ("run", "whole")]
    assert looks[0].read_bytes() == looks[1].read_bytes()

    monkeypatch.undo()  # every row starts the head: its probe is the baselines' own
    submillion.train(output=tmp_path / "all", **arguments)
    one_part, two_parts = (
        load_file(tmp_path / name / "baselines" / "weights.safetensors") for name in ("all", "whole")
    )
    for name, values in one_part.items():
        np.testing.assert_allclose(values, two_parts[name], atol=1e-3 * np.abs(values).max(), err_msg=name)


def test_damaged_baselines_of_an_interrupted_run_are_told_of_before_it_trains_on(
    tiny_encoder, tmp_path, monkeypatch
):
    arguments = {"train": learnable_rows(60), "model": tiny_encoder("bert"), "quiet": True, "rank": 2}
    record = submillion.train(output=tmp_path / "run", **arguments)
    (tmp_path / "run" / "run.json").write_text(json.dumps(record | {"status": "running"}))
    (tmp_path / "run" / "baselines" / "weights.safetensors").write_bytes(b"")
    monkeypatch.setattr("submillion.training.train.train_adapter", None)
    with pytest.raises(RunError, match=r"weights\.safetensors is damaged"):
        submillion.train(output=tmp_path / "run", resume=True, **arguments)


def test_validation_is_not_scored_again_where_the_best_epoch_has_been(tiny_encoder, tmp_path, monkeypatch):
    scored = []

    def counted(model, input_ids, *rest):
        scored.append(len(input_ids))
        return score(model, input_ids, *rest)

    monkeypatch.setattr("submillion.training.train.score", counted)
    arguments = {"train": learnable_rows(100), "model": tiny_encoder("bert"), "quiet": True, **FIELDS}
    known = submillion.train(output=tmp_path / "known", **arguments)
    n_validation = known["data"]["splits"]["validation"]["n_rows"]
    assert scored == []
    if can_multiply_int8():  # what predicts is not what was trained
        submillion.train(output=tmp_path / "int8", **arguments | {"numerics": "int8", "base_dropout": 0.0})
        assert n_validation in scored
        scored.clear()
    monkeypatch.setattr("submillion.training.finish.weaken_adapter", lambda *_: None)
    submillion.train(output=tmp_path / "changed", **arguments | {"adapter_scale": 0.5})
    assert scored == [n_validation]
    scores = [read_scores(tmp_path / name / "validation.parquet").scores for name in ("known", "changed")]
    np.testing.assert_array_equal(scores[0].logits, scores[1].logits)
