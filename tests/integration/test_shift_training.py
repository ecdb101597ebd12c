"""What a recipe can do so that a training holds under shift: each key against what it says, by hand."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import load_file

import submillion
from conftest import ROOT, learnable_rows, sha256s, write_csv
from submillion.data.duplicates import text_hashes
from submillion.data.tokens import tokenize
from submillion.errors import DataError, RunError
from submillion.model.saved import load_saved
from submillion.scoring import score
from submillion.training import word_dropout
from submillion.training.finish import finish_adapter
from submillion.training.self_training import MOST_TIMES, most_of_second
from submillion.training.word_dropout import NoisyRows, drop_tokens, shifted, special_ids

FIELDS = {
    "num_train_epochs": 4,
    "learning_rate": 3e-3,
    "min_rows_to_split": 50,
    "validation_share": 0.2,
    "calibration_share": 0.0,
    "save_steps": 3,
    "logging_steps": 1,
    "numerics": "exact",
    "per_device_train_batch_size": 8,
    "lr_scheduler_type": "constant",
    "head_init": "random",
    "seed": 3,
    "quiet": True,
}

KILLED = """
import json, os, signal, sys
import submillion
from submillion.training import average, callbacks

where, step, training, arguments = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
begun = 0
begin = callbacks.ProgressBar.on_train_begin
def counting(self, args, state, control, **kwargs):
    global begun
    begun += 1
    return begin(self, args, state, control, **kwargs)
callbacks.ProgressBar.on_train_begin = counting
kind = callbacks.ProgressBar if where == "on_step_end" else average.KeepEpochEnds
done = getattr(kind, where)
def dying(self, args, state, control, **kwargs):
    done(self, args, state, control, **kwargs)
    if state.global_step == step and begun == training:
        os.kill(os.getpid(), signal.SIGKILL)
setattr(kind, where, dying)
submillion.train(**arguments)
"""


def adapter(run: Path) -> dict[str, torch.Tensor]:
    """Return the saved matrices and head."""
    return load_file(run / "adapter/adapter_model.safetensors") | load_file(run / "adapter/head.safetensors")


def stock_name(name: str) -> str:
    """Return a built model's parameter as the adapter folder calls it."""
    return name.removeprefix("encoder.").removeprefix("head.").replace(".default.", ".")


