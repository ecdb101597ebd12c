"""`submillion search`, as its user meets it: what is printed, what is kept, what is refused."""

import contextlib
import io
import json
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
import torch
from filelock import FileLock
from rich.console import Console

import submillion
from conftest import learnable_rows, write_csv
from submillion.cli.main import main
from submillion.errors import ConfigError, DataError, Diverged, RunError, SubmillionError
from submillion.probe import fit_probe
from submillion.recipe import load_recipe
from submillion.scoring import embed_frozen
from submillion.study import search as search_module
from submillion.study import short
from submillion.training.prepare import Sources, prepare
from submillion.training.start import fit_head_probe, start_head

SPACE = """
space:
  rank: [1, 3, allocate, 200]
  learning_rate: [1.0e-2, 1.0e+30]
budget: {target_modules: [query, value]}
final: {num_train_epochs: 2}
"""
FLAGS = {"validation-share": 0.3, "calibration-share": 0, "min-rows-to-split": 50, "seed": 3}


@pytest.fixture(scope="module")
def files(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("search")
    (folder / "space.yaml").write_text(SPACE)
    return {
        "recipe": folder / "space.yaml",
        "train": write_csv(folder / "train.csv", learnable_rows(200)),
        "test": write_csv(folder / "test.csv", learnable_rows(60, seed=1)),
        "model": tiny_encoder("bert"),
        **FLAGS,
    }


def search(files, output, *more):
    main(["search", *(f"--{name}={value}" for name, value in files.items()), "--output", str(output), *more])


@pytest.fixture(scope="module")
def found(files, tmp_path_factory):
    """One study by the command, with two seeds: its folder, what was printed, and how often the encoder embedded."""
    output = tmp_path_factory.mktemp("study") / "study"
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        plain = short.embed_frozen
        patch.setattr(short, "embed_frozen", lambda *given: (calls.append(1), plain(*given))[1])
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            search(files, output, "--seeds", "2")
    return output, out.getvalue(), err.getvalue(), len(calls)


def test_every_candidate_is_listed_before_any_is_trained(found):
    _, _, progress, _ = found
    lines = progress.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("stage 1, candidate"))
    listed = [number for number, line in enumerate(lines) if "never started: candidate" in line]
    assert len(listed) == 2
    assert max(listed) < first
    assert "8 candidates: 6 to train, 2 are refused" in progress
    assert "rank=200 is above" in progress


def test_a_study_without_the_fast_path_says_so_before_it_trains(
    files, tiny_encoder, tmp_path, monkeypatch, capsys
):
    def stop(*_):
        raise InterruptedError

    monkeypatch.setattr(search_module.StudyFolder, "open_jobs", stop)
    (tmp_path / "space.yaml").write_text("space: {rank: [1, 2]}\n")
    of_other = {**files, "recipe": tmp_path / "space.yaml", "model": tiny_encoder("distilbert")}
    with pytest.raises(InterruptedError):
        search(of_other, tmp_path / "study")
    assert "  note: the family 'distilbert' runs in exact numerics" in capsys.readouterr().err


def test_the_study_holds_all_that_was_done(found):
    folder, out, _, _ = found
    record = json.loads((folder / "study.json").read_text())
    assert record["status"] == "finished"
    trained = [training for training in record["trainings"] if training["stage"] == 1]
    assert {(training["candidate"], training["repeat"]) for training in trained} == {
        (candidate["number"], repeat)
        for candidate in record["candidates"]
        if not candidate["refused"]
        for repeat in (0, 1)
    }
    failed = [training for training in trained if training["accuracy"] is None]
    assert {
        record["candidates"][training["candidate"]]["varied"]["learning_rate"] for training in failed
    } == {1e30}
    assert all("diverged" in training["failed"] for training in failed)
    assert {(training["epochs"], training["epochs_seen"]) for training in failed} == {(3.0, 1.0)}
    n_validation = record["data"]["splits"]["validation"]["n_rows"]
    assert {training["rows_seen"] for training in failed} == {
        round(training["train_rows"] + n_validation / 3) for training in failed
    }
    recommended = record["recommendation"]
    assert {row["number"] for row in recommended["ranking"]} == {
        candidate["number"]
        for candidate in record["candidates"]
        if candidate["varied"]["learning_rate"] == 1e-2
    } - {candidate["number"] for candidate in record["candidates"] if candidate["refused"]}
    assert (
        recommended["optimistic"]
        == "chosen on these rows as the best of 6 candidates, so its figure is optimistic"
    )
    assert len(record["test"]["reads"]) == 1
    cost = record["costs"]
    n_train = record["data"]["splits"]["train"]["n_rows"]
    assert cost["rows_seen"] == sum(training["rows_seen"] for training in trained) + round(n_train / 3)
    assert cost["epochs"] == sum(training["epochs_seen"] for training in trained)
    assert cost["seconds"]["total"] > cost["seconds"]["training"] > 0
    assert f"{cost['rows_seen']:,} rows seen" in out
    assert f"recommended: {recommended['reason'][:40]}" in " ".join(out.split())
    assert (folder / "best" / "adapter" / "adapter_config.json").is_file()
    page = (folder / "report.html").read_text()
    assert page.count("runs/candidate-") >= 6
    assert "report.html" in out


