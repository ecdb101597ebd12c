"""scikit-learn's interface: `fit`, `predict`, `predict_proba`, `score`, `clone`, `cross_val_score`, `Pipeline`."""

import tempfile
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from submillion import api
from submillion.data import encode_labels, read_rows
from submillion.data.columns import is_missing
from submillion.data.pairs import as_pair
from submillion.errors import ConfigError, DataError
from submillion.multi_label import MULTI_LABEL
from submillion.prediction import Predictor, load_predictor

_INSTEAD = {
    **{name: f"the parameter {name}" for name in ("model", "budget", "recipe", "output")},
    "seed": "the parameter random_state",
    "quiet": "the parameter verbose",
    "train": "X and y of fit",
    "resume": "submillion.train, which can go on with a run",
}
"""What `submillion.train` takes and `fields` may not hold, and what to use."""


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A text classifier inside a budget of trainable parameters, as a scikit-learn estimator.

    With ``fields={"cv": 5}`` it answers by what cross-validation recommends: the adapter, a probe, TF-IDF, or the adapter and TF-IDF.

    Args:
        model: The encoder: a hub id or a folder; None: what the recipe says.
        budget: Most parameters that may train, head included; None: what the recipe says.
        recipe: A YAML file or the name of a recipe that comes with the package; None: the default one.
        fields: Any other recipe fields, such as ``{"learning_rate": 2e-4}``.
        output: The run folder to keep, for one `fit` only; None: a temporary one, gone after `fit`.
        random_state: Seed of split, shuffle, initialisation and dropout; None or a `numpy.random.RandomState`:
            drawn at each `fit`. The seed stands in ``run_["recipe"]["seed"]``.
        verbose: Whether progress is shown on stderr.

    Attributes:
        classes_: The labels, sorted; the columns of `predict_proba` stand in this order.
        run_: What the run's `run.json` says.
    """

    def __init__(
        self,
        model: str | None = None,
        budget: int | None = None,
        recipe: str | None = None,
        fields: Mapping[str, Any] | None = None,
        output: str | None = None,
        random_state: int | np.random.RandomState | None = 42,
        verbose: bool = False,
    ):
        self.model = model
        self.budget = budget
        self.recipe = recipe
        self.fields = fields
        self.output = output
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: Sequence[Any]) -> "TextClassifier":
        """Train on texts and their labels.

        Args:
            X: Texts, one a row, or (text, text) pairs.
            y: Labels, strings or integers. Any number of labels a row: lists of them, or an indicator matrix of 0 and 1
                `[n, n_classes]`.

        Raises:
            DataError: If lengths differ or a label cannot be used.
            BudgetError: If the plan does not fit.
            ConfigError: If ``fields`` or ``random_state`` cannot be used.
        """
        fields = _checked_fields(self.fields or {})
        texts, targets = _texts(X), Targets(y)
        if len(texts) != len(targets.rows):
            raise DataError(
                f"X has {len(texts):,} texts and y {len(targets.rows):,} labels: they must be as many"
            )
        if targets.is_multi_label:
            fields.setdefault("problem_type", MULTI_LABEL)
        with tempfile.TemporaryDirectory(prefix="submillion-") as folder:
            output = self.output or f"{folder}/run"
            self.run_ = api.train(
                list(zip(texts, targets.rows, strict=True)),
                output=output,
                recipe=self.recipe,
                quiet=not self.verbose,
                **{name: value for name in ("model", "budget") if (value := getattr(self, name)) is not None},
                seed=_seed(self.random_state),
                **fields,
            )
            self._predictor: Predictor = load_predictor(output)
            self._predictor.answering.load_all()  # the folder goes
        self.classes_ = targets.classes
        self.multilabel_ = targets.is_multi_label
        known = targets.known
        self._fitted = np.searchsorted(self.classes_, known)  # of an indicator's columns some may hold no 1
        self._columns = _columns_of(known, self.run_["data"]["label_values"])
        return self

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:
        """Return probabilities `[n, n_classes]`, columns in the order of `classes_`."""
        check_is_fitted(self, "classes_")
        return self._in_order(self._predictor.predict_proba(_texts(X)))

    def _in_order(self, columns: np.ndarray) -> np.ndarray:
        """Return a run's columns in the order of `classes_`; a class that no row had has zeros."""
        ordered = np.zeros((len(columns), len(self.classes_)), dtype=columns.dtype)
        ordered[:, self._fitted] = columns[:, self._columns]
        return ordered

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return the label of each text `[n]`; of several a row an indicator matrix `[n, n_classes]`, as scikit-learn does."""
        check_is_fitted(self, "classes_")
        if self.multilabel_:
            texts = _texts(X)
            width = len(self._predictor.label_names)
            decisions = (
                self._predictor.scores(texts).predictions if texts else np.zeros((0, width), dtype=np.int64)
            )
            return self._in_order(decisions)
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def score(self, X: Sequence[str], y: Sequence[Any], sample_weight: Any = None) -> float:
        """Return the accuracy; of several labels a row exact match, as scikit-learn does."""
        check_is_fitted(self, "classes_")
        if self.multilabel_:
            return float(super().score(X, Targets(y, classes=self.classes_).indicator, sample_weight))
        return float(super().score(X, y, sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags


class Targets:
    """What ``y`` holds: one label a row, or any number of them.

    Args:
        y: Labels, lists of labels, or an indicator matrix of 0 and 1.
        classes: Of an earlier ``y``, in order; None: those of this one.

    Raises:
        DataError: If a label is missing, labels are of several types, an array of two dimensions holds something else than
            0 and 1, or a label is none of ``classes``.

    >>> Targets([["a"], [], ["a", "b"]]).indicator.tolist()
    [[1, 0], [0, 0], [1, 1]]
    >>> Targets(np.array([[0, 1], [1, 1]])).rows
    [[1], [0, 1]]
    """

    def __init__(self, y: Any, classes: np.ndarray | None = None):
        if y is None:
            raise DataError("y is None, and labels are needed: give one a text, or a list of them")
        y = y.toarray() if hasattr(y, "toarray") else getattr(y, "values", y)
        is_ragged = not hasattr(y, "ndim") and any(isinstance(row, list | tuple | set) for row in y)
        if hasattr(y, "ndim") and y.ndim == 1 and y.dtype == object:
            is_ragged = any(isinstance(row, list | tuple | set | np.ndarray) for row in y)
        self.rows: list[Any]
        found: Any
        if is_ragged:
            self.is_multi_label, self.rows = True, [[row] if is_missing(row) else list(row) for row in y]
            found = sorted({label for row in _of_one_type(self.rows) for label in row})
        else:
            array = np.asarray(y)
            if array.ndim == 1:
                _of_one_type([[label] for label in (y if isinstance(y, list | tuple) else array.tolist())])
            self.is_multi_label = array.ndim == 2 and array.shape[1] > 1
            if array.ndim > 2 or (self.is_multi_label and not np.isin(array, (0, 1)).all()):
                raise DataError(
                    f"y of shape {array.shape} must be one label a row, lists of labels, or an indicator matrix of 0 and 1"
                )
            self.rows = array.ravel().tolist()
            found = np.unique(array)
            if self.is_multi_label:
                self.rows = [np.flatnonzero(row).tolist() for row in array]
                found = np.arange(array.shape[1])
        self.classes: np.ndarray = np.asarray(found) if classes is None else classes

    @property
    def known(self) -> np.ndarray:
        """The classes that some row has."""
        if not self.is_multi_label:
            return self.classes
        held = {label for row in self.rows for label in row}
        return np.asarray([label for label in self.classes.tolist() if label in held])

    @property
    def indicator(self) -> np.ndarray:
        """0 and 1, `[n, n_classes]`."""
        place = {label: column for column, label in enumerate(self.classes.tolist())}
        matrix = np.zeros((len(self.rows), len(place)), dtype=np.int64)
        for index, row in enumerate(self.rows):
            for label in row:
                if label not in place:
                    raise DataError(
                        f"y holds the label {label!r}, which no row of fit had: leave these rows out, or fit on rows that have it"
                    )
                matrix[index, place[label]] = 1
        return matrix


def _of_one_type(rows: list[list[Any]]) -> list[list[Any]]:
    """Return each row's labels, if they can be sorted: numpy would write 1 as "1" beside a string.

    Raises:
        DataError: If one is missing, or strings stand beside others.

    >>> _of_one_type([["a"], ["b", "c"]])
    [['a'], ['b', 'c']]
    """
    kinds: dict[bool, tuple[int, Any]] = {}
    for number, row in enumerate(rows, start=1):
        for label in row:
            if is_missing(label):
                raise DataError(
                    f"y has no label in row {number}: give every row one, or leave these rows out"
                )
            kinds.setdefault(isinstance(label, str), (number, label))
    if len(kinds) > 1:
        (_, text), (number, other) = kinds[True], kinds[False]
        raise DataError(
            f"y holds strings and others, {text!r} and in row {number} {other!r}: give labels of one type, such as str(label)"
        )
    return rows


def _checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe fields, none of which the estimator sets itself.

    >>> _checked_fields({"rank": 4})
    {'rank': 4}
    """
    if not isinstance(fields, Mapping):
        raise ConfigError(
            f"fields is a {type(fields).__name__}: give a dict of recipe fields and their values"
        )
    if clashes := [f"{name!r} (use {_INSTEAD[name]})" for name in fields if name in _INSTEAD]:
        raise ConfigError(f"fields may not hold {', '.join(clashes)}: leave them out")
    return dict(fields)


