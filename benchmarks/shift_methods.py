"""The other ways to foretell accuracy on rows without labels, as `shift.py` holds them against the product's.

Each has an interval as ours has: the standard error over drawn held-back and new rows, with what was fitted (a second head, the
weights) kept, and the same allowance by the share unlike training (`submillion.evaluation.expected`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from submillion.evaluation.unlabelled import HELD_BACK, Known, confidence_of
from submillion.evaluation.unlike import columns_of

N_DRAWS = 50

Method = Callable[[np.ndarray, np.ndarray], float]
"""An estimate by held-back rows and new rows, each given by their places."""


def others(record: Mapping[str, Any], known: Known, rows: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return each method's estimate of the accuracy on new rows, ``value``, and its standard error, ``error``.

    Args:
        record: The run's `run.json`.
        known: What the run knows of its held-back rows.
        rows: The new ones: ``logits``, ``embeddings``, ``look``.
    """
    methods = _methods(record, known, rows)
    n_known, n_new = len(known.right), len(rows["logits"])
    rng = np.random.default_rng(0)
    draws = [(rng.integers(n_known, size=n_known), rng.integers(n_new, size=n_new)) for _ in range(N_DRAWS)]
    every = np.arange(n_known), np.arange(n_new)
    return {
        name: {
            "value": float(method(*every)),
            "error": float(np.std([method(*draw) for draw in draws], ddof=1)),
        }
        for name, method in methods.items()
    }


def _methods(record: Mapping[str, Any], known: Known, rows: Mapping[str, Any]) -> dict[str, Method]:
    temperature = record["temperatures"]["adapter"]
    right, sure, new = known.right, known.confidence(record), confidence_of(rows["logits"], record)
    logits = np.concatenate([each.scores.logits for each in known.scored])
    of_known, of_new = softmax(logits / temperature, axis=1), softmax(rows["logits"] / temperature, axis=1)
    labels = np.concatenate([each.labels for each in known.scored])
    embeddings = np.concatenate([each.scores.embeddings for each in known.scored])
    held_back = np.concatenate([columns_of(known.looks[split]) for split in HELD_BACK])
    odds, _ = told_apart(held_back, columns_of(rows["look"]))
    weights = np.exp(np.clip(odds, -20, 20))

    def agreement(on_known: np.ndarray, on_new: np.ndarray) -> Method:
        same_known, same_new = logits.argmax(axis=1) == on_known, rows["logits"].argmax(axis=1) == on_new
        return lambda old, fresh: right[old].mean() + same_new[fresh].mean() - same_known[old].mean()

    methods: dict[str, Method] = {
        "average confidence": lambda _, fresh: new[fresh].mean(),
        "difference of confidences": lambda old, fresh: (
            right[old].mean() + new[fresh].mean() - sure[old].mean()
        ),
        "optimal transport (COT)": lambda old, fresh: _transport(
            of_new[fresh], np.bincount(labels[old], minlength=of_new.shape[1])
        ),
        "nuclear norm": lambda old, fresh: (
            right[old].mean() * min(1.0, _nuclear(of_new[fresh]) / _nuclear(of_known[old]))
        ),
        "MaNo": lambda old, fresh: (
            right[old].mean() * min(1.0, _mano(rows["logits"][fresh]) / _mano(logits[old]))
        ),
        "importance weighting": lambda old, _: np.average(right[old], weights=weights[old]),
        "agreement with a second head": agreement(*_second_head(embeddings, labels, rows["embeddings"])),
    }
    for name in ("tfidf_svm", "probe_mean", "probe_first"):
        theirs = np.concatenate([known.looks[split].predictions[name] for split in HELD_BACK])
        methods[f"agreement with {name}"] = agreement(theirs, rows["look"].predictions[name])
    return methods


def _transport(probabilities: np.ndarray, counts: np.ndarray) -> float:
    """Confidence by optimal transport to the known label shares (Lu et al. 2023, arXiv:2305.15640)."""
    n = len(probabilities)
    each = np.floor(counts / counts.sum() * n).astype(int)
    each[np.argmax(each)] += n - each.sum()
    cost = 1 - probabilities[:, np.repeat(np.arange(len(each)), each)]
    return float(1 - cost[linear_sum_assignment(cost)].mean())


def _nuclear(probabilities: np.ndarray) -> float:
    """Nuclear norm of the probabilities, over its largest value (Deng et al. 2023, arXiv:2302.01094)."""
    n, n_labels = probabilities.shape
    return float(np.linalg.norm(probabilities, "nuc") / np.sqrt(min(n, n_labels) * n))


def _mano(logits: np.ndarray) -> float:
    """Norm of normalised logits, of power 4 (Xie et al. 2024, arXiv:2405.18979, section 4)."""
    of_labels = softmax(logits, axis=1)
    is_sure = -np.log(np.maximum(of_labels, 1e-12)).mean() > 5  # the paper's criterion, far from uniform
    if not is_sure:
        of_labels = 1 + logits + logits**2 / 2
        of_labels = of_labels / of_labels.sum(axis=1, keepdims=True)
    return float(np.mean(of_labels**4) ** (1 / 4))


def _second_head(known: np.ndarray, labels: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what a linear head fitted on the held-back rows' embeddings says of them, cross-fitted, and of new rows."""
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    folds = KFold(5, shuffle=True, random_state=0)
    return cross_val_predict(head, known, labels, cv=folds), head.fit(known, labels).predict(new)


def told_apart(known: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cross-fitted log odds of being new, of known and of new rows."""
    origin = np.r_[np.zeros(len(known)), np.ones(len(new))]
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced")
    )
    rows = np.concatenate([known, new])
    odds = cross_val_predict(classifier, rows, origin, cv=5, method="decision_function")
    return odds[: len(known)], odds[len(known) :]
