"""TextClassifier is a scikit-learn estimator: cloned, cross-validated, put into pipelines."""

import pickle
import tempfile

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from conftest import learnable_rows
from submillion import TextClassifier
from submillion.errors import BudgetError, ConfigError, DataError

ROWS = learnable_rows(90)
TEXTS = [text for text, _ in ROWS]
LABELS = [label for _, label in ROWS]
NEW = [text for text, _ in learnable_rows(30, seed=8)]
NEW_LABELS = [label for _, label in learnable_rows(30, seed=8)]
FIELDS = {"num_train_epochs": 3, "learning_rate": 3e-3, "max_length": 24}
NUMBERS = {"sport": 10, "trade": 9, "space": -1}


@pytest.fixture
def classifier(tiny_encoder) -> TextClassifier:
    return TextClassifier(model=tiny_encoder("bert"), budget=50_000, fields=FIELDS)


@pytest.fixture(scope="module")
def fitted(tiny_encoder) -> TextClassifier:
    return TextClassifier(model=tiny_encoder("bert"), budget=50_000, fields=FIELDS).fit(TEXTS, LABELS)


def test_parameters_go_round(classifier):
    parameters = classifier.get_params()
    assert set(parameters) == {"model", "budget", "recipe", "fields", "output", "random_state", "verbose"}
    assert parameters["budget"] == 50_000
    copy = clone(classifier)
    assert copy is not classifier
    assert copy.get_params() == parameters
    assert copy.set_params(budget=7, random_state=1) is copy
    assert (copy.budget, copy.random_state, classifier.budget) == (7, 1, 50_000)
    with pytest.raises(ValueError, match="Invalid parameter 'epochs'"):
        copy.set_params(epochs=1)
    assert is_classifier(classifier)
    assert "TextClassifier" in repr(classifier)