def test_a_row_scored_for_selection_counts_a_third(found):
    folder, *_ = found
    record = json.loads((folder / "study.json").read_text())
    n_validation = record["data"]["splits"]["validation"]["n_rows"]
    training = [each for each in record["trainings"] if each.get("curve")][-1]
    assert training["rows_seen"] == round(
        training["epochs"] * training["train_rows"] + n_validation * len(training["curve"]) / 3
    )


def test_the_frozen_encoder_embeds_once_for_all(found):
    assert found[3] == 1


def test_allocated_ranks_are_searched_beside_uniform_ones(found):
    folder, *_ = found
    record = json.loads((folder / "study.json").read_text())
    of = {
        (training["trainable_parameters"], record["candidates"][training["candidate"]]["varied"]["rank"])
        for training in record["trainings"]
        if training["stage"] == 1
    }
    assert {rank for _, rank in of} == {1, 3, "allocate"}


def test_the_dashboard_is_shown_what_a_trial_varies(found):
    folder, *_ = found
    record = json.loads((folder / "study.json").read_text())
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{folder / 'study.db'}")
    of_stage_1 = [trial.user_attrs for trial in study.trials if trial.user_attrs["job"][0] == 0]
    assert len(of_stage_1) == 12
    for found_there in of_stage_1:
        varied = record["candidates"][found_there["candidate"]]["varied"]
        assert {name: found_there[name] for name in varied} == varied


def made_up(log_losses, **accuracies):
    """Return what stands in for a short training: accuracies by learning rate, a list with one for each seed; log losses."""

    def train(ground, candidate, _stage, repeat, _folder, _tell, left_out):
        accuracy = accuracies[f"lr_{candidate.number}"][repeat]
        assert left_out is None or len(left_out) == 0  # all stages here are of all rows
        n_rows = len(ground.prepared.splits.validation)
        right = np.arange(n_rows) < round((accuracy or 0) * n_rows)
        costs = {"epochs": 1.0, "epochs_seen": 1.0, "train_rows": 10, "rows_seen": 10}
        came_to = (
            {"failed": "it diverged"}
            if accuracy is None
            else {
                "right": np.packbits(right).tobytes().hex(),
                "log_loss": log_losses[candidate.number],
                "judged_rows": n_rows,
            }
        )
        return came_to | costs | {
            "accuracy": accuracy,
            "candidate": candidate.number,
            "trainable_parameters": 10 + candidate.number,
            "seconds": {"training": 1.0, "total": 1.0},
            "curve": [],
        }  # fmt: skip

    return train


@pytest.fixture
def two(files, tmp_path, monkeypatch):
    """Return a function that searches between two learning rates, whose short trainings are made up."""

    def go(
        first, second, *, rates=(1e-2, 2e-2), log_losses=(0.5, 0.5), stages="[{}]", resume=False, **changes
    ):
        monkeypatch.setattr(search_module, "train_short", made_up(log_losses, lr_0=first, lr_1=second))
        (tmp_path / "two.yaml").write_text(
            f"space: {{learning_rate: {list(rates)}}}\nbudget: {{target_modules: qv, rank: 1}}\n"
            f"search: {{repeats: {len(first)}}}\nfinal: {{num_train_epochs: 1}}\nstages: {stages}"
        )
        given = {name.replace("-", "_"): value for name, value in files.items()}
        given |= {"recipe": tmp_path / "two.yaml", "output": tmp_path / "study", "quiet": True}
        return submillion.search(**given | changes, resume=resume)

    return go