def killed_and_resumed(run: Path, where: str, step: int, training: int, **arguments) -> dict:
    """Train in a process that dies after a hook of a step, go on here, and return the record."""
    told = json.dumps(arguments | {"output": str(run)})
    died = subprocess.run(
        [sys.executable, "-c", KILLED, where, str(step), str(training), told],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    return submillion.train(output=run, resume=True, **arguments)


@pytest.fixture(scope="module")
def arguments(tmp_path_factory, tiny_encoder) -> dict:
    folder = tmp_path_factory.mktemp("shift")
    return {
        "train": write_csv(folder / "train.csv", learnable_rows(100)),
        "model": tiny_encoder("bert"),
        **FIELDS,
    }


def test_the_mean_of_epoch_ends_is_the_one_by_hand(arguments, tmp_path):
    plain = submillion.train(output=tmp_path / "plain", **arguments, keep_checkpoints=True)
    assert plain["averaged_epochs"] is plain["adapter_scale"] is plain["self_training"] is None
    record = submillion.train(output=tmp_path / "mean", **arguments, average_epochs=3, keep_checkpoints=True)
    best = int(record["best_epoch"])
    epochs = list(range(max(1, best - 2), best + 1))
    assert record["averaged_epochs"] == epochs
    assert len(epochs) > 1, "a mean of one epoch proves nothing: choose another seed"
    folder = tmp_path / "mean" / "checkpoints"
    ends = [load_file(folder / f"epoch-{epoch}-step-{10 * epoch}.safetensors") for epoch in epochs]
    found = adapter(tmp_path / "mean")
    assert {stock_name(name) for name in ends[0]} == set(found)
    for name in ends[0]:
        mean = sum(end[name].double() for end in ends) / len(ends)
        assert torch.equal(found[stock_name(name)], mean.float())
    # The ends are those of the same training without a mean, whose best epoch was kept.
    best_alone = adapter(tmp_path / "plain")
    assert all(torch.equal(best_alone[stock_name(name)], value) for name, value in ends[-1].items())
    # What is reported is the mean's: its own logits stand in validation.parquet.
    assert not np.allclose(validation_logits(tmp_path / "mean"), validation_logits(tmp_path / "plain"))


def validation_logits(run: Path) -> np.ndarray:
    return np.stack(parquet.read_table(run / "validation.parquet")["logits"].to_numpy())


def test_without_validation_the_last_epochs_are_averaged(arguments, tmp_path):
    record = submillion.train(
        output=tmp_path / "run", **arguments | {"min_rows_to_split": 500}, average_epochs=2
    )
    assert record["averaged_epochs"] == [3, 4]
    assert record["best_epoch"] is None


@pytest.mark.parametrize(("where", "step"), [("on_step_end", 23), ("on_epoch_end", 30)])
def test_mean_and_word_dropout_survive_a_kill(arguments, tmp_path, where, step):
    """Killed inside the third epoch, and when its end was written but no checkpoint of it."""
    asked = arguments | {"average_epochs": 3, "word_dropout": 0.3}
    whole = submillion.train(output=tmp_path / "whole", **asked)
    resumed = killed_and_resumed(tmp_path / "killed", where, step, 1, **asked)
    assert resumed["resumed"] == 1
    assert resumed["averaged_epochs"] == whole["averaged_epochs"]
    assert sha256s(tmp_path / "killed") == sha256s(tmp_path / "whole")
    assert resumed["figures"] == whole["figures"]


def test_word_dropout_trains_on_other_tokens_by_the_seed_alone(arguments, tmp_path, monkeypatch):
    drawn = []

    def recorded(input_ids, share, key, kept):
        drawn.append(key)
        return drop_tokens(input_ids, share, key, kept)

    monkeypatch.setattr(word_dropout, "drop_tokens", recorded)
    for name, share in (("none", 0.0), ("some", 0.3), ("again", 0.3)):
        record = submillion.train(output=tmp_path / name, **arguments, word_dropout=share)
    assert sha256s(tmp_path / "some") == sha256s(tmp_path / "again")
    assert sha256s(tmp_path / "some") != sha256s(tmp_path / "none")
    n_rows = record["data"]["splits"]["train"]["n_rows"]
    assert set(drawn) == {(FIELDS["seed"], epoch, row) for epoch in range(4) for row in range(n_rows)}


@pytest.mark.parametrize("numerics", ["exact", "fast"])
def test_a_weaker_adapter_is_stock_peft_with_the_same_logits(arguments, tmp_path, numerics):
    from peft import PeftModel
    from peft.helpers import rescale_adapter_scale
    from transformers import AutoModel, AutoTokenizer

    asked = arguments | {"numerics": numerics}
    submillion.train(output=tmp_path / "whole", **asked)
    record = submillion.train(output=tmp_path / "weak", **asked, adapter_scale=0.5)
    assert record["adapter_scale"] == {"scale": 0.5, "validation_accuracy": {}}
    whole, weak = adapter(tmp_path / "whole"), adapter(tmp_path / "weak")
    for name, value in whole.items():
        assert torch.equal(weak[name], value * 0.5 if "lora_B" in name else value), name

    texts = [text for text, _ in learnable_rows(6, seed=5)]

    def stock(run: str, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits without this package, and those after merging."""
        folder = tmp_path / run / "adapter"
        model = PeftModel.from_pretrained(AutoModel.from_pretrained(arguments["model"]), folder).eval()
        batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
        head = load_file(folder / "head.safetensors")
        mask = batch["attention_mask"].unsqueeze(-1)

        def logits(encoder) -> torch.Tensor:
            with torch.no_grad():
                hidden = encoder(**batch).last_hidden_state
            mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
            return mean @ head["weight"].T + head["bias"]

        with rescale_adapter_scale(model, scale):
            plain = logits(model)
        return plain, logits(model.merge_and_unload())

    expected, _ = stock("whole", 0.5)
    plain, merged = stock("weak", 1.0)
    assert not torch.allclose(expected, stock("whole", 1.0)[0], atol=1e-3)
    torch.testing.assert_close(plain, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(merged, expected, rtol=0, atol=1e-5)
    predictor = submillion.load(tmp_path / "weak")
    ours = predictor.scores(texts).logits
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 if numerics == "exact" else 0.1)
    held_back = parquet.read_table(tmp_path / "weak" / "validation.parquet")["row_id"].to_pylist()
    again = predictor.scores([learnable_rows(100)[number][0] for number in held_back]).logits
    np.testing.assert_allclose(validation_logits(tmp_path / "weak"), again, rtol=0, atol=1e-2)


def test_the_scale_is_chosen_by_validation(arguments, tmp_path):
    record = submillion.train(output=tmp_path / "run", **arguments, adapter_scale="choose")
    told = record["adapter_scale"]
    assert list(told["validation_accuracy"]) == ["0.5", "0.7", "0.85", "1"]
    best = max(told["validation_accuracy"].values())
    allowed = [float(scale) for scale, value in told["validation_accuracy"].items() if value == best]
    assert told["scale"] == min(allowed)
    accuracy = record["figures"]["validation"]["accuracy"]["value"]
    assert accuracy == pytest.approx(told["validation_accuracy"][f"{told['scale']:g}"])


def test_the_epoch_is_picked_by_the_mean_of_clean_and_noisy_rows(arguments, tmp_path):
    record = submillion.train(output=tmp_path / "run", **arguments, metric_for_best_model="shifted_accuracy")
    lines = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    evaluated = {line["epoch"]: line for line in lines if "eval_accuracy" in line}
    picked = evaluated[record["best_epoch"]]
    assert picked["eval_shifted_accuracy"] == max(
        line["eval_shifted_accuracy"] for line in evaluated.values()
    )

    rows = parquet.read_table(tmp_path / "run" / "validation.parquet")
    texts = [learnable_rows(100)[number][0] for number in rows["row_id"].to_pylist()]
    saved = load_saved(tmp_path / "run" / "adapter")
    ids = tokenize(saved.tokenizer, texts, saved.max_length).input_ids
    labels = score(saved.model, shifted(ids, FIELDS["seed"], special_ids(arguments["model"]))).predictions
    share = np.mean(labels == rows["label"].to_numpy())
    assert picked["eval_shifted_accuracy"] == pytest.approx((picked["eval_accuracy"] + share) / 2)


@pytest.fixture(scope="module")
def self_trained(arguments, tmp_path_factory) -> tuple[Path, dict, dict]:
    """A run with unlabelled texts of which some stand in splits; its arguments and its record."""
    folder = tmp_path_factory.mktemp("self")
    rows, test = learnable_rows(150, seed=4), learnable_rows(30, seed=2)
    texts = [*rows, *test[:7], rows[0], *learnable_rows(100)[:5]]
    asked = arguments | {
        "unlabelled": write_csv(folder / "unlabelled.csv", [(text, "") for text, _ in texts]),
        "test": write_csv(folder / "test.csv", test),
        "calibration_share": 0.1,
        "self_training_threshold": 0.4,
        "average_epochs": 2,
    }
    record = submillion.train(output=folder / "whole", **asked)
    return folder, asked, record


def test_the_second_training_learns_from_what_the_first_is_sure_of(self_trained, arguments):
    folder, asked, record = self_trained
    told, n_train = record["self_training"], record["data"]["splits"]["train"]["n_rows"]
    assert told["threshold"] == 0.4
    assert told["n_unlabelled"] == record["data"]["unlabelled"]["n_rows"] == 150
    assert 0 < told["n_used"] <= min(MOST_TIMES * n_train, told["n_sure"])
    assert told["temperatures"].keys() == {"adapter", "tfidf_svm", "teacher"}
    # each at its own: the sum of two that agree is too sure of itself, where weights of the pool need no temperature
    assert told["temperatures"]["teacher"] > 1.01
    kept = parquet.read_table(folder / "whole" / "pseudo_labels.parquet")
    names = record["data"]["label_names"]
    counts = np.bincount(kept["label"].to_numpy(), minlength=3).tolist()
    assert told["used_per_class"] == dict(zip(names, counts, strict=True))
    assert sum(counts) == told["n_used"]
    assert min(kept["probability"].to_pylist()) >= 0.4
    notes = " ".join(record["data"]["notes"])
    assert "7 texts without a label left out: in test too." in notes
    assert "1 text without a label left out: repeated." in notes
    hashes = set(kept["text_sha256"].to_pylist())
    assert not hashes & set(text_hashes(text for text, _ in learnable_rows(30, seed=2)))
    assert {text_hash[:16] for text_hash in hashes} < set(
        json.loads((folder / "whole" / "train_hashes.json").read_text())
    )
    # It started anew, with more rows: more steps than the first, whose history is kept beside it.
    steps = {
        name: max(json.loads(line)["step"] for line in (folder / "whole" / name).read_text().splitlines())
        for name in ("history_first.jsonl", "history.jsonl")
    }
    assert steps["history.jsonl"] > steps["history_first.jsonl"]
    assert record["seconds"].keys() >= {"first_training", "self_training", "training"}
    plain = {name: value for name, value in asked.items() if name not in ("unlabelled",)}
    submillion.train(output=folder / "plain", **plain)
    assert sha256s(folder / "plain") != sha256s(folder / "whole")


def test_tfidf_teaches_what_an_adapter_that_has_learnt_little_does_not_know(arguments, tmp_path):
    rows, right = learnable_rows(150, seed=4), {}
    truth = dict(zip(text_hashes(text for text, _ in rows), (label for _, label in rows), strict=True))
    for teacher in ("adapter", "adapter_and_tfidf"):
        record = submillion.train(
            output=tmp_path / teacher,
            **arguments | {"num_train_epochs": 1, "learning_rate": 1e-5},
            unlabelled=[text for text, _ in rows],
            self_training_threshold=0.01,
            self_training_teacher=teacher,
        )
        kept = parquet.read_table(tmp_path / teacher / "pseudo_labels.parquet").to_pydict()
        names = record["data"]["label_names"]
        right[teacher] = np.mean(
            [
                truth[text] == names[label]
                for text, label in zip(kept["text_sha256"], kept["label"], strict=True)
            ]
        )
    assert right["adapter_and_tfidf"] >= 0.95 > right["adapter"]


@pytest.mark.parametrize(
    ("shares", "teacher", "taught_by", "is_told"),
    [
        ({"calibration_share": 0}, "adapter_and_tfidf", ["adapter", "tfidf_svm"], False),
        ({"calibration_share": 0, "validation_share": 0}, "adapter_and_tfidf", ["adapter"], True),
        ({"calibration_share": 0, "validation_share": 0}, "adapter", ["adapter"], False),
    ],
)
def test_who_taught_is_kept_and_told_where_it_is_not_as_asked(
    arguments, tmp_path, capsys, shares, teacher, taught_by, is_told
):
    record = submillion.train(
        output=tmp_path / "run",
        **arguments | {"num_train_epochs": 1, "quiet": False} | shares,
        unlabelled=[text for text, _ in learnable_rows(30, seed=4)],
        self_training_threshold=0.01,
        self_training_teacher=teacher,
    )
    assert record["self_training"]["taught_by"] == taught_by
    assert record["self_training"]["n_used"] == 30
    printed = capsys.readouterr().err
    assert ("the adapter teaches alone" in printed) == is_told
    assert "forecast: at most" in printed


def test_no_more_texts_join_than_so_many_times_the_train_rows(arguments, tmp_path, monkeypatch):
    monkeypatch.setattr("submillion.training.self_training.MOST_TIMES", 1)
    record = submillion.train(
        output=tmp_path / "run",
        **arguments | {"num_train_epochs": 1},
        unlabelled=[text for text, _ in learnable_rows(200, seed=4)],
        self_training_threshold=0.01,
    )
    n_train = record["data"]["splits"]["train"]["n_rows"]
    assert n_train - 3 <= record["self_training"]["n_used"] <= n_train < record["self_training"]["n_sure"]


@pytest.mark.parametrize(("n_texts", "words", "times"), [(40, 1, 1.5), (1000, 1, 5.0), (40, 2, 2.0)])
def test_the_forecast_counts_the_tokens_that_may_join(n_texts, words, times):
    tokens = {"train": [[2, 5, 5, 3]] * 80, "unlabelled": [[2, 5, 5, 3] * words] * n_texts}
    prepared = SimpleNamespace(tokens={name: SimpleNamespace(input_ids=ids) for name, ids in tokens.items()})
    assert most_of_second(prepared) == pytest.approx(times)


@pytest.mark.parametrize("training", [1, 2])
def test_self_training_survives_a_kill_in_either_training(self_trained, training):
    folder, asked, record = self_trained
    run = folder / f"killed-{training}"
    resumed = killed_and_resumed(run, "on_step_end", 14, training, **asked)
    assert resumed["self_training"] == record["self_training"]
    assert sha256s(run) == sha256s(folder / "whole")
    assert resumed["averaged_epochs"] == record["averaged_epochs"]
    assert resumed["figures"] == record["figures"]


def test_other_unlabelled_texts_are_refused_on_resume(self_trained, tmp_path):
    _, asked, record = self_trained
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps(record | {"status": "running"}))
    other = write_csv(tmp_path / "other.csv", learnable_rows(20, seed=9))
    with pytest.raises(RunError, match="was begun with other unlabelled texts: choose another --output"):
        submillion.train(output=run, resume=True, **asked | {"unlabelled": other})


def test_where_the_first_training_is_sure_of_nothing_it_is_kept(arguments, tmp_path):
    texts = [text for text, _ in learnable_rows(20, seed=4)]
    record = submillion.train(
        output=tmp_path / "run", **arguments, unlabelled=texts, self_training_threshold=1.0
    )
    assert record["self_training"]["n_used"] == 0
    assert not (tmp_path / "run" / "pseudo_labels.parquet").exists()
    submillion.train(output=tmp_path / "plain", **arguments)
    assert sha256s(tmp_path / "run") == sha256s(tmp_path / "plain")


def test_unlabelled_texts_that_all_stand_in_a_split_are_refused(arguments, tmp_path):
    texts = [text for text, _ in learnable_rows(100)]
    with pytest.raises(DataError, match=r"no unlabelled text is left \(\d+ in train too; \d+ in val"):
        submillion.train(output=tmp_path / "run", **arguments, unlabelled=texts)


def test_the_keys_count_in_each_fold_of_cross_validation(arguments, tmp_path, monkeypatch):
    done, is_noisy = [], []

    def finished(trainer, *rest):
        done.append(finish_adapter(trainer, *rest))
        is_noisy.append(isinstance(trainer.train_dataset, NoisyRows))
        return done[-1]

    monkeypatch.setattr("submillion.training.cross_validation.finish_adapter", finished)
    submillion.train(
        output=tmp_path / "run",
        **arguments | {"num_train_epochs": 2, "cv": 2},
        average_epochs=2,
        adapter_scale="choose",
        word_dropout=0.1,
        metric_for_best_model="shifted_accuracy",
    )
    assert is_noisy == [True, True]
    assert [each["averaged_epochs"] for each in done] == [[1, 2], [1, 2]]
    assert all(each["adapter_scale"]["scale"] in (0.5, 0.7, 0.85, 1.0) for each in done)


def test_a_search_takes_the_keys(arguments, tmp_path):
    """Word dropout and the metric count in its short trainings; the rest only in the training in full."""
    recipe = tmp_path / "space.yaml"
    recipe.write_text(
        "space: {learning_rate: [1.0e-3, 3.0e-3]}\nstages: [{num_train_epochs: 1}]\nfinal: {num_train_epochs: 2}\n"
    )
    left_out = ("num_train_epochs", "learning_rate")
    study = submillion.search(
        recipe=recipe,
        output=tmp_path / "study",
        **{name: value for name, value in arguments.items() if name not in left_out},
        average_epochs=2,
        adapter_scale="choose",
        word_dropout=0.2,
        metric_for_best_model="shifted_accuracy",
        unlabelled=write_csv(tmp_path / "unlabelled.csv", learnable_rows(30, seed=4)),
        self_training_threshold=0.35,
    )
    assert study["status"] == "finished"
    (run,) = (path.parent for path in (tmp_path / "study").rglob("adapter"))
    record = json.loads((run / "run.json").read_text())
    assert record["averaged_epochs"]
    assert record["adapter_scale"]["scale"] in (0.5, 0.7, 0.85, 1.0)
    assert record["self_training"]["n_unlabelled"] == 30


def test_a_run_that_had_ended_is_averaged_up_to_its_best_epoch(arguments, tmp_path):
    """Stopped early: what counts is the best epoch that the last checkpoint knows of, not the last one."""
    asked = arguments | {
        "num_train_epochs": 8,
        "learning_rate": 2e-2,
        "early_stopping_patience": 1,
        "average_epochs": 2,
        "keep_checkpoints": True,
        "pooling": "first",
    }
    run = tmp_path / "run"
    record = submillion.train(output=run, **asked)
    best = record["best_epoch"]
    assert record["steps"] == 10 * (best + 1), "it did not stop early: choose another seed"
    assert record["averaged_epochs"] == [best - 1, best][-int(min(best, 2)) :]
    before = (run / "adapter" / "adapter_model.safetensors").read_bytes()
    (run / "run.json").write_text(json.dumps(record | {"status": "running"}))
    (run / "adapter" / "adapter_model.safetensors").unlink()
    resumed = submillion.train(output=run, resume=True, **asked)
    assert resumed["averaged_epochs"] == record["averaged_epochs"]
    assert (run / "adapter" / "adapter_model.safetensors").read_bytes() == before


def test_a_frozen_head_stays_frozen_in_both_trainings(arguments, tiny_encoder, tmp_path):
    asked = arguments | {
        "model": tiny_encoder("roberta"),
        "pooling": "first",
        "head": "output",
        "num_train_epochs": 1,
    }
    texts = [text for text, _ in learnable_rows(20, seed=4)]
    record = submillion.train(output=tmp_path / "run", **asked, unlabelled=texts, self_training_threshold=0.2)
    assert record["self_training"]["n_used"] > 0
    submillion.train(output=tmp_path / "other", **asked)
    second, first = (
        load_file(tmp_path / name / "adapter/adapter_model.safetensors") for name in ("run", "other")
    )
    changed = {name for name, value in first.items() if not torch.equal(value, second[name])}
    assert any("out_proj" in name for name in changed)
    assert not any("classifier.dense" in name for name in changed)
