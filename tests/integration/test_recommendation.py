"""Where rows are few, `predict` uses what cross-validation found most accurate, and says so."""

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from scipy.special import softmax

import submillion
from conftest import learnable_rows, write_csv
from submillion.alternatives import ANSWERING
from submillion.baselines import load_baselines
from submillion.cli.main import main
from submillion.cli.predict import command
from submillion.closeness import SAFETY, close_rows
from submillion.fast.features import can_multiply_int8
from submillion.model.device import has_bf16
from submillion.prediction import answering, load_adapter
from submillion.recipe.sections import EvaluationConfig
from submillion.run import RunFolder
from submillion.scoring import read_scores
from submillion.temperature import fit_temperature
from submillion.training import cross_validation
from submillion.training.cross_validation import _recommended

NEW = [text for text, _ in learnable_rows(30, seed=9)]


@pytest.fixture(scope="module")
def crossed(tmp_path_factory, tiny_encoder) -> Path:
    """A run of which TF-IDF is the best part: a random encoder, hardly trained."""
    folder = tmp_path_factory.mktemp("recommendation")
    shutil.copytree(tiny_encoder("bert"), folder / "encoder")
    submillion.train(
        learnable_rows(60),
        output=folder / "run",
        model=str(folder / "encoder"),
        cv=3,
        num_train_epochs=1,
        learning_rate=1e-5,
        quiet=True,
    )
    return folder / "run"


def test_the_most_accurate_is_recommended_the_cheapest_of_equals():
    right = {
        name: np.arange(100) < n_right
        for name, n_right in {
            "adapter": 90, "majority": 99, "tfidf_svm": 80, "probe_mean": 90, "probe_first": 85
        }.items()
    }  # fmt: skip
    assert _recommended(right, 5) == {
        "name": "probe_mean",
        "reason": "5-fold cross-validation on the train rows gave probe_mean 90.0 % "
        "(tfidf_svm 80.0, probe_first 85.0, adapter 90.0)",
    }
    right["adapter"] = right["adapter_and_tfidf"] = np.arange(100) < 91
    assert _recommended(right, 5)["name"] == "adapter"
    right["adapter_and_tfidf"] = np.arange(100) < 92
    assert _recommended(right, 5)["name"] == "adapter_and_tfidf"


def test_predict_uses_what_is_recommended_and_says_so(crossed, tmp_path, capsys):
    table = write_csv(tmp_path / "new.csv", learnable_rows(30, seed=9))
    capsys.readouterr()
    main(["predict", str(crossed), "--input", table, "--output", str(tmp_path / "out.csv")])
    said = capsys.readouterr().err
    assert "note: answered by tfidf_svm: 3-fold cross-validation on the train rows gave tfidf_svm " in said
    tfidf = load_baselines(crossed / "baselines")["tfidf_svm"]
    names = submillion.load(crossed).label_names
    expected = [names[label] for label in tfidf.scores(NEW, {}).argmax(axis=1)]
    assert submillion.predict(crossed, NEW) == expected
    assert (tmp_path / "out.csv").read_text().count("\n") == 31


def test_the_adapter_answers_where_it_is_asked_for(crossed, capsys):
    logits = load_adapter(crossed).scores(NEW).logits
    predictor = submillion.load(crossed, using="adapter")
    assert predictor.answers_by == "adapter"
    assert np.array_equal(predictor.scores(NEW).logits, logits)
    assert not np.array_equal(submillion.load(crossed).scores(NEW).logits, logits)
    main(["predict", str(crossed), "--using", "adapter", "--text", "a"])
    assert "answered by adapter: as asked" in capsys.readouterr().err


def test_tfidf_answers_without_the_encoder(crossed, tmp_path):
    shutil.copytree(crossed, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "adapter")
    assert submillion.predict(tmp_path / "run", NEW) == submillion.predict(crossed, NEW)


def test_a_probe_answers_by_the_frozen_encoder(crossed):
    predictor = submillion.load(crossed, using="probe_mean")
    embeddings = load_adapter(crossed).frozen_embeddings(NEW)
    scores = load_baselines(crossed / "baselines")["probe_mean"].scores(NEW, embeddings)
    assert predictor.predict(NEW) == [predictor.label_names[label] for label in scores.argmax(axis=1)]


def test_probabilities_of_a_baseline_are_worth_what_they_say(crossed):
    probabilities = submillion.load(crossed).predict_proba(NEW)
    assert np.allclose(probabilities.sum(axis=1), 1)
    labels = [label for _, label in learnable_rows(30, seed=9)]
    names = submillion.load(crossed).label_names
    right = np.mean([names[row.argmax()] == label for row, label in zip(probabilities, labels, strict=True)])
    assert abs(probabilities.max(axis=1).mean() - right) < 0.15  # the SVM's own softmax says 0.6 of 1.0


def test_training_and_evaluation_name_it(crossed, tmp_path, tiny_encoder, capsys):
    report = submillion.evaluate(crossed, learnable_rows(30, seed=9))
    assert any(note.startswith("`predict` answers by tfidf_svm: ") for note in report["notes"])
    train = write_csv(tmp_path / "t.csv", learnable_rows(45))
    arguments = ["--train", train, "--output", str(tmp_path / "run"), "--model", tiny_encoder("bert")]
    main(["train", *arguments, "--num-train-epochs", "1", "--cv", "2"])
    assert "recommended, and what `submillion predict` uses: tfidf_svm" in capsys.readouterr().out
    arguments[3] = str(tmp_path / "asked")
    main(["train", *arguments, "--num-train-epochs", "1", "--cv", "2", "--answer-by", "adapter"])
    assert (
        "recommended, where `submillion predict` uses adapter as asked: tfidf_svm" in capsys.readouterr().out
    )