def status(folder):
    record = json.loads((folder / "study.json").read_text())
    return record["status"], record["error"]


def of_shares(files, folder, stages):
    """Search between two learning rates by stages that train on a share, and return `study.json`."""
    recipe = folder / "shares.yaml"
    recipe.write_text(
        "space: {learning_rate: [1.0e-2, 2.0e-2]}\nbudget: {target_modules: qv, rank: 1}\nfinal: {num_train_epochs: 1}\n"
        f"stages: [{stages}]"
    )
    given = {name.replace("-", "_"): value for name, value in files.items()}
    return submillion.search(**given | {"recipe": recipe, "output": folder / "study", "quiet": True})


def test_heads_start_from_some_rows_and_no_others_are_embedded(files, tmp_path, monkeypatch):
    monkeypatch.setattr("submillion.training.start.MOST_ROWS", 20)
    monkeypatch.setattr("submillion.training.start.MOST_ROWS_A_LABEL", 1)
    embedded, fitted = [], []

    def embed(model, ids, batch_size):
        embedded.append(len(ids))
        return embed_frozen(model, ids, batch_size)

    def fit(features, labels, *rest, **named):
        fitted.append((len(features), len(labels)))
        return fit_probe(features, labels, *rest, **named)

    monkeypatch.setattr(short, "embed_frozen", embed)
    monkeypatch.setattr("submillion.baselines.fit_probe", fit)
    record = of_shares(
        files, tmp_path, "{share: 0.1, num_train_epochs: 1}, {share: 0.6, num_train_epochs: 1}"
    )
    n_first = record["trainings"][0]["train_rows"]
    assert n_first < 20
    assert embedded == [20]
    assert fitted[:2] == [(n_first, n_first), (20, 20)]
    trained = sum(training["rows_seen"] for training in record["trainings"] if training["stage"] < 3)
    assert record["costs"]["rows_seen"] == trained + round(20 / 3)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_heads_start_as_those_of_train_do_labels_counting_as_they_will(files, pooling):
    rows = learnable_rows(90)
    rows = [row for row in rows if row[1] != rows[0][1]] + rows[:24:3]  # the first label has few
    given = {"model": files["model"], "pooling": pooling, "min_rows_to_split": 10_000, "rank": 1}
    heads = {}
    for weights in (None, "balanced"):
        prepared = prepare(load_recipe(**given, class_weights=weights), Sources(rows), Console(quiet=True))
        by_search, by_train = prepared.build(), prepared.build()
        ground = short.Ground(prepared, Console(quiet=True))
        ground.start(by_search, prepared.recipe, len(rows))
        embeddings = embed_frozen(by_train, prepared.train.input_ids)["mean"][ground.start_rows]
        probe = fit_head_probe(by_train, prepared.train, ground.start_rows, embeddings, prepared.recipe)
        start_head(by_train, *probe.head_weights())
        heads[weights] = by_search.last_projection.weight.detach()
        torch.testing.assert_close(heads[weights], by_train.last_projection.weight, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(heads[None], heads["balanced"], rtol=1e-1)


def test_the_last_stage_is_judged_by_the_rows_that_it_leaves_out_too(files, tmp_path):
    record = of_shares(
        files, tmp_path, "{share: 0.2, num_train_epochs: 1}, {share: 0.6, num_train_epochs: 2}"
    )
    rows = {name: split["n_rows"] for name, split in record["data"]["splits"].items()}
    first, last = record["trainings"][0], record["trainings"][2]
    assert first["judged_rows"] == rows["validation"]
    left_out = rows["train"] - round(0.6 * rows["train"])
    assert last["judged_rows"] == rows["validation"] + left_out
    assert last["rows_seen"] == round(2 * last["train_rows"] + (2 * rows["validation"] + left_out) / 3)
    kept = json.loads((tmp_path / "study" / "runs" / "stage2-000-seed1" / "result.json").read_text())
    assert short.right_rows(kept).mean() == last["accuracy"]
    [line] = record["recommendation"]["ranking"]
    assert f"on {last['judged_rows']:,} rows held back" in record["recommendation"]["reason"]
    assert line["accuracy"]["value"] == pytest.approx(last["accuracy"])
    page = (tmp_path / "study" / "report.html").read_text()
    assert f"{rows['validation']:,} validation rows and {left_out:,} train rows" in page


def test_validation_rows_that_are_given_judge_alone(files, tmp_path):
    given = {name: value for name, value in files.items() if name != "validation-share"}
    given["validation"] = write_csv(tmp_path / "validation.csv", learnable_rows(50, seed=2))
    record = of_shares(given, tmp_path, "{share: 0.5, num_train_epochs: 1}")
    n_validation = record["data"]["splits"]["validation"]["n_rows"]
    assert {training.get("judged_rows", n_validation) for training in record["trainings"]} == {n_validation}


def test_a_model_whose_scores_of_the_rows_left_out_are_not_finite_has_diverged(files, tmp_path, monkeypatch):
    plain, calls = short.score, []

    def fails_first(*given):
        calls.append(1)
        if len(calls) == 1:
            raise Diverged("a score is not finite")
        return plain(*given)

    monkeypatch.setattr(short, "score", fails_first)
    record = of_shares(files, tmp_path, "{share: 0.5, num_train_epochs: 1}")
    failed, found = record["trainings"][:2]
    assert (failed["accuracy"], failed["failed"]) == (None, "a score is not finite")
    assert record["recommendation"]["number"] == found["candidate"]


def test_the_rows_that_a_stage_leaves_out_are_others_and_no_more_than_it_trains_on():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    train = SimpleNamespace(labels=labels, hashes=[str(row) for row in range(100)])
    prepared = SimpleNamespace(splits=SimpleNamespace(train=train), recipe=SimpleNamespace(seed=1))
    ground = short.Ground(prepared, console=None)
    for share, n_left_out in ((0.2, 20), (0.7, 30), (1.0, 0)):
        rows, left_out = ground.rows(share), ground.left_out(share)
        assert len(left_out) == n_left_out
        assert not set(rows) & set(left_out)
    before = ground.left_out(0.2)
    assert np.bincount(labels[before]).tolist() == [12, 6, 2]
    train.hashes[before[0]] = train.hashes[ground.rows(0.2)[0]]  # a text that is trained on
    assert set(before) - set(ground.left_out(0.2)) == {before[0]}


def test_a_candidate_of_which_a_seed_failed_is_not_recommended(two):
    record = two([0.9, None], [0.6, 0.6])
    assert [line["number"] for line in record["recommendation"]["ranking"]] == [1]
    assert record["error"] is None
    assert record["notes"] == []


def test_the_lowest_log_loss_goes_on_whatever_its_accuracy(two):
    record = two([0.9], [0.6], log_losses=(0.7, 0.3), stages="[{keep: 1}, {}]")
    assert [(each["stage"], each["candidate"]) for each in record["trainings"]] == [
        (1, 0),
        (1, 1),
        (2, 1),
        (3, 1),
    ]
    assert record["recommendation"]["number"] == 1


def test_a_study_of_which_all_candidates_fail_has_failed(two, tmp_path):
    for resume in (False, True):
        with pytest.raises(RunError, match="no candidate could be trained: it diverged"):
            two([None], [None], resume=resume)
        assert status(tmp_path / "study") == (
            "failed",
            "RunError: no candidate could be trained: it diverged",
        )


def test_a_final_run_that_diverges_says_what_to_do(two, tmp_path, monkeypatch):
    said = (
        "the final run of the recommended candidate 0 (learning_rate 1e+30) diverged, and would again: lower the "
        "learning_rate, which is 1e+30, and search anew into another --output"
    )
    for resume in (False, True):
        with pytest.raises(RunError) as error:
            two([0.9], [0.6], rates=(1e30, 2e30), resume=resume)
        assert str(error.value) == said
        assert status(tmp_path / "study") == ("failed", f"RunError: {said}")
        monkeypatch.setattr(search_module, "train_once", None)  # it is not trained again to say so again


def test_a_label_of_test_that_train_does_not_know_can_be_mended(two, tmp_path):
    rows = learnable_rows(60, seed=1)
    test = write_csv(tmp_path / "test.csv", [(rows[0][0], "nonsense"), *rows[1:]])
    with pytest.raises(DataError, match=r"nonsense.* are kept: once that is mended, go on by --resume"):
        two([0.9], [0.6], test=test)
    assert status(tmp_path / "study")[0] == "failed"
    write_csv(tmp_path / "test.csv", rows)
    record = two([0.9], [0.6], test=test, resume=True)
    assert record["status"] == "finished"
    assert len(record["test"]["reads"]) == 1


def test_fewer_candidates_than_asked_are_noted(two, tmp_path):
    recipe = tmp_path / "few.yaml"
    recipe.write_text("space: {rank: [1, 2]}\nsearch: {candidates: 5}\nfinal: {num_train_epochs: 1}")
    record = two([0.9], [0.6], recipe=recipe, output=tmp_path / "few")
    note = "search.candidates=5: 2 are left, for 3 drawn ones equal an earlier one"
    assert record["notes"] == [note]
    assert note in (tmp_path / "few" / "report.html").read_text()


def test_seeds_are_refused_with_a_table(files, tmp_path, capsys):
    with pytest.raises(SystemExit):
        search(files | {"recipe": "paper-table1"}, tmp_path / "table", "--seeds", "2")
    assert "error: seeds=2 has no effect on paper-table1, whose table is trained" in capsys.readouterr().err


def test_a_finished_study_is_not_begun_again(found, files):
    with pytest.raises(RunError, match="is a finished study: choose another --output"):
        submillion.search(
            recipe=files["recipe"], train=files["train"], output=found[0], resume=True, quiet=True
        )


def test_two_processes_need_a_storage_to_share(files, tmp_path):
    output = tmp_path / "study"
    output.mkdir()
    given = {name.replace("-", "_"): value for name, value in files.items()}
    with (
        FileLock(output / ".lock"),
        pytest.raises(RunError, match="is being worked on by another process: wait, or"),
    ):
        submillion.search(**given, output=output, resume=True, quiet=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"min_rows_to_split": 10**6},
            "200 rows are too few to hold any back, and a search chooses by rows held back",
        ),
        ({"storage": "nosuch://host/db"}, "storage='nosuch://host/db' cannot be opened"),
        ({"storage": "no url"}, "storage='no url' cannot be opened"),
    ],
)
def test_what_cannot_be_is_refused(files, tmp_path, changes, message):
    given = {name.replace("-", "_"): value for name, value in files.items()} | changes
    with pytest.raises(ConfigError, match=message):
        submillion.search(**given, output=tmp_path / "study", quiet=True)


