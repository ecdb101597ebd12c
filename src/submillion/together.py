"""The adapter and TF-IDF put together: two that err on different texts.

Their scores, each at its temperature, are added, which multiplies the probabilities (a logarithmic opinion pool; Genest and Zidek
1986, Statistical Science 1:114).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from submillion.alternatives import PARTS, TOGETHER
from submillion.temperature import fit_temperature, fit_temperatures, temperature_of


def pooled(scores: Mapping[str, np.ndarray], temperatures: Mapping[str, float]) -> np.ndarray:
    """Return the sum of scores over their temperatures, `[n, n_labels]` float64.

    Args:
        scores: Name -> scores `[n, n_labels]`; other names than `PARTS` are left out.
        temperatures: Of the names that are added, one at least.

    >>> pooled({"adapter": np.array([[2.0, 0.0]]), "tfidf_svm": np.array([[0.0, 1.0]])}, {"adapter": 1.0, "tfidf_svm": 0.5})
    array([[2., 2.]])
    """
    parts = [scores[name].astype(np.float64) / temperatures[name] for name in PARTS if name in temperatures]
    return np.asarray(np.sum(parts, axis=0))


def temperatures_of_parts(record: Mapping[str, Any]) -> dict[str, float] | None:
    """Return the temperature of each of the two in a run's `run.json`; None where one has none, and they cannot be added.

    >>> temperatures_of_parts({"temperatures": {"adapter": 1.3}})
    """
    found = {name: temperature for name in PARTS if (temperature := temperature_of(record, name)) is not None}
    return found if len(found) == len(PARTS) else None


def pooled_by_others(scores: Mapping[str, np.ndarray], labels: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Return the two's pooled scores of every row, at temperatures that were fitted on the other folds' rows.

    Args:
        scores: Name -> scores `[n, n_labels]`, of rows by models that were not fitted on them.
        labels: Of these rows, `[n]`.
        fold_of: The fold of each, `[n]`.
    """
    both = {name: scores[name] for name in PARTS}
    result = np.empty_like(both[PARTS[0]], dtype=np.float64)
    for fold in np.unique(fold_of):
        here = fold_of == fold
        elsewhere = fit_temperatures({name: values[~here] for name, values in both.items()}, labels[~here])
        result[here] = pooled({name: values[here] for name, values in both.items()}, elsewhere)
    return result


def fit_all(scores: Mapping[str, np.ndarray], labels: npt.ArrayLike) -> dict[str, float]:
    """Return the temperature of each, as `fit_temperatures` does, and of the two together, where each of them has one.

    Args:
        scores: Name -> scores `[n, n_labels]`, of rows that nothing was fitted on.
        labels: Of these rows, `[n]`.
    """
    temperatures = fit_temperatures(scores, labels)
    if not set(PARTS) <= temperatures.keys():
        return temperatures
    return {**temperatures, TOGETHER: fit_temperature(pooled(scores, temperatures), labels)}