def test_clone_of_a_fitted_one_is_not_fitted(fitted):
    copy = clone(fitted)
    assert not hasattr(copy, "classes_")
    with pytest.raises(NotFittedError):
        copy.predict(NEW)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_not_fitted(classifier, method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(classifier, method)(NEW)
    with pytest.raises(NotFittedError):
        classifier.score(NEW, NEW_LABELS)


def test_fit_predict_score(fitted):
    assert fitted.run_["status"] == "finished"
    assert fitted.run_["plan"]["trainable_parameters"] <= 50_000
    probabilities = fitted.predict_proba(NEW)
    assert probabilities.shape == (30, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert fitted.classes_.tolist() == ["space", "sport", "trade"]
    assert fitted.predict(NEW).tolist() == fitted.classes_[probabilities.argmax(axis=1)].tolist()
    assert fitted.score(NEW, NEW_LABELS) == np.mean(fitted.predict(NEW) == np.array(NEW_LABELS))
    assert fitted.score(NEW, NEW_LABELS) > 0.6


@pytest.mark.parametrize(
    "kind",
    [
        "list of int",
        "array of int",
        "Series of int",
        "array of str",
        "Series of str",
        "object array",
        "int32",
        "float",
        "bool",
        "strings of int",
    ],
)
def test_classes_order_predict_proba(classifier, kind):
    """Whatever the labels are and in whatever order they come, column i is the probability of classes_[i]."""
    reversed_rows = ROWS[::-1]
    texts = [text for text, _ in reversed_rows]
    names = [label for _, label in reversed_rows]
    numbers = [NUMBERS[name] for name in names]
    labels, translate = {
        "list of int": (numbers, NUMBERS.get),
        "array of int": (np.array(numbers), NUMBERS.get),
        "int32": (np.array(numbers, dtype=np.int32), NUMBERS.get),
        "Series of int": (pd.Series(numbers, index=range(100, 190)), NUMBERS.get),
        "float": (np.array(numbers, dtype=float), NUMBERS.get),
        "strings of int": (list(map(str, numbers)), lambda name: str(NUMBERS[name])),
        "array of str": (np.array(names), str),
        "Series of str": (pd.Series(names), str),
        "object array": (np.array(names, dtype=object), str),
        "bool": (np.array(names) == "sport", lambda name: name == "sport"),
    }[kind]
    given = pd.Series(texts) if "Series" in kind else np.array(texts) if "array" in kind else texts
    classifier.fit(given, labels)
    expected = np.unique(np.asarray(labels))
    assert classifier.classes_.tolist() == expected.tolist()
    assert classifier.classes_.dtype == expected.dtype
    probabilities = classifier.predict_proba(NEW)
    assert probabilities.shape == (30, len(expected))
    truth = [translate(name) for name in NEW_LABELS]
    of_truth = probabilities[np.arange(30), [expected.tolist().index(label) for label in truth]]
    assert of_truth.mean() > 1.2 / len(expected)
    assert np.mean(classifier.predict(NEW) == np.array(truth)) > 0.6
    assert classifier.predict(NEW).dtype == expected.dtype


def test_order_of_rows_does_not_order_classes(classifier):
    by_label = sorted(ROWS, key=lambda row: row[1], reverse=True)
    classifier.fit([text for text, _ in by_label], [label for _, label in by_label])
    assert classifier.classes_.tolist() == ["space", "sport", "trade"]
    assert classifier.score(NEW, NEW_LABELS) > 0.6


def test_same_seed_same_answers_and_a_second_fit_begins_anew(classifier, fitted):
    classifier.fit(TEXTS[:60], LABELS[:60])
    classifier.fit(TEXTS, LABELS)
    np.testing.assert_array_equal(classifier.predict_proba(NEW), fitted.predict_proba(NEW))


def test_cross_val_score_in_a_pipeline(classifier):
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = Pipeline([("lower", lower), ("classifier", classifier)])
    scores = cross_val_score(pipeline, TEXTS, LABELS, cv=3)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    assert scores.mean() > 0.5
    pipeline.set_params(classifier__budget=40_000).fit(TEXTS, LABELS)
    assert pipeline.classes_.tolist() == ["space", "sport", "trade"]
    assert pipeline.score(NEW, NEW_LABELS) > 0.6
    assert pipeline.predict_proba(NEW).shape == (30, 3)


def test_cross_val_predict_and_grid_search(classifier):
    labels = np.array([NUMBERS[label] for label in LABELS])
    probabilities = cross_val_predict(classifier, np.array(TEXTS), labels, cv=2, method="predict_proba")
    assert probabilities.shape == (90, 3)
    assert (np.array([-1, 9, 10])[probabilities.argmax(axis=1)] == labels).mean() > 0.5
    search = GridSearchCV(classifier, {"fields": [FIELDS, FIELDS | {"num_train_epochs": 1}]}, cv=2)
    search.fit(TEXTS, LABELS)
    assert search.best_estimator_.fields in ([FIELDS, FIELDS | {"num_train_epochs": 1}])


def test_kept_run_folder(classifier, tmp_path):
    import submillion

    classifier.set_params(output=str(tmp_path / "run")).fit(TEXTS, LABELS)
    assert submillion.predict(tmp_path / "run", NEW) == classifier.predict(NEW).tolist()


def test_errors_say_what_to_do(classifier):
    with pytest.raises(DataError, match="X has 90 texts and y 3 labels: they must be as many"):
        classifier.fit(TEXTS, LABELS[:3])
    with pytest.raises(DataError, match=r"X has tuple \(1, 2\) in row 1: give texts alone"):
        classifier.fit([[1, 2]] * 3, LABELS[:3])
    with pytest.raises(DataError, match=r"X is a list of shape \(3, 3\): give a list of texts"):
        classifier.fit([["a", "b", "c"]] * 3, LABELS[:3])
    with pytest.raises(DataError, match="X is a single text: give a list of texts"):
        classifier.fit("a text", LABELS)
    with pytest.raises(DataError, match="X has NoneType None in row 2: give texts alone"):
        classifier.fit([TEXTS[0], None], LABELS[:2])
    with pytest.raises(DataError, match="only one class, 'sport'"):
        classifier.fit(TEXTS, ["sport"] * 90)
    with pytest.raises(BudgetError, match="budget=10 is too small"):
        clone(classifier).set_params(budget=10).fit(TEXTS, LABELS)
    with pytest.raises(ConfigError, match="there is no recipe field 'epochs'"):
        clone(classifier).set_params(fields={"epochs": 1}).fit(TEXTS, LABELS)
    with pytest.raises(ConfigError, match="fields is a list: give a dict"):
        clone(classifier).set_params(fields=["rank"]).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (None, "y is None, and labels are needed: give one a text, or a list of them"),
        (["a", None, "b"], "y has no label in row 2: give every row one, or leave these rows out"),
        (
            pd.Series(["a", "b", pd.NA], dtype="string"),
            "y has no label in row 3: give every row one, or leave these rows out",
        ),
        ([["a"], None, ["b"]], "y has no label in row 2: give every row one, or leave these rows out"),
        (
            ["a", 1, "b"],
            "y holds strings and others, 'a' and in row 2 1: give labels of one type, such as str(label)",
        ),
        (
            [["a", 1], [], ["b"]],
            "y holds strings and others, 'a' and in row 1 1: give labels of one type, such as str(label)",
        ),
    ],
)
def test_labels_that_cannot_be_sorted_are_refused(classifier, labels, says):
    with pytest.raises(DataError) as caught:
        classifier.fit(TEXTS[:3], labels)
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("seed", "the parameter random_state"),
        ("budget", "the parameter budget"),
        ("model", "the parameter model"),
        ("recipe", "the parameter recipe"),
        ("output", "the parameter output"),
        ("quiet", "the parameter verbose"),
        ("train", "X and y of fit"),
        ("resume", "submillion.train, which can go on with a run"),
    ],
)
def test_fields_that_the_estimator_sets_itself(classifier, name, use):
    with pytest.raises(ConfigError) as caught:
        classifier.set_params(fields={name: 1}).fit(TEXTS, LABELS)
    assert str(caught.value) == f"fields may not hold {name!r} (use {use}): leave them out"


