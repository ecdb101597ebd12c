"""Linear classifiers on fixed features: what a baseline predicts with, and the linear probe.

The probe also starts the adapter's head (LP-FT: Kumar et al. 2022, arXiv:2202.10054, section 3.4).
"""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from submillion.one_vs_rest import choose_c_of_sets, fit_each_label

Array = np.ndarray[Any, np.dtype[Any]]
Scaling = Literal["unit", "standard"]

MAX_ITER = 10_000
"""Iterations allowed; the solvers stop far earlier, and a fit that does not is marked ``converged: false``."""

MAX_CV_ROWS = 2_000
"""Most rows on which the probe's C is chosen; of more, as many are drawn."""

MISSING_PROBABILITY = 1e-4
"""Most a probe gives, on any fitted row, to a label that had no row."""

CANDIDATE_C: dict[Scaling, tuple[float, ...]] = {"unit": (1, 10, 100), "standard": (0.001, 0.01, 0.1)}
"""Tried for each scaling; on AG News with MiniLM the best of 40, 400 and 2,000 rows lie within."""

DEFAULT_C: dict[Scaling, float] = {"unit": 100, "standard": 0.1}
"""Where no two labels have two rows, so that nothing can be left out."""


@dataclass(frozen=True)
class Linear:
    """Rows of weights that score every label; only labels that had rows are ever predicted.

    Attributes:
        weight: `[n_labels, d]` float32, a row of zeros for a label without rows.
        bias: `[n_labels]` float32.
        fitted: The labels that had rows, ascending, int64.
    """

    weight: Array
    bias: Array
    fitted: Array

    def scores(self, features: Any) -> Array:
        """Return `[n, n_labels]` float32 for dense or sparse features `[n, d]`; a label without rows has -inf.

        >>> linear = Linear(np.array([[1.0], [0.0], [-1.0]]), np.array([0.0, 9.0, 0.0]), np.array([0, 2]))
        >>> linear.scores(np.array([[3.0], [-3.0]])).tolist()
        [[3.0, -inf, -3.0], [-3.0, -inf, 3.0]]
        """
        scores = np.asarray(features @ self.weight.T) + self.bias
        scores[:, np.setdiff1d(np.arange(len(self.bias)), self.fitted)] = -np.inf
        return scores


@dataclass(frozen=True)
class Probe:
    """Logistic regression on frozen embeddings.

    Attributes:
        linear: Scores of embeddings: normalised to length 1 (``unit``), or as they are (``standard``; the
            means and deviations it was fitted with are folded into the weights).
        scaling: Which of the two.
        c: Inverse strength of the penalty.
        c_chosen_by: How ``c`` came about.
        converged: Whether the solver came to its end.
        fit_seconds: Wall time of the fit, choice of C included, embedding not.
        pooling: Which embeddings it reads.
        name: Its name among the baselines.
    """

    linear: Linear
    scaling: Scaling
    c: float
    c_chosen_by: str
    converged: bool
    fit_seconds: float
    pooling: str = "first"
    name: str = "probe"

    def scores(self, texts: Sequence[str], embeddings: Mapping[str, Array]) -> Array:
        """Return `[n, n_labels]` for each row of ``embeddings[pooling]`` `[n, d]`."""
        return self.linear.scores(_scaled(embeddings[self.pooling], self.scaling))

    def head_weights(self) -> tuple[Array, Array]:
        """Return weight `[n_labels, d]` and bias `[n_labels]`, float32, of a head that says what the probe says.

        ``softmax(weight @ x + bias)`` is the probe's probability, for ``x`` the embedding normalised to
        length 1 (``unit``) or as it is (``standard``). Two labels get two rows; a label that had no row gets
        at most `MISSING_PROBABILITY` on any fitted row.
        """
        return self.linear.weight.copy(), self.linear.bias.copy()

    def to_json(self) -> dict[str, Any]:
        """Return what is kept beside the weights."""
        return {
            "fit_seconds": self.fit_seconds,
            "pooling": self.pooling,
            "scaling": self.scaling,
            "c": self.c,
            "c_chosen_by": self.c_chosen_by,
            "converged": self.converged,
        }


