"""From rows to a run folder and back to answers, with a tiny encoder."""

import json
from pathlib import Path

import numpy as np
import pytest

import submillion
from conftest import learnable_rows, write_csv

FIELDS = {
    "min_rows_to_split": 50,
    "num_train_epochs": 2,
    "learning_rate": 3e-3,
    "validation_share": 0.2,
    "calibration_share": 0.1,
    "logging_steps": 2,
    "quiet": True,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_encoder):
    """A finished run on 120 rows, with its files."""
    folder = tmp_path_factory.mktemp("trained")
    train = write_csv(folder / "train.csv", learnable_rows(120))
    test = write_csv(folder / "test.csv", learnable_rows(60, seed=1))
    record = submillion.train(train, test=test, output=folder / "run", model=tiny_encoder("bert"), **FIELDS)
    return folder, record


def adapter_bytes(run: Path) -> bytes:
    return b"".join(
        (run / "adapter" / name).read_bytes() for name in ("adapter_model.safetensors", "head.safetensors")
    )


def test_run_folder_holds_what_the_design_says(trained):
    folder, record = trained
    run = folder / "run"
    assert record["status"] == "finished"
    assert record["schema_version"] == 1
    assert not (run / "checkpoints").exists()
    for name in (
        "adapter/README.md",
        "adapter/tokenizer.json",
        "history.jsonl",
        "learning_curves.png",
        "validation.parquet",
        "calibration.parquet",
    ):
        assert (run / name).is_file(), name
    assert not [
        path for path in run.rglob("*") if path.suffix in (".pkl", ".pickle", ".bin", ".joblib", ".pt")
    ]
    splits = record["data"]["splits"]
    assert sum(split["n_rows"] for split in splits.values()) == 120
    assert splits["validation"]["n_rows"] == 24
    names = [baseline["name"] for baseline in record["figures"]["validation"]["baselines"]]
    assert names == ["majority", "tfidf_svm", "probe_mean", "probe_first"]
    assert record["plan"]["trainable_parameters"] <= 1_000_000
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert {"loss", "learning_rate"} <= set(history[0])
    assert sum("eval_accuracy" in line for line in history) == 2


def test_predictions_agree_between_ways_of_asking(trained):
    folder, _ = trained
    texts = [text for text, _ in learnable_rows(30, seed=2)]
    predictor = submillion.load(folder / "run")
    probabilities = predictor.predict_proba(texts)
    assert probabilities.shape == (30, 3)
    assert np.allclose(probabilities.sum(axis=1), 1)
    labels = submillion.predict(folder / "run", texts)
    assert labels == [predictor.label_names[row.argmax()] for row in probabilities]
    source = folder / "new.csv"
    source.write_text("text\n" + "\n".join(texts) + "\n")
    assert submillion.predict(folder / "run", str(source), output=folder / "out.csv") == 30
    lines = (folder / "out.csv").read_text().splitlines()
    assert lines[0] == "row,label,probability,probability_space,probability_sport,probability_trade"
    assert [line.split(",")[1] for line in lines[1:]] == labels


def test_evaluate_notes_each_read_of_the_test_split_and_no_other(trained):
    folder, record = trained
    run = folder / "run"
    assert record["test_reads"] == []
    other = write_csv(folder / "other.csv", learnable_rows(40, seed=3))
    report = submillion.evaluate(run, other)
    assert report["test_reads"] is None
    shuffled = learnable_rows(60, seed=1)[::-1]
    report = submillion.evaluate(run, write_csv(folder / "shuffled.csv", shuffled))
    assert [read["n"] for read in report["test_reads"]] == [60]
    report = submillion.evaluate(run, str(folder / "test.csv"))
    assert len(report["test_reads"]) == 2
    assert len(json.loads((run / "run.json").read_text())["test_reads"]) == 2
    written = json.loads((run / "evaluation" / "test" / "report.json").read_text())
    assert {"n", "accuracy", "macro_f1", "per_class", "confusion", "calibration", "baselines"} <= set(written)
    assert written["n"] == 60
    assert (run / "evaluation" / "test" / "confusion.png").stat().st_size > 1000


def test_model_is_the_same_whatever_the_test_labels(trained, tmp_path, tiny_encoder):
    folder, record = trained
    rows = learnable_rows(60, seed=1)
    relabelled = write_csv(tmp_path / "relabelled.csv", [(text, "nonsense") for text, _ in rows])
    unlabelled = tmp_path / "unlabelled.csv"
    unlabelled.write_text("text\n" + "\n".join(f'"{text}"' for text, _ in rows) + "\n")
    expected = adapter_bytes(folder / "run")
    for index, test in enumerate((relabelled, str(unlabelled))):
        again = submillion.train(
            str(folder / "train.csv"),
            test=test,
            output=tmp_path / f"run{index}",
            model=tiny_encoder("bert"),
            **FIELDS,
        )
        assert adapter_bytes(tmp_path / f"run{index}") == expected
        assert again["data"]["test_sha256"] == record["data"]["test_sha256"]
        assert again["figures"] == record["figures"]


def test_test_rows_planted_in_train_are_left_out_and_counted(trained, tmp_path, tiny_encoder):
    folder, _ = trained
    planted = learnable_rows(60, seed=1)[:7]
    planted[0] = (planted[0][0].upper() + "  ", planted[0][1])
    train = write_csv(tmp_path / "train.csv", learnable_rows(120) + planted)
    record = submillion.train(
        train, test=str(folder / "test.csv"), output=tmp_path / "run", model=tiny_encoder("bert"), **FIELDS
    )
    assert record["data"]["n_left_out"] == 7
    assert sum(split["n_rows"] for split in record["data"]["splits"].values()) == 120
    assert adapter_bytes(tmp_path / "run") == adapter_bytes(folder / "run")


