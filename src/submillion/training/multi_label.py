"""Several labels a row: the loss, the figures that choose an epoch, and what a recipe may not ask."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from submillion.alternatives import TOGETHER
from submillion.baselines import Baselines
from submillion.errors import ConfigError
from submillion.multi_label import (
    DEFAULT_THRESHOLD,
    MULTI_LABEL,
    SINGLE_LABEL,
    decide,
    fit_threshold,
    is_exact,
    macro_f1_of_sets,
    micro_f1,
)
from submillion.recipe import CHOOSE, Recipe
from submillion.scoring import Scores


class MultiLabelLoss:
    """Binary cross-entropy over rows and labels, as torch's ``BCEWithLogitsLoss``, by which transformers trains.

    Over the micro-batches of one step it sums to that of the whole batch.
    """

    def total(self, labels: torch.Tensor) -> torch.Tensor:
        """Return how many decisions labels `[n, n_labels]` are, a scalar float32."""
        return torch.tensor(float(labels.numel()), device=labels.device)

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | float | None = None
    ) -> torch.Tensor:
        """Return the loss of a micro-batch, a scalar.

        Args:
            outputs: Hold logits `[n, n_labels]`.
            labels: 0 and 1, float32 `[n, n_labels]`.
            num_items_in_batch: What `total` gives for all rows of the step; None: for these.
        """
        logits = outputs["logits"].float()
        summed = binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="sum")
        return summed / (self.total(labels) if num_items_in_batch is None else num_items_in_batch)


def multi_label_figures(labels: np.ndarray) -> Callable[[Scores], dict[str, float]]:
    """Return the function that turns validation scores into the figures that choose an epoch.

    They are those at the threshold that suits these scores best, as the run will have it: early epochs of rare labels give
    no sigmoid above one half.

    Args:
        labels: Of the validation rows, 0 and 1 `[n, n_labels]`.
    """

    def figures(scores: Scores) -> dict[str, float]:
        decisions = decide(scores.logits, fit_threshold(scores.logits, labels))
        loss = binary_cross_entropy_with_logits(
            torch.from_numpy(scores.logits.astype(np.float64)), torch.from_numpy(labels.astype(np.float64))
        )
        return {
            "eval_loss": float(loss),
            "eval_accuracy": float(is_exact(labels, decisions).mean()),
            "eval_macro_f1": macro_f1_of_sets(labels, decisions),
            "eval_micro_f1": micro_f1(labels, decisions),
        }

    return figures


def default_thresholds(baselines: Baselines) -> dict[str, float]:
    """Return the thresholds of adapter and baselines where no validation row fits them."""
    return dict.fromkeys(("adapter", *baselines.members), DEFAULT_THRESHOLD)


def fit_thresholds(scores: Mapping[str, np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """Return the threshold of each name's scores `[n, n_labels]`, by `fit_threshold` on the same rows."""
    return {name: fit_threshold(values, labels) for name, values in scores.items()}


def resolved_for(recipe: Recipe, is_multi_label: bool) -> Recipe:
    """Return a recipe with its problem type, and what picks the epoch, filled in."""
    data = recipe.data.model_copy(update={"problem_type": MULTI_LABEL if is_multi_label else SINGLE_LABEL})
    metric = recipe.training.metric_for_best_model or ("micro_f1" if is_multi_label else "accuracy")
    training = recipe.training.model_copy(update={"metric_for_best_model": metric})
    return recipe.model_copy(update={"data": data, "training": training})


def check_multi_label(recipe: Recipe, is_multi_label: bool, has_unlabelled: bool, for_many: bool) -> None:
    """Refuse what is made for one label a row where rows may have several, and the other way round.

    Args:
        recipe: What is asked.
        is_multi_label: What the rows are.
        has_unlabelled: Whether there are texts for self-training.
        for_many: Whether a search asks.

    Raises:
        ConfigError: Every problem in one message.
    """
    training = recipe.training
    if not is_multi_label:
        if training.metric_for_best_model == "micro_f1":
            raise ConfigError(
                "metric_for_best_model=micro_f1 is for several labels a row; where a row has one, give accuracy"
            )
        return
    asked = {
        "search": for_many,
        f"cv={recipe.evaluation.cv}": recipe.evaluation.cv is not None,
        f"answer_by={TOGETHER}": recipe.evaluation.answer_by == TOGETHER,
        "self-training on unlabelled texts": has_unlabelled,
        f"adapter_scale={CHOOSE}": training.adapter_scale == CHOOSE,
        "class_weights": training.class_weights is not None,
        "balanced_sampling": training.balanced_sampling,
        "label_smoothing_factor": training.label_smoothing_factor > 0,
        "metric_for_best_model=shifted_accuracy": training.metric_for_best_model == "shifted_accuracy",
    }
    if refused := [name for name, is_asked in asked.items() if is_asked]:
        raise ConfigError(
            f"{', '.join(refused)}: only for one label a row, and these rows may have several "
            "(problem_type=multi_label_classification): leave it out"
        )
