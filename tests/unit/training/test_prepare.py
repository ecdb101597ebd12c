"""What a recipe leaves open, filled in from the rows and the plan."""

import io

import pytest
from rich.console import Console

from conftest import learnable_rows
from submillion.recipe import load_recipe
from submillion.training.prepare import Sources, prepare

QUIET = Console(file=io.StringIO())


def prepared(tiny_encoder, n_rows, **fields):
    recipe = load_recipe(model=tiny_encoder("bert"), **{"rank": 1, "min_rows_to_split": 10**9, **fields})
    return prepare(recipe, Sources(learnable_rows(n_rows)), QUIET), recipe


@pytest.mark.parametrize(
    ("n_rows", "fields", "epochs", "rate"),
    [
        (400, {}, 12, 1e-3),
        (1_999, {}, 6, 1e-3),
        (2_000, {}, 6, 2e-3),
        (2_000, {"method": "rslora"}, 6, 1e-3),
        (2_000, {"rank": 9}, 6, 1e-3),
        (2_000, {"learning_rate": 3e-4, "num_train_epochs": 1.5}, 1.5, 3e-4),
    ],
)
def test_epochs_and_learning_rate_follow_the_rows(tiny_encoder, n_rows, fields, epochs, rate):
    training = prepared(tiny_encoder, n_rows, **fields)[0].recipe.training
    assert (training.num_train_epochs, training.learning_rate) == (epochs, rate)


def test_a_short_training_has_the_learning_rate_of_all_rows(tiny_encoder):
    whole, recipe = prepared(tiny_encoder, 2_000)
    short = whole.replanned(recipe, whole.plan, 100).recipe.training
    assert (short.num_train_epochs, short.learning_rate) == (12, 2e-3)
