"""Recipes read from YAML: found by path or name, laid over those that they extend, and flags laid over them."""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from submillion.errors import ConfigError
from submillion.plain_yaml import read_yaml
from submillion.recipe.check import checked_recipe, nearest
from submillion.recipe.sections import Recipe, field_sections


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in (files("submillion") / "recipes").iterdir()
        if entry.name.endswith(".yaml")
    )


def load_recipe(source: str | Path | Recipe | None = None, **overrides: Any) -> Recipe:
    """Return the recipe that ``source`` names, with ``overrides`` laid over it.

    Args:
        source: A YAML file, the name of a recipe that comes with the package, a `Recipe`, or None: the
            the defaults.
        overrides: Field names of any section, or ``seed``; ``r`` is accepted for ``rank``.

    Raises:
        ConfigError: If a key is unknown or a value is not allowed; every problem in one message.

    >>> load_recipe(learning_rate=2e-4).training.learning_rate
    0.0002
    """
    if not isinstance(source, str | Path | Recipe | None):
        raise ConfigError(
            f"recipe is a {type(source).__name__}: name a file or a recipe, and give fields as arguments of their own"
        )
    where = str(source) if isinstance(source, str | Path) else "arguments"
    tree = source.model_dump() if isinstance(source, Recipe) else {} if source is None else read_tree(source)
    lay_over(tree, overrides)
    return checked_recipe(tree, where, Recipe)


def lay_over(tree: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Lay fields of any section, or ``seed``, over a recipe's nested mappings, in place.

    Raises:
        ConfigError: If there is no such field.
    """
    for name, value in overrides.items():
        section = _section_of("rank" if name == "r" else name)
        if section is None:
            tree["seed"] = value
        else:
            held = tree.setdefault(section, {})
            if isinstance(held, dict):  # anything else is left for the check to name
                held["rank" if name == "r" else name] = value


def read_tree(source: str | Path, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read one YAML recipe and those it extends, as nested mappings, unchecked.

    Args:
        source: A file, or the name of a recipe that comes with the package.
        seen: The recipes that extend this one.

    Raises:
        ConfigError: If there is no such recipe, it is not YAML, or recipes extend each other in a circle.
    """
    path = _locate(source, seen)
    if str(path) in seen:
        raise ConfigError(
            f"{source}: recipes extend each other in a circle ({' -> '.join(seen)}): leave one extends out"
        )
    try:
        tree = read_yaml(path)
    except ValueError as error:
        raise ConfigError(f"{source}: not readable as YAML of sections and keys: {error}") from None
    except OSError as error:
        raise ConfigError(
            f"{source}: cannot be read ({error.strerror}): check its name and who may read it"
        ) from None
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{source}: a recipe is a mapping of sections, not a {type(tree).__name__}: write sections such as `training:`, keys below them"
        )
    # A section with nothing under it, such as one whose keys are all commented out, is None in YAML.
    tree = {key: {} if value is None and key in Recipe.SECTIONS else value for key, value in tree.items()}
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    if not isinstance(parent, str):
        raise ConfigError(f"{source}: extends={parent!r} must be one recipe: a name or a file")
    # os.path, for a name that is too long is no file to it, and an error to pathlib.
    beside = [at for name in (parent, f"{parent}.yaml") if os.path.isfile(at := path.parent / name)]
    return _laid_over(read_tree(beside[0] if beside else parent, (*seen, str(path))), tree)


def _locate(source: str | Path, seen: tuple[str, ...]) -> Path:
    """Return the file of a recipe given by path or by name, perhaps as what another one extends."""
    path = Path(source)
    if os.path.isfile(path):
        return path
    shipped = Path(str(files("submillion") / "recipes" / f"{source}.yaml"))
    if path.name == str(source) and os.path.isfile(shipped):
        return shipped
    place = f"{seen[-1]}: extends" if seen else "recipe"
    raise ConfigError(
        f"{place}={str(source)[:200]!r} is neither a file nor one of the recipes that come with the package: "
        f"{', '.join(recipe_names())}"
    )


def _laid_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        merged[key] = _laid_over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _section_of(name: str) -> str | None:
    """Return the section that holds a field, None for the seed."""
    if name == "seed":
        return None
    for section in Recipe.SECTIONS:
        if name in Recipe.model_fields[section].default.__class__.model_fields:
            return section
    raise ConfigError(f"there is no recipe field {name!r}{nearest(name, field_sections())}")
