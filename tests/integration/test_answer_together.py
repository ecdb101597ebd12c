"""The adapter and TF-IDF answering together."""

import json
import shutil

import pytest
from scipy.special import softmax

import submillion
from conftest import learnable_rows, write_csv
from submillion.baselines import load_baselines
from submillion.cli.main import main
from submillion.evaluation.compared import compared_with
from submillion.prediction import load_adapter
from submillion.run import RunFolder
from submillion.scoring import read_scores
from submillion.together import fit_pool_weights, pool_weights_of
from submillion.training.train import _whole

NEW = [text for text, _ in learnable_rows(40, seed=9)]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_encoder):
    """A run whose recipe asks for the two, with 120 calibration rows."""
    folder = tmp_path_factory.mktemp("together")
    submillion.train(
        learnable_rows(600),
        output=folder / "run",
        model=tiny_encoder("bert"),
        num_train_epochs=1,
        calibration_share=0.2,
        answer_by="adapter_and_tfidf",
        quiet=True,
    )
    return folder / "run"


def test_their_weighted_scores_are_added(run):
    weights = json.loads((run / "run.json").read_text())["pool_weights"]
    tfidf = load_baselines(run / "baselines")["tfidf_svm"].scores(NEW, {})
    logits = (
        weights["adapter"] * load_adapter(run).scores(NEW).logits.astype(float) + weights["tfidf_svm"] * tfidf
    )
    together = submillion.load(run)
    assert together.answers_by == "adapter_and_tfidf"
    assert together.predict_proba(NEW) == pytest.approx(softmax(logits, axis=1), abs=1e-5)
    assert together.predict(NEW) == [together.label_names[label] for label in logits.argmax(axis=1)]
    assert submillion.load(run, using="adapter").answers_by == "adapter"


def test_the_weights_are_those_of_the_calibration_rows(run):
    kept = read_scores(RunFolder(run).scores("calibration"))
    texts = [learnable_rows(600)[number][0] for number in kept.row_numbers]
    tfidf = load_baselines(run / "baselines")["tfidf_svm"].scores(texts, {})
    record = json.loads((run / "run.json").read_text())
    fitted = fit_pool_weights({"adapter": kept.scores.logits, "tfidf_svm": tfidf}, kept.labels)
    assert record["pool_weights"] == pytest.approx(fitted, rel=1e-3)
    assert record["temperatures"]["adapter_and_tfidf"] == 1.0


def test_a_run_of_a_version_without_weights_takes_each_at_its_temperature(run, tmp_path):
    copied = shutil.copytree(run, tmp_path / "run")
    record = json.loads((copied / "run.json").read_text())
    del record["pool_weights"]
    temperatures = record["temperatures"]
    temperatures["adapter_and_tfidf"] = 1.5
    (copied / "run.json").write_text(json.dumps(record))
    tfidf = load_baselines(run / "baselines")["tfidf_svm"].scores(NEW, {})
    logits = (
        load_adapter(run).scores(NEW).logits / temperatures["adapter"] + tfidf / temperatures["tfidf_svm"]
    )
    assert submillion.load(copied).predict_proba(NEW) == pytest.approx(
        softmax(logits / 1.5, axis=1), abs=1e-5
    )
    compared = compared_with(record, load_adapter(run).scores(NEW).logits, {}, {"tfidf_svm": tfidf})
    assert compared["adapter_and_tfidf"].tolist() == logits.argmax(axis=1).tolist()


def test_what_folds_of_a_version_without_weights_found_is_taken_as_it_was():
    of_folds = {"adapter": 2.0, "tfidf_svm": 0.5, "adapter_and_tfidf": 1.2}
    nothing = {"temperatures": {}, "pool_weights": {}}
    found = _whole(nothing, {"temperatures": of_folds})
    assert found == {"temperatures": of_folds, "pool_weights": {}}
    assert pool_weights_of(found) == {"adapter": 0.5, "tfidf_svm": 2.0}
    fitted = {
        "temperatures": of_folds | {"probe_mean": 1.0},
        "pool_weights": {"adapter": 1.0, "tfidf_svm": 3.0},
    }
    assert _whole(fitted, {"temperatures": of_folds}) == fitted
    assert _whole(fitted, None) == fitted


def test_weights_changed_by_hand_are_told_by_their_key(run, tmp_path):
    copied = shutil.copytree(run, tmp_path / "run")
    record = json.loads((copied / "run.json").read_text())
    for weights, told in (
        ({"adapter": -1.0, "tfidf_svm": 1.0}, r"pool_weights\.adapter"),
        ({"adapter": 1.0}, "pool_weights holds not one for each of adapter and tfidf_svm"),
    ):
        (copied / "run.json").write_text(json.dumps(record | {"pool_weights": weights}))
        with pytest.raises(submillion.RunError, match=rf"run\.json is damaged: {told}"):
            submillion.load(copied)


def test_predict_and_evaluate_say_who_answers(run, tmp_path, capsys):
    main(["predict", str(run), "--text", NEW[0]])
    assert "answered by adapter_and_tfidf: as its recipe asks" in capsys.readouterr().err
    report = submillion.evaluate(run, learnable_rows(40, seed=9), output=tmp_path / "out", quiet=True)
    assert "`predict` answers by adapter_and_tfidf: as its recipe asks" in report["notes"]
    measured = {each["name"]: each["accuracy"]["value"] for each in report["baselines"]}
    labels = [label for _, label in learnable_rows(40, seed=9)]
    right = [told == label for told, label in zip(submillion.predict(run, NEW), labels, strict=True)]
    assert measured["adapter_and_tfidf"] == pytest.approx(sum(right) / 40)
    assert "adapter_and_tfidf" not in (report["advice"] or "")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The adapter and TF-IDF together, by which `predict` answers: " in page
    assert "The best baseline, adapter_and_tfidf" not in page
    of_validation = json.loads((run / "run.json").read_text())["figures"]["validation"]
    assert "adapter_and_tfidf" in {each["name"] for each in of_validation["baselines"]}


def test_train_shows_what_both_came_to(tiny_encoder, tmp_path, capsys):
    arguments = [
        "--train",
        write_csv(tmp_path / "t.csv", learnable_rows(600)),
        "--output",
        str(tmp_path / "run"),
    ]
    arguments += ["--model", tiny_encoder("bert"), "--num-train-epochs", "1"]
    main(["train", *arguments, "--answer-by", "adapter_and_tfidf"])
    assert "adapter_and_tfidf" in capsys.readouterr().out


def test_a_run_without_their_weights_is_refused(run, tmp_path):
    copied = shutil.copytree(run, tmp_path / "run")
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(record | {"temperatures": {}, "pool_weights": {}}))
    with pytest.raises(
        submillion.ConfigError, match=r"needs a weight for each of the two, and the run .* has none"
    ):
        submillion.load(copied)
    assert submillion.load(copied, using="adapter").answers_by == "adapter"


def test_a_run_of_a_version_without_the_key_is_answered_by_its_adapter(run, tmp_path):
    copied = shutil.copytree(run, tmp_path / "run")
    record = json.loads((copied / "run.json").read_text())
    del record["recipe"]["evaluation"]["answer_by"]
    (copied / "run.json").write_text(json.dumps(record))
    assert submillion.load(copied).answers_by == "adapter"
    assert submillion.load(copied, using="adapter_and_tfidf").answers_by == "adapter_and_tfidf"
