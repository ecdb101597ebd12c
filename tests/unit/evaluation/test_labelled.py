"""The report on labelled rows: scikit-learn's metrics, the baselines beside them, and rows that lack a label."""

import json

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    matthews_corrcoef,
)

from submillion.evaluation.labelled import LabelledReport, evaluate_labelled
from submillion.statistics import wilson_interval

NAMES = ["World", "Sports", "Business"]


def scored(n: int = 200, n_labels: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_labels, n)
    return labels, (2 * np.eye(n_labels)[labels] + rng.normal(size=(n, n_labels))).astype(np.float32)


def report(**changes: object) -> LabelledReport:
    labels, logits = scored()
    given = {
        "labels": labels,
        "logits": logits,
        "label_names": NAMES,
        "baseline_predictions": {"majority": np.zeros(200, dtype=np.int64), "same": logits.argmax(axis=1)},
    } | changes
    return evaluate_labelled(**given)  # type: ignore[arg-type]


def test_figures_are_scikit_learn_s() -> None:
    labels, logits = scored()
    predictions = logits.argmax(axis=1)
    ours = report()
    assert ours.n == 200
    assert ours.accuracy.value == accuracy_score(labels, predictions)
    assert ours.accuracy == wilson_interval(int((labels == predictions).sum()), 200)
    assert ours.macro_f1.value == pytest.approx(f1_score(labels, predictions, average="macro"))
    assert ours.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert ours.matthews.value == pytest.approx(matthews_corrcoef(labels, predictions))
    assert ours.macro_f1.low < ours.macro_f1.value < ours.macro_f1.high
    assert ours.confusion.tolist() == confusion_matrix(labels, predictions).tolist()
    assert [each.f1 for each in ours.per_class] == pytest.approx(f1_score(labels, predictions, average=None))
    assert sum(each.support for each in ours.per_class) == 200
    assert ours.calibration.log_loss == pytest.approx(log_loss(labels, softmax(logits, axis=1)))
    assert ours.notes == ()


def test_to_json_has_the_keys_that_evaluate_prints() -> None:
    value = json.loads(json.dumps(report().to_json()))
    assert list(value) == [
        "n",
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "matthews",
        "per_class",
        "confusion",
        "confusions",
        "calibration",
        "reliability",
        "selective",
        "slices",
        "baselines",
        "advice",
        "notes",
    ]
    assert set(value["accuracy"]) == {"value", "low", "high", "level", "covers"} == set(value["macro_f1"])
    assert list(value["per_class"][0]) == ["label", "precision", "recall", "f1", "support"]
    assert value["confusion"]["label_names"] == NAMES
    assert all(type(count) is int for row in value["confusion"]["matrix"] for count in row)
    assert value["calibration"]["n_bins"] == 15
    assert "biased upward at small n" in value["calibration"]["note"]
    assert [each["name"] for each in value["baselines"]] == ["majority", "same"]
    assert value["baselines"][0]["verdict"]["relation"] == "better by the margin"


def test_to_json_of_what_is_asked_for() -> None:
    source = np.repeat(["web", "mail"], 100)
    ours = report(
        temperature=2.0, word_counts=np.arange(200), columns={"source": source}, wanted_accuracy=0.8
    )
    value = json.loads(json.dumps(ours.to_json()))
    assert set(value["balanced_accuracy"]) == set(value["matthews"]) == set(value["accuracy"])
    assert set(value["calibration"]) == {
        "log_loss",
        "log_loss_interval",
        "brier",
        "brier_interval",
        "expected_calibration_error",
        "n_bins",
        "note",
    }
    assert set(value["confusions"][0]) == {"true", "predicted", "n", "rows"}
    assert value["reliability"]["temperature"] == 2.0
    for side in ("before", "after"):
        assert len(value["reliability"][side]["bins"]) == 15
    assert (
        value["reliability"]["after"]["log_loss"]
        == value["calibration"]["log_loss"]
        != value["reliability"]["before"]["log_loss"]
    )
    assert set(value["selective"]) == {"curve", "area", "area_at_random", "area_at_best", "threshold"}
    assert value["selective"]["threshold"]["wanted"] == 0.8
    assert {each["column"] for each in value["slices"]["found"]} == {"source", "number of words"}