@pytest.mark.parametrize("held_back", [False, True])
def test_the_two_together_answer_where_they_are_recommended(held_back, tiny_encoder, tmp_path, monkeypatch):
    told = []

    def all_right(scores, labels, fold_of):
        told.append((set(scores), np.bincount(fold_of).tolist()))
        return np.eye(3)[labels]

    monkeypatch.setattr(cross_validation, "pooled_by_others", all_right)
    rows = learnable_rows(90)
    labels = [label for _, label in rows]
    record = submillion.train(
        [
            (text, labels[number - number % 4]) for number, (text, _) in enumerate(rows)
        ],  # no model gets all right
        output=tmp_path / "run",
        model=tiny_encoder("bert"),
        cv=2,
        calibration_share=0.3,
        min_rows_to_split=50 if held_back else 500,
        num_train_epochs=1,
        quiet=True,
    )
    assert [(names >= {"adapter", "tfidf_svm"}, counts[0]) for names, counts in told] == [(True, 0)]
    crossed, temperatures = record["cross_validation"], record["temperatures"]
    assert crossed["recommended"]["name"] == "adapter_and_tfidf"
    assert crossed["baselines"][-1]["accuracy"]["value"] == 1.0
    if held_back:
        kept = read_scores(RunFolder(tmp_path / "run").scores("calibration"))
        fitted = fit_temperature(kept.scores.logits, kept.labels)
        assert temperatures["adapter"] == pytest.approx(fitted)
        assert temperatures != crossed["temperatures"]
        assert record["pool_weights"] != crossed["pool_weights"]
    else:
        assert temperatures == crossed["temperatures"]
        assert record["pool_weights"] == crossed["pool_weights"]
    both = submillion.load(tmp_path / "run")
    assert both.answers_by == "adapter_and_tfidf"
    parts = {
        "adapter": load_adapter(tmp_path / "run").scores(NEW).logits,
        "tfidf_svm": load_baselines(tmp_path / "run" / "baselines")["tfidf_svm"].scores(NEW, {}),
    }
    logits = sum(record["pool_weights"][name] * scores for name, scores in parts.items())
    assert both.predict_proba(NEW) == pytest.approx(softmax(logits, axis=1), abs=1e-5)
    report = submillion.evaluate(tmp_path / "run", learnable_rows(30, seed=9))
    assert "adapter_and_tfidf" in {each["name"] for each in report["baselines"]}
    assert report["reliability"]["temperature"] == temperatures["adapter"]
    assert report["calibration"]["log_loss"] == report["reliability"]["after"]["log_loss"]


def test_what_cannot_answer_is_refused(crossed):
    with pytest.raises(submillion.ConfigError, match=r"using='svm' is not one of recommended, tfidf_svm, "):
        submillion.load(crossed, using="svm")
    with pytest.raises(submillion.ConfigError, match=r"using='tfidf_svm' needs a run folder"):
        submillion.load(crossed / "adapter", using="tfidf_svm")
    offered = next(option for option in command.params if option.name == "using").type.choices
    assert tuple(offered) == ANSWERING
    asked = EvaluationConfig.model_fields["answer_by"].annotation
    assert set(get_args(asked)) == set(ANSWERING)


def test_with_two_labels_too_a_close_row_is_found():
    assert close_rows(np.array([[0.0, 1e-4], [3.0, 0.0]]), shift=0.01).tolist() == [0]
    assert close_rows(np.array([[0.1, 0.05, -0.9], [2.0, 0.0, -9.0]]), shift=0.03).tolist() == [0]


@pytest.mark.skipif(not has_bf16(), reason="no bf16 here: everything is scored in fp32")
def test_rows_that_bf16_could_turn_are_scored_again_in_fp32(crossed, monkeypatch):
    exact = load_adapter(crossed)
    assert exact._load_exact is not None
    expected = answering.Adapter(exact._load_exact(), 64).scores(NEW).logits
    fast = load_adapter(crossed)
    assert 0 < fast._shift < 0.1
    fast._shift = 0.0
    alone = fast.scores(NEW).logits
    assert not np.array_equal(alone, expected)
    assert "_exact" not in vars(fast)  # not even loaded
    assert np.ptp(alone - expected, axis=1).max() < SAFETY * exact._shift
    gaps = np.diff(np.sort(alone, axis=1)[:, -2:], axis=1)[:, 0]
    middle = float(np.median(gaps))
    fast._shift = middle / SAFETY
    both = fast.scores(NEW).logits
    np.testing.assert_allclose(both[gaps < middle], expected[gaps < middle], rtol=1e-5, atol=1e-6)
    assert np.array_equal(both[gaps > middle], alone[gaps > middle])


@pytest.mark.skipif(not can_multiply_int8(), reason="no int8 products here")
def test_a_run_in_int8_has_the_baselines_of_one_in_bf16(tiny_encoder, tmp_path):
    runs = {}
    for numerics in ("fast", "int8"):
        runs[numerics] = submillion.train(
            learnable_rows(60),
            output=tmp_path / numerics,
            model=tiny_encoder("bert"),
            numerics=numerics,
            num_train_epochs=1,
            quiet=True,
        )
    weights = [load_baselines(tmp_path / name / "baselines")["probe_mean"].linear.weight for name in runs]
    assert np.array_equal(*weights)