def test_few_rows_all_train_and_cross_validation_compares(tmp_path, tiny_encoder):
    record = submillion.train(
        learnable_rows(45),
        output=tmp_path / "run",
        model=tiny_encoder("bert"),
        cv=3,
        num_train_epochs=1,
        quiet=True,
    )
    assert record["data"]["splits"]["train"]["n_rows"] == 45
    assert set(record["data"]["splits"]) == {"train"}
    assert record["figures"] == {}
    crossed = record["cross_validation"]
    assert (crossed["folds"], crossed["n"]) == (3, 45)
    assert [baseline["name"] for baseline in crossed["baselines"]] == [
        "majority",
        "tfidf_svm",
        "probe_mean",
        "probe_first",
        "adapter_and_tfidf",
    ]
    assert crossed["baselines"][0]["accuracy"]["value"] == pytest.approx(1 / 3)
    assert record["temperatures"] == crossed["temperatures"]
    assert {"adapter", "tfidf_svm", "adapter_and_tfidf"} < record["temperatures"].keys()


def test_compare_and_against(trained, tmp_path, tiny_encoder):
    folder, _ = trained
    submillion.train(
        str(folder / "train.csv"),
        test=str(folder / "test.csv"),
        output=tmp_path / "lean",
        model=tiny_encoder("bert"),
        **FIELDS | {"rank": 1, "target_modules": "q"},
    )
    compared = submillion.compare(folder / "run", tmp_path / "lean")
    assert [pair["rows"] for pair in compared["comparisons"]] == ["validation"]
    assert compared["runs"][1]["trainable_parameters"] < compared["runs"][0]["trainable_parameters"]
    report = submillion.evaluate(
        folder / "run", str(folder / "test.csv"), against=tmp_path / "lean", output=tmp_path / "r"
    )
    assert report["against"]["verdict"]["n"] == 60


def test_early_stopping_stops_and_a_resume_after_it_trains_no_more(tmp_path, tiny_encoder):
    fields = FIELDS | {"num_train_epochs": 8, "early_stopping_patience": 2, "learning_rate": 1e-12}
    rows = learnable_rows(120)
    options = {"model": tiny_encoder("bert"), "keep_checkpoints": True, **fields}
    record = submillion.train(rows, output=tmp_path / "run", **options)
    assert (
        record["steps"] == 3 * 6
    )  # the first epoch is best, two more do not better it; 84 rows in batches of 16
    assert record["best_epoch"] == 1
    expected = adapter_bytes(tmp_path / "run")
    submillion_json = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(submillion_json | {"status": "running"}))
    again = submillion.train(rows, output=tmp_path / "run", resume=True, **options)
    assert again["steps"] == record["steps"]
    assert again["resumed"] == 1
    assert again["seconds"]["embedding"] == record["seconds"]["embedding"]
    # What lay between the last checkpoint and the end is not known to the resumed one.
    assert again["seconds"]["training"] > record["seconds"]["training"] / 2
    assert adapter_bytes(tmp_path / "run") == expected


@pytest.mark.parametrize(
    ("names", "says"),
    [(("nothing",), "nothing is not supported"), (("tensorboard",), "requires tensorboard to be installed")],
)
def test_a_tracker_that_cannot_be_had_is_refused_before_anything_is_written(
    tmp_path, tiny_encoder, names, says
):
    with pytest.raises(submillion.ConfigError, match=f"report_to='{names[0]}'.*{says}"):
        submillion.train(
            learnable_rows(60),
            output=tmp_path / "run",
            model=tiny_encoder("bert"),
            report_to=names,
            quiet=True,
        )
    assert not (tmp_path / "run").exists()


def test_another_base_of_the_same_shape_is_refused(trained, tmp_path, tiny_encoder):
    import shutil

    from safetensors.torch import load_file, save_file

    folder, _ = trained
    other = tmp_path / "other"
    shutil.copytree(tiny_encoder("bert"), other)
    weights = load_file(other / "model.safetensors")
    weights["encoder.layer.1.output.dense.weight"] *= 1.5
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(submillion.RunError, match=r"was made on another base than .* the weights differ"):
        submillion.load(folder / "run", encoder=str(other))
    moved = tmp_path / "moved"
    shutil.copytree(tiny_encoder("bert"), moved)
    report = submillion.evaluate(
        folder / "run", str(folder / "test.csv"), encoder=str(moved), output=tmp_path / "r"
    )
    assert report["n"] == 60


def test_the_papers_recipe_without_a_gpu_says_fp32_and_pads_to_max_length(tiny_encoder):
    import io

    from rich.console import Console

    from submillion.recipe import load_recipe
    from submillion.training.prepare import Sources, prepare
    from submillion.training.trainer import Collator

    said = Console(file=io.StringIO(), width=200)
    recipe = load_recipe("paper-r3-query-dense", model=tiny_encoder("roberta"), max_length=32)
    prepared = prepare(recipe, Sources(learnable_rows(60)), said)
    assert "fp16 is asked for and there is no GPU: training runs in fp32" in said.file.getvalue()
    assert "texts are cut at 32 tokens: 0.0 % of the train rows are longer" in said.file.getvalue()
    assert prepared.recipe.data.padding == "max_length"
    rows = [{"input_ids": [2, 5, 3], "labels": 1}, {"input_ids": [2, 5, 6, 3], "labels": 0}]
    batch = Collator(pad_token_id=0, length=32)(rows)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 32)
    assert batch["attention_mask"].sum().item() == 7
    assert Collator(pad_token_id=0, length=None)(rows)["input_ids"].shape == (2, 4)