def test_random_state_as_scikit_learn_has_it(classifier):
    classifier.set_params(fields={**FIELDS, "num_train_epochs": 1})
    seeds = []
    for state in (np.int64(7), np.random.RandomState(3), np.random.RandomState(3), None, None):
        classifier.set_params(random_state=state).fit(TEXTS, LABELS)
        seeds.append(classifier.run_["recipe"]["seed"])
    assert seeds[0] == 7
    assert seeds[1] == seeds[2] == np.random.RandomState(3).randint(2**31)
    assert seeds[3] != seeds[4]
    assert clone(classifier.set_params(random_state=np.random.RandomState(3))).random_state is not None
    with pytest.raises(ConfigError) as caught:
        classifier.set_params(random_state="x").fit(TEXTS, LABELS)
    assert str(caught.value) == (
        "random_state='x' must be an integer from 0 to 4,294,967,295, a numpy.random.RandomState or None"
    )


def test_labels_with_white_space_around_them(classifier):
    """Reading takes it off; classes_ must still be found again."""
    classifier.fit(TEXTS, [f" {label}" for label in LABELS])
    assert [label.strip() for label in classifier.classes_] == ["space", "sport", "trade"]
    assert classifier.predict_proba(NEW).shape == (30, 3)


def test_a_class_whose_texts_are_all_empty(classifier):
    """Its rows are left out, so that the model does not know it: said, with the label, in place of a traceback."""
    with pytest.raises(DataError, match="unknown label 'void'"):
        classifier.fit([*TEXTS, "", " "], [*LABELS, "void", "void"])


def test_fitted_one_can_be_pickled_and_leaves_no_folder(fitted, tmp_path, monkeypatch, classifier):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(NEW), fitted.predict_proba(NEW))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    classifier.fit(TEXTS, LABELS)
    assert not list(tmp_path.iterdir())


def test_dataframe_with_one_column(fitted, classifier):
    frame = pd.DataFrame({"anything": TEXTS})
    classifier.fit(frame, LABELS)
    np.testing.assert_array_equal(
        classifier.predict_proba(pd.DataFrame({"anything": NEW})), fitted.predict_proba(NEW)
    )
