"""Uneven classes: how much each label counts, and the loss that counts so."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from submillion.errors import ConfigError
from submillion.recipe import TrainingConfig


def balanced_weights(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """Return weights by which every label that has rows counts alike, `[n_labels]` float32; 1 for one without.

    As scikit-learn's ``class_weight="balanced"``: rows / (labels that have rows * rows of the label).

    >>> balanced_weights(np.array([0, 0, 0, 2]), 3).round(2).tolist()
    [0.6700000166893005, 1.0, 2.0]
    """
    counts = np.bincount(labels, minlength=n_labels)
    even = len(labels) / max(1, int(np.count_nonzero(counts)))
    return np.where(counts > 0, even / np.maximum(counts, 1), 1.0).astype(np.float32)


def weights_of(training: TrainingConfig, labels: np.ndarray, n_labels: int) -> np.ndarray | None:
    """Return how much each label counts in the loss, `[n_labels]` float32; None: all alike.

    Args:
        training: Its ``class_weights`` resolved by `named_weights`.
        labels: Of the rows that train, `[n]`.
        n_labels: Labels in all.
    """
    if training.class_weights is None:
        return None
    if isinstance(training.class_weights, str):  # balanced
        return balanced_weights(labels, n_labels)
    return np.array(list(training.class_weights.values()), dtype=np.float32)


def baseline_weights(training: TrainingConfig, labels: np.ndarray, n_labels: int) -> np.ndarray | None:
    """Return the weights that the baselines are fitted with: the loss's, or those that balanced sampling comes to."""
    if training.balanced_sampling:
        return balanced_weights(labels, n_labels)
    return weights_of(training, labels, n_labels)


def named_weights(
    weights: str | Mapping[str, float] | None, names: Sequence[str], values: Sequence[str | int]
) -> str | dict[str, float] | None:
    """Return the weight of every label, in the order of the labels, where some are given by hand.

    Args:
        weights: ``balanced``, None, or label -> weight; a label may be called by its name or its value.
        names: The labels' names.
        values: What the data hold for each.

    Raises:
        ConfigError: If a label is not known.

    >>> named_weights({"1": 5.0}, ["no", "yes"], [0, 1])
    {'no': 1.0, 'yes': 5.0}
    """
    if weights is None or isinstance(weights, str):
        return weights
    place = {str(value): index for index, value in enumerate(values)}
    place |= {name: index for index, name in enumerate(names)}
    if unknown := [label for label in weights if label not in place]:
        raise ConfigError(
            f"class_weights has no label {', '.join(map(repr, unknown[:5]))}: the train rows have "
            f"{', '.join(map(repr, list(names)[:20]))}{', ...' if len(names) > 20 else ''}"
        )
    every = [1.0] * len(names)
    for label, weight in weights.items():
        every[place[label]] = weight
    return dict(zip(names, every, strict=True))


def said_of_weights(training: TrainingConfig) -> list[str]:
    """Return what to say before a training in which not every row counts alike."""
    if training.class_weights is None and not training.balanced_sampling:
        return []
    how = "class_weights" if training.class_weights is not None else "balanced_sampling"
    sentences = [
        f"{how}: the loss and the baselines count labels otherwise than the train rows have them; probabilities follow: a "
        "rare label's are higher than its share"
    ]
    if training.metric_for_best_model in (None, "accuracy"):
        sentences.append(
            f"{how}: the epoch is still chosen by accuracy, in which rare labels count little; macro_f1 counts all alike"
        )
    return sentences


class WeightedLoss:
    """Cross-entropy in which each label counts by its weight, as torch's ``CrossEntropyLoss(weight, label_smoothing)``.

    Over the micro-batches of one step it sums to that of the whole batch: each part is divided by the weights of all its
    labels.

    Args:
        weights: `[n_labels]`, above 0.
        label_smoothing: Share of the target spread over all labels.
    """

    def __init__(self, weights: np.ndarray, label_smoothing: float):
        self.weights = torch.from_numpy(np.asarray(weights, dtype=np.float32))
        self._on: dict[torch.device, torch.Tensor] = {}
        self.label_smoothing = label_smoothing

    def total(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum of the weights of labels, a scalar float32."""
        return self._weights_on(labels.device)[labels].sum()

    def _weights_on(self, device: torch.device) -> torch.Tensor:
        """Return the weights on a device; copied there once, for a copy waits for the device."""
        if device not in self._on:
            self._on[device] = self.weights.to(device)
        return self._on[device]

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | float | None = None
    ) -> torch.Tensor:
        """Return the loss of a micro-batch, a scalar.

        Args:
            outputs: Hold logits `[n, n_labels]`.
            labels: `[n]`.
            num_items_in_batch: What `total` gives for all rows of the step; None: for these.
        """
        logits = outputs["logits"].float()
        summed = cross_entropy(
            logits,
            labels,
            self._weights_on(logits.device),
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        return summed / (self.total(labels) if num_items_in_batch is None else num_items_in_batch)
