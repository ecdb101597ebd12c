"""`submillion search`, as its user meets it: what is printed, what is kept, what is refused."""

import contextlib
import io
import json

import pytest
from filelock import FileLock

import submillion
from conftest import learnable_rows, write_csv
from submillion.cli.main import main
from submillion.errors import ConfigError, RunError, SubmillionError
from submillion.study import search as search_module
from submillion.study import short

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
