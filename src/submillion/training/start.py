"""Where training starts from: the head from a linear probe (Kumar et al. 2022, arXiv:2202.10054, LP-FT)."""

import numpy as np
import torch

from submillion.baselines import fit_mean_probe
from submillion.data.multi_label import strata
from submillion.data.stratified import stratified_order
from submillion.data.windows import taken
from submillion.model.build import Classifier
from submillion.probe import Probe, fit_probe
from submillion.recipe import Recipe
from submillion.scoring import head_inputs
from submillion.training.fit import Labelled
from submillion.training.weights import baseline_weights

MOST_ROWS, MOST_ROWS_A_LABEL = 3_000, 500
"""The head's probe reads at most the larger of these: more would only delay the first step."""


def start_rows(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the train rows that the head's probe is fitted on, sorted; of very many a part, every label in its share.

    Args:
        labels: `[n]`; where rows may have several, 0 and 1 `[n, n_labels]`.
        seed: Draws them.

    >>> [len(start_rows(np.arange(9_000) % n, seed=0)) for n in (4, 8, 20)]
    [3000, 4000, 9000]
    """
    return np.sort(stratified_order(strata(labels), seed)[: most_start_rows(labels)])


def most_start_rows(labels: np.ndarray) -> int:
    """Return the most rows that the head's probe is fitted on, of train rows with these labels."""
    return max(MOST_ROWS, MOST_ROWS_A_LABEL * len(np.unique(strata(labels))))


def fit_head_probe(
    model: Classifier, train: Labelled, rows: np.ndarray, embeddings: np.ndarray, recipe: Recipe
) -> Probe:
    """Fit the linear probe that the last projection starts from, on what that is given before any step.

    Args:
        model: Fresh, its adapter without effect yet.
        train: The rows that will train.
        rows: Those of them that the probe is fitted on; see `start_rows`.
        embeddings: Their mean of tokens by the frozen encoder, `[len(rows), width]`. With `pooling: first` the probe is
            fitted on what the head layers before the last put out, which is made here.
        recipe: With every default resolved.
    """
    features = embeddings
    if recipe.budget.pooling == "first":
        batch_size = recipe.training.per_device_eval_batch_size
        features = head_inputs(model, taken(train.input_ids, rows), batch_size)
    return fit_on_features(features, rows, train.labels, model.last_projection.out_features, recipe)


def fit_on_features(
    features: np.ndarray, rows: np.ndarray, labels: np.ndarray, n_labels: int, recipe: Recipe
) -> Probe:
    """Fit the linear probe that a last projection starts from, each label counting as it will in training.

    Args:
        features: What the last projection is given for ``rows`` before any step, `[len(rows), width]`.
        rows: Those of the train rows that the probe is fitted on.
        labels: Of all rows that will train, `[n]`; where rows may have several, `[n, n_labels]`.
        n_labels: Labels in all.
        recipe: With every default resolved.
    """
    weights = baseline_weights(recipe.training, labels, n_labels)
    if recipe.budget.pooling == "first":
        return fit_probe(features, labels[rows], n_labels, recipe.seed, weights=weights)
    return fit_mean_probe(features, labels[rows], n_labels, recipe.seed, weights)


def as_baseline(probe: Probe, rows: np.ndarray, train: Labelled) -> Probe | None:
    """Return the probe of the head if it is the baselines' own, fitted on means of all train rows; else None."""
    return probe if probe.name == "probe_mean" and len(rows) == len(train.labels) else None


def start_head(model: Classifier, weight: np.ndarray, bias: np.ndarray) -> None:
    """Lay weights `[n_labels, width]` and biases `[n_labels]` into the last projection."""
    with torch.no_grad():
        model.last_projection.weight.copy_(torch.from_numpy(np.asarray(weight, dtype=np.float32)))
        model.last_projection.bias.copy_(torch.from_numpy(np.asarray(bias, dtype=np.float32)))
