"""Weights of labels: whose they are, and a loss that is torch's own."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import CrossEntropyLoss

from submillion.errors import ConfigError
from submillion.recipe import load_recipe
from submillion.training.weights import (
    WeightedLoss,
    balanced_weights,
    baseline_weights,
    named_weights,
    said_of_weights,
    weights_of,
)

LABELS = np.array([0] * 12 + [1] * 3 + [3] * 5)


def training(**fields):
    return load_recipe(**fields).training


def test_balanced_is_scikit_learns():
    ours = balanced_weights(LABELS, 4)
    theirs = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=LABELS)
    assert ours[[0, 1, 3]] == pytest.approx(theirs)
    assert ours[2] == 1


def test_which_weights_a_recipe_asks_for():
    assert weights_of(training(), LABELS, 4) is None
    assert baseline_weights(training(), LABELS, 4) is None
    assert weights_of(training(balanced_sampling=True), LABELS, 4) is None
    balanced = balanced_weights(LABELS, 4).tolist()
    assert baseline_weights(training(balanced_sampling=True), LABELS, 4).tolist() == balanced
    assert weights_of(training(class_weights="balanced"), LABELS, 4).tolist() == balanced
    named = named_weights({"b": 2.0, "7": 3.0}, ["a", "b", "c"], [5, 6, 7])
    assert list(named.items()) == [("a", 1.0), ("b", 2.0), ("c", 3.0)]
    assert weights_of(training(class_weights=named), LABELS, 3).tolist() == [1, 2, 3]


def test_an_unknown_label_is_named():
    with pytest.raises(ConfigError) as caught:
        named_weights({"ham": 1.0, "spam": 2.0}, ["ham", "eggs"], ["ham", "eggs"])
    assert str(caught.value) == "class_weights has no label 'spam': the train rows have 'ham', 'eggs'"


def test_what_is_said():
    assert said_of_weights(training()) == []
    assert len(said_of_weights(training(class_weights="balanced"))) == 2
    (sentence,) = said_of_weights(training(balanced_sampling=True, metric_for_best_model="macro_f1"))
    assert sentence.startswith("balanced_sampling: ")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_parts_of_a_batch_sum_to_torchs_loss_and_gradient(smoothing, parts):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(LABELS), 4, generator=generator, requires_grad=True)
    labels, weights = torch.from_numpy(LABELS), balanced_weights(LABELS, 4)
    whole = CrossEntropyLoss(torch.from_numpy(weights), label_smoothing=smoothing)(logits, labels)
    (wanted,) = torch.autograd.grad(whole, logits)
    loss = WeightedLoss(weights, smoothing)
    pieces = zip(logits.tensor_split(parts), labels.tensor_split(parts), strict=True)
    summed = sum(loss({"logits": part}, mine, loss.total(labels)) for part, mine in pieces)
    (got,) = torch.autograd.grad(summed, logits)
    assert summed.item() == pytest.approx(whole.item(), rel=1e-6)
    torch.testing.assert_close(got, wanted)
    assert loss({"logits": logits}, labels).item() == pytest.approx(whole.item(), rel=1e-6)
