"""Runs that earlier versions wrote are opened by this one; runs of a later one are refused with what to install."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import submillion
from submillion.cli.main import main
from submillion.errors import RunError

STORED = Path(__file__).parent / "schema_1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copytree(STORED, tmp_path / "old")
    return tmp_path / "old"


def test_predict_answers_as_it_did_then(old):
    rows = submillion.load(old / "run", encoder=str(old / "encoder"))
    then = pd.read_csv(old / "predictions.csv")
    probabilities = rows.predict_proba(pd.read_csv(old / "test.csv")["text"].tolist())
    columns = [f"probability_{name}" for name in rows.label_names]
    assert probabilities == pytest.approx(then[columns].to_numpy(), abs=0.02)  # bf16 where the device has it
    assert list(rows.predict(pd.read_csv(old / "test.csv")["text"].tolist())) == list(then["label"])


def test_evaluate_and_compare(old, capsys):
    for name in ("run", "lean"):
        report = submillion.evaluate(old / name, old / "test.csv", encoder=str(old / "encoder"))
        assert report["n"] == 30
    then, truth = pd.read_csv(old / "predictions.csv")["label"], pd.read_csv(old / "test.csv")["label"]
    assert json.loads((old / "run" / "evaluation" / "test" / "report.json").read_text())["accuracy"][
        "value"
    ] == (pytest.approx((then == truth).mean()))
    main(["compare", str(old / "run"), str(old / "lean"), "--json"])
    compared = json.loads(capsys.readouterr().out)
    assert {pair["rows"] for pair in compared["comparisons"]} == {"validation", "test"}


@pytest.mark.parametrize("verb", ["predict", "evaluate", "compare", "export", "train"])
def test_a_newer_schema_says_what_to_install(old, verb, capsys):
    record = json.loads((old / "run" / "run.json").read_text())
    (old / "run" / "run.json").write_text(json.dumps(record | {"schema_version": 99}))
    before = {path: path.read_bytes() for path in (old / "run").rglob("*") if path.is_file()}
    run = str(old / "run")
    rest = {
        "predict": [run, "--text", "goal"],
        "evaluate": [run, "--data", str(old / "test.csv")],
        "compare": [run, str(old / "lean")],
        "export": [run, "--format", "merged", "--output", str(old / "out")],
        "train": ["--output", run, "--resume"],
    }
    with pytest.raises(SystemExit) as ended:
        main([verb, *rest[verb]])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said == (
        f"error: {run}/run.json has schema_version 99, this version of submillion reads up to 1: "
        "pip install --upgrade submillion\n"
    )
    after = {path: path.read_bytes() for path in (old / "run").rglob("*") if path.is_file()}
    assert {path: content for path, content in after.items() if path.name != ".lock"} == before


def test_a_record_without_a_schema_is_no_run(old):
    (old / "run" / "run.json").write_text('{"status": "finished"}')
    with pytest.raises(RunError, match="has no schema_version or status"):
        submillion.load(old / "run")