def test_a_study_goes_on_only_as_what_it_was_begun(files, tmp_path, monkeypatch):
    given = {name.replace("-", "_"): value for name, value in files.items()}
    output = tmp_path / "study"
    calls = []

    def killed_after_one(*arguments, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return short.train_short(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(search_module, "train_short", killed_after_one)
        with pytest.raises(KeyboardInterrupt):
            submillion.search(**given, output=output, quiet=True)
    before = (output / "study.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(search_module, "SEARCH_VERSION", 2)
        with pytest.raises(RunError, match="was begun with another version of the search"):
            submillion.search(**given, output=output, resume=True, quiet=True)
    for changes in (
        {"seeds": 2},
        {"seed": 4},
        {"train": write_csv(tmp_path / "other.csv", learnable_rows(150))},
    ):
        with pytest.raises(RunError, match="was begun with another"):
            submillion.search(**given | changes, output=output, resume=True, quiet=True)
    assert (output / "study.json").read_bytes() == before


def test_a_mistake_leaves_the_folder_free(files, tmp_path):
    given = {name.replace("-", "_"): value for name, value in files.items()}
    output = tmp_path / "study"
    for _ in range(2):
        with pytest.raises(SubmillionError, match=r"nowhere\.csv"):
            submillion.search(**given | {"train": str(tmp_path / "nowhere.csv")}, output=output, quiet=True)
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match="choose another --output"):
            submillion.search(**given, output=place, resume=True, quiet=True)
