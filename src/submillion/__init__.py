"""Fine-tune a text classifier inside a hard budget of trainable parameters, and know how far to trust it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from submillion.api import compare, evaluate, export, load, plan, predict, search, train
    from submillion.errors import BudgetError, ConfigError, DataError, RunError, SubmillionError
    from submillion.estimator import TextClassifier
    from submillion.recipe import Recipe, load_recipe

__version__ = "0.1.0"

__all__ = [
    "BudgetError",
    "ConfigError",
    "DataError",
    "Recipe",
    "RunError",
    "SubmillionError",
    "TextClassifier",
    "compare",
    "evaluate",
    "export",
    "load",
    "load_recipe",
    "plan",
    "predict",
    "search",
    "train",
]

_HOMES = {
    "TextClassifier": "estimator",
    "Recipe": "recipe",
    "load_recipe": "recipe",
    **dict.fromkeys(("BudgetError", "ConfigError", "DataError", "RunError", "SubmillionError"), "errors"),
    **dict.fromkeys(("compare", "evaluate", "export", "load", "plan", "predict", "search", "train"), "api"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing transformers takes seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'submillion' has no attribute {name!r}")
    return getattr(import_module(f"submillion.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