def _seed(random_state: Any) -> int:
    """Return the seed that an integer is, or one drawn from a state, None: from numpy's own.

    >>> _seed(7)
    7
    """
    try:
        state = check_random_state(random_state)
    except ValueError:
        raise ConfigError(
            f"random_state={random_state!r} must be an integer from 0 to {2**32 - 1:,}, a "
            "numpy.random.RandomState or None"
        ) from None
    return int(random_state) if isinstance(random_state, Integral) else int(state.randint(2**31))


def _columns_of(classes: np.ndarray, label_values: Sequence[Any]) -> np.ndarray:
    """Return which of the run's labels each class is, read as the training rows were (white space taken off).

    >>> _columns_of(np.array([" b", "a"]), ["a", "b"])
    array([1, 0])
    """
    labels = read_rows([("a text", value) for value in classes.tolist()]).labels or []
    known = [str(value) for value in label_values]
    return encode_labels(labels, known, known_values=label_values, source="y, each label once").codes


def _texts(values: Any) -> list[str]:
    """Return texts as a list; one column of a table counts as texts, two columns as pairs of texts."""
    array = np.asarray(values, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and array.shape[1] == 2:
        array = np.array([as_pair(tuple(row)) for row in array] + [None], dtype=object)[:-1]
    if array.ndim != 1:
        shape = f" of shape {array.shape}" if array.ndim else ""
        given = "a single text" if isinstance(values, str) else f"a {type(values).__name__}{shape}"
        raise DataError(f"X is {given}: give a list of texts, or one column of strings, or two")
    for row, text in enumerate(array, start=1):
        if not isinstance(text, str):
            raise DataError(f"X has {type(text).__name__} {str(text)[:60]} in row {row}: give texts alone")
    return list(array)
