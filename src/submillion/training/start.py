"""Where training starts from: the head from a linear probe (Kumar et al. 2022, arXiv:2202.10054, LP-FT)."""

import numpy as np
import torch

from submillion.data.stratified import stratified_order
from submillion.data.windows import taken
from submillion.model.build import Classifier
from submillion.probe import Scaling, fit_probe
from submillion.recipe import Recipe
from submillion.scoring import head_inputs
from submillion.training.fit import Labelled
from submillion.training.weights import baseline_weights

MOST_ROWS, MOST_ROWS_A_LABEL = 3_000, 500
"""The head's probe reads at most the larger of these: more would only delay the first step."""


def start_rows(labels: np.ndarray, n_labels: int, seed: int) -> np.ndarray:
    """Return the train rows that the head's probe is fitted on, sorted; of very many a part, every label in its share.

    Args:
        labels: `[n]`; where rows may have several, 0 and 1 `[n, n_labels]`, and every row is taken.
        n_labels: Labels in all.
        seed: Draws them.

    >>> [len(start_rows(np.arange(9_000) % n, n, seed=0)) for n in (4, 8, 20)]
    [3000, 4000, 9000]
    """
    most = max(MOST_ROWS, MOST_ROWS_A_LABEL * n_labels)
    if labels.ndim == 2 or len(labels) <= most:
        return np.arange(len(labels))
    return np.sort(stratified_order(labels, seed)[:most])


def start_from_probe(
    model: Classifier, train: Labelled, rows: np.ndarray, embeddings: np.ndarray, recipe: Recipe
) -> None:
    """Start the last projection from a linear probe on what it is given before any step.

    Args:
        model: Fresh, its adapter without effect yet.
        train: The rows that will train.
        rows: Those of them that the probe is fitted on; see `start_rows`.
        embeddings: Their mean of tokens by the frozen encoder, `[len(rows), width]`. With `pooling: first` the probe is
            fitted on what the head layers before the last put out, which is made here.
        recipe: With every default resolved.
    """
    features: np.ndarray = embeddings
    scaling: Scaling = "unit"
    if recipe.budget.pooling == "first":
        batch_size = recipe.training.per_device_eval_batch_size
        features, scaling = head_inputs(model, taken(train.input_ids, rows), batch_size), "standard"
    n_labels = model.last_projection.out_features
    weights = baseline_weights(recipe.training, train.labels, n_labels)
    probe = fit_probe(features, train.labels[rows], n_labels, recipe.seed, scaling, weights=weights)
    start_head(model, *probe.head_weights())


def start_head(model: Classifier, weight: np.ndarray, bias: np.ndarray) -> None:
    """Lay weights `[n_labels, width]` and biases `[n_labels]` into the last projection."""
    with torch.no_grad():
        model.last_projection.weight.copy_(torch.from_numpy(np.asarray(weight, dtype=np.float32)))
        model.last_projection.bias.copy_(torch.from_numpy(np.asarray(bias, dtype=np.float32)))
