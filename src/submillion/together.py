"""The adapter and TF-IDF put together: two that err on different texts.

Their scores, each times a weight, are added, which multiplies powers of their probabilities (a logarithmic opinion pool; Genest and
Zidek 1986, Statistical Science 1:114).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from submillion.alternatives import PARTS, TOGETHER
from submillion.temperature import (
    HIGHEST,
    LOWEST,
    fit_temperature,
    fit_temperatures,
    log_loss,
    platt_shares,
)


def pooled(scores: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Return the sum of scores times their weights, `[n, n_labels]` float64.

    Args:
        scores: Name -> scores `[n, n_labels]`; other names than those of ``weights`` are left out.
        weights: Above 0, of the names that are added, one at least.

    >>> pooled({"adapter": np.array([[2.0, 0.0]]), "tfidf_svm": np.array([[0.0, 1.0]])}, {"adapter": 1.0, "tfidf_svm": 2.0})
    array([[2., 2.]])
    """
    return np.asarray(sum(weight * scores[name].astype(np.float64) for name, weight in weights.items()))


def own_pool_weights(temperatures: Mapping[str, float]) -> dict[str, float]:
    """Return the weights that take each of the two at its own temperature, of those that have one.

    >>> own_pool_weights({"adapter": 2.0, "probe_mean": 1.0})
    {'adapter': 0.5}
    """
    return {name: 1 / temperatures[name] for name in PARTS if name in temperatures}


def fit_pool_weights(scores: Mapping[str, np.ndarray], labels: npt.ArrayLike) -> dict[str, float]:
    """Return the weights of the mean of two pools: each of the two at its own temperature, and `best_pool_weights`.

    The best tell what each adds to the other, but on rows that are like these: there TF-IDF mostly repeats the adapter, on rows unlike
    them less so. Own temperatures ignore that it does: one that knows little takes from one that knows more. Both pools are
    calibrated before, and the mean again, so that it needs no temperature. Measured in docs/how-to/hold-under-shift.md.

    Args:
        scores: Name -> scores `[n, n_labels]` of rows that neither was fitted on, finite for their labels.
        labels: Of these rows, `[n]`.
    """
    both = {name: scores[name] for name in PARTS}
    own = _calibrated(both, labels, own_pool_weights(fit_temperatures(both, labels)))
    best = best_pool_weights(both, labels)
    return _calibrated(both, labels, {name: (own[name] + best[name]) / 2 for name in PARTS})


def _calibrated(
    scores: Mapping[str, np.ndarray], labels: npt.ArrayLike, weights: Mapping[str, float]
) -> dict[str, float]:
    """Return weights over the temperature of the pool that they make."""
    temperature = fit_temperature(pooled(scores, weights), labels)
    return {name: weight / temperature for name, weight in weights.items()}


def best_pool_weights(scores: Mapping[str, np.ndarray], labels: npt.ArrayLike) -> dict[str, float]:
    """Return the weights by which the softmax of the two's sum has the lowest log loss.

    Labels count as in `fit_temperature`. A weight lies within 0.01 and 100 of what the part has by itself.

    Args:
        scores: Name -> scores `[n, n_labels]`, finite for the rows' labels.
        labels: Of these rows, `[n]`.

    >>> knows, guesses = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0]]), np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> {name: round(weight, 2) for name, weight in best_pool_weights({"adapter": knows, "tfidf_svm": guesses}, [0, 1, 1]).items()}
    {'adapter': 0.69, 'tfidf_svm': 0.0}
    """
    both = {name: scores[name] for name in PARTS}
    start = own_pool_weights(fit_temperatures(both, labels))
    shares = platt_shares(pooled(both, start), labels)

    def scaled(log_factors: np.ndarray) -> dict[str, float]:
        return {name: start[name] * float(np.exp(log)) for name, log in zip(PARTS, log_factors, strict=True)}

    bounds = [(np.log(LOWEST), np.log(HIGHEST))] * len(PARTS)
    found = minimize(lambda each: log_loss(pooled(both, scaled(each)), shares), [0.0, 0.0], bounds=bounds)
    return scaled(found.x)


def pool_weights_of(record: Mapping[str, Any]) -> dict[str, float] | None:
    """Return the weights of the two in a run's `run.json`; None where it holds none, and they cannot be added.

    A run of a version that fitted none takes each at its own temperature.

    >>> pool_weights_of({"temperatures": {"adapter": 1.3}})
    """
    weights = record.get("pool_weights") or own_pool_weights(record.get("temperatures") or {})
    return weights if set(weights) == set(PARTS) else None


def pooled_by_others(scores: Mapping[str, np.ndarray], labels: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Return the two's pooled scores of every row, at weights that were fitted on the other folds' rows.

    Args:
        scores: Name -> scores `[n, n_labels]`, of rows by models that were not fitted on them.
        labels: Of these rows, `[n]`.
        fold_of: The fold of each, `[n]`.
    """
    both = {name: scores[name] for name in PARTS}
    result = np.empty_like(both[PARTS[0]], dtype=np.float64)
    for fold in np.unique(fold_of):
        here = fold_of == fold
        elsewhere = fit_pool_weights({name: values[~here] for name, values in both.items()}, labels[~here])
        result[here] = pooled({name: values[here] for name, values in both.items()}, elsewhere)
    return result


def fit_all(scores: Mapping[str, np.ndarray], labels: npt.ArrayLike) -> dict[str, dict[str, float]]:
    """Return what `run.json` keeps: ``temperatures``, of each and of the two together, and ``pool_weights``, of these.

    Where one of the two has no temperature (see `fit_temperatures`), they have none together, and no weights.

    Args:
        scores: Name -> scores `[n, n_labels]`, of rows that nothing was fitted on.
        labels: Of these rows, `[n]`.
    """
    temperatures = fit_temperatures(scores, labels)
    if not set(PARTS) <= temperatures.keys():
        return {"temperatures": temperatures, "pool_weights": {}}
    weights = fit_pool_weights(scores, labels)  # calibrated: their sum is at its temperature
    return {"temperatures": temperatures | {TOGETHER: 1.0}, "pool_weights": weights}