def fit_probe(
    features: Array,
    labels: Array,
    n_labels: int,
    seed: int,
    scaling: Scaling = "standard",
    *,
    pooling: str = "first",
    name: str = "probe",
    weights: Array | None = None,
) -> Probe:
    """Fit a linear probe: multinomial logistic regression with an L2 penalty.

    Its C is the one of `CANDIDATE_C` with the lowest log loss over three stratified folds (two, where some
    label has only two rows) of at most `MAX_CV_ROWS` rows, labels with a single row left out; where no two
    labels have two rows it is `DEFAULT_C`.

    Args:
        features: `[n, d]`.
        labels: `[n]`, of ``range(n_labels)``; some may be missing. Where rows may have several: 0 and 1
            `[n, n_labels]`; each label is then fitted against the rest.
        n_labels: Labels in all.
        seed: Seed of the folds.
        scaling: ``unit`` (each row to length 1) or ``standard`` (each column to mean 0 and deviation 1).
        pooling: Which of the frozen embeddings the features are.
        name: Its name among the baselines.
        weights: How much each label counts, `[n_labels]`; None: all alike.
    """
    from sklearn.linear_model import LogisticRegression

    started = time.perf_counter()
    labels = np.asarray(labels, dtype=np.int64)
    x = _scaled(features, scaling).astype(np.float64)
    mean, deviation = np.zeros(x.shape[1]), np.ones(x.shape[1])
    if scaling == "standard":
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        deviation[deviation < 1e-8] = 1.0  # a constant column says nothing; it must not be blown up
        x = (x - mean) / deviation
    by_label = class_weight(weights)
    c, chosen_by = _choose_c(x, labels, scaling, seed, by_label)
    model = LogisticRegression(C=c, max_iter=MAX_ITER, class_weight=by_label)
    fitted, weight, bias, converged = fit_linear(model, x, labels)
    missing_bias = _missing_bias(x @ weight.T + bias, labels)
    weight = weight / deviation
    linear = all_labels(
        weight,
        bias - weight @ mean,
        fitted,
        n_labels,
        missing_bias=missing_bias,
    )
    return Probe(linear, scaling, c, chosen_by, converged, seconds_since(started), pooling, name)


def _missing_bias(scores: Array, labels: Array) -> float:
    """Return the bias by which a label without rows gets at most `MISSING_PROBABILITY` on any fitted row."""
    if labels.ndim == 2:
        return float(np.log(MISSING_PROBABILITY / (1 - MISSING_PROBABILITY)))
    largest = scores.max(axis=1, keepdims=True)
    log_sums = largest[:, 0] + np.log(np.exp(scores - largest).sum(axis=1))
    return float(log_sums.min() + np.log(MISSING_PROBABILITY))


def _scaled(features: Array, scaling: Scaling) -> Array:
    """Return float32 rows, of length 1 where the scaling asks for it.

    >>> _scaled(np.array([[3.0, 4.0], [0.0, 0.0]]), "unit").round(2).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    x = np.asarray(features, dtype=np.float32)
    if scaling == "standard":
        return x
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12))


def fit_linear(model: Any, features: Any, labels: Array) -> tuple[Array, Array, Array, bool]:
    """Fit a scikit-learn linear classifier; return fitted labels, one row of weights and a bias each, converged.

    Two labels get two rows that differ by scikit-learn's one: the same decision, and the same softmax. Where rows may have
    several labels, `[n, n_labels]`, each label is fitted against the rest: the same sigmoid.
    """
    from sklearn.exceptions import ConvergenceWarning

    if labels.ndim == 2:
        return fit_each_label(model, features, labels)
    fitted = np.unique(labels)
    if len(fitted) == 1:
        return fitted, np.zeros((1, features.shape[1])), np.zeros(1), True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, labels)
    weight, bias = model.coef_, model.intercept_
    if len(fitted) == 2:
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return fitted, weight, bias, bool(np.max(model.n_iter_) < model.max_iter)


def all_labels(weight: Array, bias: Array, fitted: Array, n_labels: int, missing_bias: float) -> Linear:
    """Spread the rows of the fitted labels over all labels."""
    every_weight = np.zeros((n_labels, weight.shape[1]), dtype=np.float32)
    every_bias = np.full(n_labels, missing_bias, dtype=np.float32)
    every_weight[fitted], every_bias[fitted] = weight, bias
    return Linear(every_weight, every_bias, fitted)


def class_weight(weights: Array | None) -> dict[int, float] | None:
    """Return weights of labels as scikit-learn takes them.

    >>> class_weight(np.array([1.0, 3.0]))
    {0: 1.0, 1: 3.0}
    """
    return None if weights is None else dict(enumerate(np.asarray(weights, dtype=np.float64).tolist()))


def _choose_c(
    features: Array, labels: Array, scaling: Scaling, seed: int, by_label: dict[int, float] | None
) -> tuple[float, str]:
    """Return the probe's C and how it was chosen; see `fit_probe`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    if labels.ndim == 2:
        return choose_c_of_sets(features, labels, CANDIDATE_C[scaling], DEFAULT_C[scaling], seed, MAX_CV_ROWS)
    if len(labels) > MAX_CV_ROWS:
        drawn = np.random.default_rng(seed).choice(len(labels), MAX_CV_ROWS, replace=False)
        features, labels = features[drawn], labels[drawn]
    counts = np.bincount(labels)
    if (counts >= 2).sum() < 2:
        return DEFAULT_C[scaling], "default"
    usable = counts[labels] >= 2
    folds = int(min(3, counts[counts >= 2].min()))
    search = GridSearchCV(
        LogisticRegression(max_iter=MAX_ITER, class_weight=by_label),
        {"C": list(CANDIDATE_C[scaling])},
        scoring="neg_log_loss",
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
        refit=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(features[usable], labels[usable])
    return float(search.best_params_["C"]), f"log loss over {folds} folds of {int(usable.sum()):,} rows"


def seconds_since(started: float) -> float:
    """Return the wall time since ``started`` (`time.perf_counter`), to the millisecond."""
    return round(time.perf_counter() - started, 3)
