"""Where training starts from: the head from a linear probe (Kumar et al. 2022, arXiv:2202.10054, LP-FT)."""

import numpy as np
import torch

from submillion.baselines import Baselines, fit_probe
from submillion.model.build import Classifier
from submillion.recipe import Recipe
from submillion.scoring import head_inputs
from submillion.training.fit import Labelled
from submillion.training.weights import baseline_weights


def start_from_probe(model: Classifier, train: Labelled, baselines: Baselines, recipe: Recipe) -> None:
    """Start the last projection from a linear probe on what it is given before any step.

    With `pooling: mean` that is the baselines' own probe; with `pooling: first` one is fitted on what the head
    layers before the last put out.

    Args:
        model: Fresh, its adapter without effect yet.
        train: The rows that will train.
        baselines: Fitted on the same rows.
        recipe: With every default resolved.
    """
    if recipe.budget.pooling == "mean":
        weight, bias = baselines["probe_mean"].head_weights()
    else:
        features = head_inputs(model, train.input_ids, recipe.training.per_device_eval_batch_size)
        n_labels = model.last_projection.out_features
        weights = baseline_weights(recipe.training, train.labels, n_labels)
        weight, bias = fit_probe(
            features, train.labels, n_labels, recipe.seed, weights=weights
        ).head_weights()
    start_head(model, weight, bias)


def start_head(model: Classifier, weight: np.ndarray, bias: np.ndarray) -> None:
    """Lay weights `[n_labels, width]` and biases `[n_labels]` into the last projection."""
    with torch.no_grad():
        model.last_projection.weight.copy_(torch.from_numpy(np.asarray(weight, dtype=np.float32)))
        model.last_projection.bias.copy_(torch.from_numpy(np.asarray(bias, dtype=np.float32)))
