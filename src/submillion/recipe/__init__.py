"""Recipes: all that a training is asked to do, one frozen model a stage, read from YAML.

The command's flags are made from these fields, so that help text is written once. Precedence: default <
recipe < flag. A recipe may extend another (`extends: NAME`); names without a path are looked up among the
recipes that come with the package (`submillion/recipes/*.yaml`).
"""

from submillion.recipe.check import SEARCH_SECTIONS, checked_recipe
from submillion.recipe.read import lay_over, load_recipe, read_tree, recipe_names
from submillion.recipe.sections import (
    BALANCED,
    CHOOSE,
    DEFAULT_MODEL,
    SOURCE_FIELDS,
    BudgetConfig,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    Recipe,
    Section,
    TrainingConfig,
    default_epochs,
    field_sections,
)

__all__ = [
    "BALANCED",
    "CHOOSE",
    "DEFAULT_MODEL",
    "SEARCH_SECTIONS",
    "SOURCE_FIELDS",
    "BudgetConfig",
    "DataConfig",
    "EvaluationConfig",
    "ModelConfig",
    "Recipe",
    "Section",
    "TrainingConfig",
    "checked_recipe",
    "default_epochs",
    "field_sections",
    "lay_over",
    "load_recipe",
    "read_tree",
    "recipe_names",
]
