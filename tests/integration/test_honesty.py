"""What would make a figure say more than it may: each case was once found by a reviewer."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import submillion
from conftest import learnable_rows, write_csv
from submillion.cli.main import main

FAST = {"num_train_epochs": 1, "min_rows_to_split": 10_000, "quiet": True}


@pytest.fixture(scope="module")
def few(tmp_path_factory, tiny_encoder):
    """A finished run on 45 rows, none of them held back."""
    folder = tmp_path_factory.mktemp("few")
    write_csv(folder / "train.csv", learnable_rows(45))
    submillion.train(str(folder / "train.csv"), output=folder / "run", model=tiny_encoder("bert"), **FAST)
    return folder


def test_runs_that_spell_their_labels_differently_are_compared_by_rows_that_are_right(tmp_path, tiny_encoder):
    numbers = {label: index for index, label in enumerate(["space", "sport", "trade"])}
    rows = [(text, numbers[label]) for text, label in learnable_rows(60)]
    options = {"model": tiny_encoder("bert"), **FAST}
    submillion.train(rows, output=tmp_path / "plain", **options)
    submillion.train(rows, output=tmp_path / "named", label_names=("a", "b", "c"), **options)
    new = [(text, numbers[label]) for text, label in learnable_rows(40, seed=5)]
    report = submillion.evaluate(tmp_path / "named", new, against=tmp_path / "plain")
    verdict = report["against"]["verdict"]
    assert (verdict["only_a_right"], verdict["only_b_right"]) == (0, 0)


def test_evaluate_reads_the_columns_that_the_run_was_trained_on(tmp_path, tiny_encoder):
    def table(seed, n):
        rows = learnable_rows(n, seed=seed)
        return pd.DataFrame(
            {"headline": [t for t, _ in rows], "text": ["same"] * n, "kind": [k for _, k in rows]}
        )

    table(0, 60).to_csv(tmp_path / "train.csv", index=False)
    table(1, 30).to_csv(tmp_path / "test.csv", index=False)
    submillion.train(
        str(tmp_path / "train.csv"),
        test=str(tmp_path / "test.csv"),
        output=tmp_path / "run",
        model=tiny_encoder("bert"),
        text_columns=("headline",),
        label_column="kind",
        **FAST,
    )
    report = submillion.evaluate(tmp_path / "run", str(tmp_path / "test.csv"))
    assert report["split"] == "test"
    assert len(report["test_reads"]) == 1
    only_text = [text for text, _ in learnable_rows(30, seed=1)]
    labels = submillion.predict(tmp_path / "run", only_text)
    assert submillion.predict(tmp_path / "run", str(tmp_path / "test.csv"), output=tmp_path / "out.csv") == 30
    assert pd.read_csv(tmp_path / "out.csv")["label"].tolist() == labels


def test_rows_of_one_text_stay_in_one_fold(tmp_path, tiny_encoder):
    draw = np.random.default_rng(0)
    once = [(text, draw.choice(["a", "b"])) for text, _ in learnable_rows(60)]
    record = submillion.train(once * 2, output=tmp_path / "run", model=tiny_encoder("bert"), cv=3, **FAST)
    tfidf = next(b for b in record["cross_validation"]["baselines"] if b["name"] == "tfidf_svm")
    assert tfidf["accuracy"]["value"] < 0.68  # labels are random: twins across folds would give about 0.8


def test_too_many_folds_are_refused_before_anything_is_written(tmp_path, tiny_encoder):
    with pytest.raises(
        submillion.ConfigError, match=r"cv=30 needs at least 30 different texts of every label"
    ):
        submillion.train(
            learnable_rows(45), output=tmp_path / "run", model=tiny_encoder("bert"), cv=30, **FAST
        )
    assert not (tmp_path / "run").exists()


def test_cross_validation_is_shown_beside_a_validation_split(tmp_path, tiny_encoder, capsys):
    train = write_csv(tmp_path / "t.csv", learnable_rows(90))
    arguments = ["--train", train, "--output", str(tmp_path / "run"), "--model", tiny_encoder("bert")]
    main(["train", *arguments, "--min-rows-to-split", "50", "--num-train-epochs", "1", "--cv", "2"])
    out = capsys.readouterr().out
    assert "validation: " in out
    assert "cross-validation: 2 folds over" in out


def test_rows_that_the_run_learnt_from_are_named(few):
    report = submillion.evaluate(few / "run", learnable_rows(45)[:20] + learnable_rows(20, seed=8))
    assert any(
        note.startswith("20 of 40 rows stand in the rows that the run was trained on")
        for note in report["notes"]
    )
    report = submillion.evaluate(few / "run", learnable_rows(20, seed=8))
    assert not any("trained on" in note for note in report["notes"])


def test_evaluations_of_other_rows_under_one_name_are_both_kept(few, tmp_path):
    first = submillion.evaluate(few / "run", learnable_rows(20, seed=11))
    second = submillion.evaluate(few / "run", learnable_rows(20, seed=12))
    again = submillion.evaluate(few / "run", learnable_rows(20, seed=12))
    assert first["output"] != second["output"] == again["output"]


def test_an_interrupted_evaluation_is_not_taken_for_whole(few, monkeypatch):
    def fail(*_args, **_named):
        raise OSError("disk full")

    monkeypatch.setattr("submillion.evaluation.on_data.plot_confusion", fail)
    with pytest.raises(OSError, match="disk full"):
        submillion.evaluate(few / "run", learnable_rows(20, seed=13), output=few / "half")
    assert not (few / "half" / "report.json").exists()


def test_an_adapter_over_a_base_without_pooler_is_refused_where_it_lacks_one(tmp_path, tiny_encoder):
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForSequenceClassification

    base = tmp_path / "base"
    shutil.copytree(tiny_encoder("bert"), base)
    weights = {
        name: value for name, value in load_file(base / "model.safetensors").items() if "pooler" not in name
    }
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    for modules, fits in ((None, False), (["pooler"], True)):
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
        config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"], modules_to_save=modules)
        folder = tmp_path / f"adapter-{fits}"
        get_peft_model(model, config).save_pretrained(str(folder))
        if fits:
            assert submillion.load(folder).predict_proba(["goal match"]).shape == (1, 3)
        else:
            with pytest.raises(
                submillion.RunError, match=r"does not hold bert\.pooler\.dense.*modules_to_save=\['dense'\]"
            ):
                submillion.load(folder)


def test_a_diverged_training_is_an_error_and_no_finished_run(tmp_path, tiny_encoder):
    options = FAST | {"learning_rate": 1e30, "model": tiny_encoder("bert")}
    for name, held_back in (("few", 10_000), ("many", 50)):
        with pytest.raises(
            submillion.RunError, match=r"training diverged .* start anew with a lower learning_rate"
        ):
            submillion.train(
                learnable_rows(90), output=tmp_path / name, **options | {"min_rows_to_split": held_back}
            )
        assert json.loads((tmp_path / name / "run.json").read_text())["status"] == "failed"


def test_a_left_over_temporary_file_does_not_block_a_run(tmp_path, tiny_encoder):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".run.json.abc.json").write_text("{}")
    record = submillion.train(learnable_rows(45), output=tmp_path / "run", model=tiny_encoder("bert"), **FAST)
    assert record["status"] == "finished"


def test_a_model_whose_logits_are_not_finite_is_no_finished_run(tmp_path, tiny_encoder):
    options = FAST | {
        "learning_rate": 1e18,
        "lr_scheduler_type": "constant",
        "per_device_train_batch_size": 64,
    }
    with pytest.raises(submillion.RunError, match="training diverged"):
        submillion.train(learnable_rows(60), output=tmp_path / "run", model=tiny_encoder("bert"), **options)


def columns_table(seed, n):
    rows = learnable_rows(n, seed=seed)
    texts, labels = [t for t, _ in rows], [k for _, k in rows]
    other = [t for t, _ in learnable_rows(n, seed=seed + 50)]
    return pd.DataFrame({"headline": texts, "text": other, "kind": labels, "label": labels[::-1]})


def test_a_fault_in_the_remembered_columns_is_an_error_and_no_reason_to_read_others(tmp_path, tiny_encoder):
    options = {"model": tiny_encoder("bert"), "text_columns": ("headline",), "label_column": "kind", **FAST}
    submillion.train(columns_table(0, 60), output=tmp_path / "run", **options)
    table = columns_table(1, 30)
    right = submillion.evaluate(tmp_path / "run", table)["accuracy"]["value"]
    table.loc[4, "kind"] = "unheard"
    with pytest.raises(submillion.DataError, match="unheard"):
        submillion.evaluate(tmp_path / "run", table)
    without_label = columns_table(1, 30).drop(columns=["label"]).rename(columns={"kind": "category"})
    assert submillion.evaluate(tmp_path / "run", without_label)["accuracy"]["value"] == right


def test_the_label_is_no_text_at_prediction_and_in_the_test_lock(tmp_path, tiny_encoder):
    def table(seed, n):
        rows = learnable_rows(n, seed=seed)
        return pd.DataFrame({"body": [t for t, _ in rows], "subject": [k for _, k in rows]})

    train = pd.concat([table(0, 60), table(1, 30).iloc[:10]], ignore_index=True)
    record = submillion.train(
        train,
        test=table(1, 30),
        output=tmp_path / "run",
        model=tiny_encoder("bert"),
        label_column="subject",
        **FAST,
    )
    assert record["data"]["n_left_out"] == 10
    assert submillion.evaluate(tmp_path / "run", table(1, 30))["split"] == "test"
    swapped = table(1, 30)
    swapped["subject"] = swapped["subject"].to_numpy()[::-1]
    assert submillion.predict(tmp_path / "run", swapped) == submillion.predict(tmp_path / "run", table(1, 30))


def test_against_reads_the_other_run_by_its_own_columns(tmp_path, tiny_encoder):
    for name, column in (("a", "headline"), ("b", "text")):
        submillion.train(
            columns_table(0, 60),
            output=tmp_path / name,
            model=tiny_encoder("bert"),
            text_columns=(column,),
            label_column="kind",
            **FAST,
        )
    new = columns_table(2, 40)
    alone = submillion.evaluate(tmp_path / "b", new)["accuracy"]["value"]
    report = submillion.evaluate(tmp_path / "a", new, against=tmp_path / "b")
    difference = report["against"]["verdict"]["difference"]["value"]
    assert report["accuracy"]["value"] - difference == pytest.approx(alone)


def test_evaluations_of_other_labels_are_not_compared(few, tmp_path, tiny_encoder):
    rows = learnable_rows(20, seed=21)
    submillion.train(learnable_rows(45), output=tmp_path / "run", model=tiny_encoder("bert"), **FAST)
    submillion.evaluate(few / "run", rows)
    submillion.evaluate(tmp_path / "run", [(text, "sport") for text, _ in rows])
    assert submillion.compare(few / "run", tmp_path / "run")["comparisons"] == []