def test_to_json_of_what_is_not_asked_for() -> None:
    value = report().to_json()
    assert value["slices"] is value["selective"]["threshold"] is value["reliability"]["after"] is None


def test_a_temperature_moves_no_prediction_and_the_threshold_speaks_of_it() -> None:
    plain, tempered = report(wanted_accuracy=0.8), report(wanted_accuracy=0.8, temperature=3.0)
    assert tempered.accuracy == plain.accuracy
    assert tempered.reliability.before == plain.reliability.before
    assert plain.calibration == plain.reliability.before.calibration
    assert tempered.calibration == tempered.reliability.after.calibration != plain.calibration
    plain_curve, tempered_curve = plain.selective.curve, tempered.selective.curve
    assert tempered_curve.threshold[0] < plain_curve.threshold[0]


def test_advice_names_only_what_the_adapter_does_not_beat() -> None:
    assert report().advice == (
        "On these rows the adapter is not shown to be better by 0.5 points than what is cheaper: same."
    )
    labels, _ = scored()
    assert report(baseline_predictions={"tfidf_svm": labels}, margin=0.02).advice == (
        "On these rows the adapter is not shown to be better by 2 points than what is cheaper: "
        "tfidf_svm (TF-IDF and a linear SVM, no encoder, seconds to fit)."
    )
    assert report(baseline_predictions={}).advice is None


def test_a_label_without_rows_is_noted_and_left_out_of_macro_f1() -> None:
    labels, logits = scored(n_labels=4)
    labels = np.where(labels == 3, 0, labels)
    predictions = logits.argmax(axis=1)
    ours = evaluate_labelled(labels, logits, [*NAMES, "Sci/Tech"], {"same": predictions})
    assert ours.notes == (
        "no row of Sci/Tech: left out of macro F1, which is the mean over the other labels",
    )
    expected = f1_score(labels, predictions, labels=[0, 1, 2], average="macro")
    assert ours.macro_f1.value == pytest.approx(expected)
    assert ours.per_class[3].support == 0
    assert ours.per_class[3].recall == 0.0


def test_many_labels_without_rows_are_counted() -> None:
    names = [f"t{index}" for index in range(9)]
    ours = evaluate_labelled(np.array([0, 1]), np.eye(9)[:2], names, {})
    assert ours.notes == (
        "no row of t2, t3, t4, t5, t6 and 2 more: left out of macro F1, which is the mean over the other labels",
    )


@pytest.mark.parametrize("label", [0, 1])
def test_one_row(label: int) -> None:
    ours = evaluate_labelled(np.array([label]), np.array([[1.0, 0.0]]), ["no", "yes"], {"b": np.array([0])})
    assert ours.accuracy.value == 1 - label
    assert ours.accuracy.low <= ours.accuracy.value <= ours.accuracy.high
    assert ours.macro_f1.value == 1 - label
    assert ours.calibration.n_bins == 1
    assert ours.baselines[0].verdict.relation == "cannot be told apart"
    json.dumps(ours.to_json())


def test_the_same_seed_gives_the_same_report() -> None:
    assert report(seed=3).to_json() == report(seed=3).to_json()


def test_certainty_that_is_wrong_stays_finite() -> None:
    ours = evaluate_labelled(np.array([0, 1]), np.array([[0.0, 1e9], [0.0, 1e9]]), ["a", "b"], {})
    assert np.isfinite(ours.calibration.log_loss)
    assert ours.calibration.log_loss_interval.low <= ours.calibration.log_loss


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((2, 3)), "logits have shape (2, 3): need (2, 2), rows by labels"),
        (np.array([[0.0, np.nan], [0.0, 1.0]]), "1 of 2 rows have logits that are not finite"),
    ],
)
def test_refusals(logits: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        evaluate_labelled(np.array([0, 1]), logits, ["no", "yes"], {})
    assert str(caught.value) == message
