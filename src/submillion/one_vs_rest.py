"""Linear classifiers where a row may have several labels: each label against the rest."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

ALWAYS = 9.21
"""The score of a label that every row has: a sigmoid of 0.9999."""

MAX_CV_LABELS = 8
"""Labels on which C is chosen, the most frequent ones."""

MAX_ITER = 10_000


def fit_each_label(model: Any, features: Any, labels: Array) -> tuple[Array, Array, Array, bool]:
    """Fit a scikit-learn linear classifier anew for each label that some row has.

    Args:
        model: With two classes it has one row of weights.
        features: `[n, d]`, dense or sparse.
        labels: 0 and 1 `[n, n_labels]`.

    Returns:
        The labels that some row has, a row of weights and a bias for each, whether all fits came to their end.
    """
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    fitted = np.flatnonzero(labels.any(axis=0))
    weight, bias, converged = np.zeros((len(fitted), features.shape[1])), np.full(len(fitted), ALWAYS), True
    for place, label in enumerate(fitted.tolist()):
        if labels[:, label].all():
            continue
        one = clone(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            one.fit(features, labels[:, label])
        weight[place], bias[place] = one.coef_[0], one.intercept_[0]
        converged = converged and bool(np.max(one.n_iter_) < one.max_iter)
    return fitted, weight, bias, converged


def choose_c_of_sets(
    features: Array, labels: Array, candidates: Sequence[float], default: float, seed: int, max_rows: int
) -> tuple[float, str]:
    """Return the one C of logistic regression with the lowest log loss over three folds, and how it was chosen.

    The log loss is the mean over `MAX_CV_LABELS` labels, the most frequent of those that at least three rows have and three
    have not, each by folds of its own, stratified.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    if len(labels) > max_rows:
        drawn = np.random.default_rng(seed).choice(len(labels), max_rows, replace=False)
        features, labels = features[drawn], labels[drawn]
    counts = labels.sum(axis=0)
    usable = np.flatnonzero((counts >= 3) & (counts <= len(labels) - 3))
    usable = usable[np.argsort(-counts[usable], kind="stable")][:MAX_CV_LABELS]
    if not len(usable):
        return default, "default"
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    losses = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for c in candidates:
            model = LogisticRegression(C=c, max_iter=MAX_ITER)
            losses[c] = -np.mean(
                [
                    cross_val_score(
                        model, features, labels[:, label], scoring="neg_log_loss", cv=folds
                    ).mean()
                    for label in usable.tolist()
                ]
            )
    chosen = min(losses, key=lambda c: losses[c])
    return float(chosen), f"log loss of {len(usable)} labels over 3 folds of {len(labels):,} rows"
