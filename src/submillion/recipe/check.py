"""Nested mappings checked against a recipe's sections; what is wrong is said in one sentence each."""

import difflib
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from submillion.errors import ConfigError
from submillion.recipe.sections import Recipe, Section, field_sections

SEARCH_SECTIONS = ("space", "search", "stages", "final", "table")
"""The sections that a search's recipe has besides; see `submillion.study.recipe`."""

Kind = TypeVar("Kind", bound=Recipe)

_MEANT = dict.fromkeys(("epoch", "epochs", "n_epochs", "num_epochs"), "num_train_epochs")
"""Names that other tools have for a key, where letters alone would find another one nearer."""


def nearest(name: str, known: Any) -> str:
    """Return the end of a message about an unknown ``name``: the known one that was meant, else all of them."""
    meant = _MEANT.get(name, "")
    near = [meant] if meant in known else difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if not near and (holding := [k for k in known if name and name in k]):
        near = holding[:1]
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def checked_recipe(tree: Mapping[str, Any], where: str, kind: type[Kind]) -> Kind:
    """Return nested mappings as a recipe.

    Args:
        tree: Section -> key -> value.
        where: What messages call the source.
        kind: The model: `Recipe`, or one with more sections.

    Raises:
        ConfigError: If a key is unknown or a value not allowed; every problem in one message.
    """
    if not isinstance(tree, Mapping):
        raise ConfigError(
            f"{where}: a recipe is a mapping of sections, not a {type(tree).__name__}: write sections such as `training:`, keys below them"
        )
    try:
        return kind.model_validate(_lists_to_tuples(tree))
    except ValidationError as error:
        problems = [_sentence(problem, tree, where, kind) for problem in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(problems))) from None


def _lists_to_tuples(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _lists_to_tuples(value) for key, value in tree.items()}
    return tuple(tree) if isinstance(tree, list) else tree


_SHOULD_BE = {
    "tuple_type": "a list",
    "string_type": "text",
    "label_columns": "at least two columns, one a label",
    "model_type": "a mapping of keys",
    "layers": "all, last:K or a list of block numbers",
    "target_modules": "text or a list of texts",
    "rank": "a whole number of at least 1, or allocate",
    "max_rank": "a whole number of at least 1, or usual",
    "adapter_scale": "choose, or a number above 0 and at most 1",
    "class_weights": "balanced, or a mapping of labels to weights above 0",
    "candidates": "grid, or a whole number of at least 1",
}
"""What is allowed, in the words of YAML; of a field that may be one of several kinds, by its name."""


def _sentence(problem: Any, tree: Mapping[str, Any], where: str, kind: type[Recipe]) -> str:
    """Turn one of pydantic's problems with ``tree`` into the house's form of error."""
    holder, section, key = _place(kind, problem["loc"])
    if problem["type"] == "extra_forbidden":
        if section:
            return f"{where}: {section}has no key {key!r}{nearest(key, list(holder.model_fields))}"
        held = field_sections().get(key)
        hint = (
            f"; it belongs in [{held}]"
            if held
            else "; it belongs to a search: submillion search --recipe"
            if key in SEARCH_SECTIONS
            else nearest(key, list(kind.model_fields))
        )
        return f"{where}: a recipe has no section {key!r}{hint}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    value = problem["input"]
    if section and key in _SHOULD_BE:  # one line, where pydantic has one for each kind
        value, message = tree[str(problem["loc"][0])][key], f"input should be {_SHOULD_BE[key]}"
    elif problem["type"] in _SHOULD_BE:
        message = f"input should be {_SHOULD_BE[problem['type']]}"
    shown = repr(list(value) if isinstance(value, tuple) else value)
    return f"{where}: {section}{key}={shown if len(shown) <= 200 else shown[:197] + '...'}: {message}"


def _place(kind: type[BaseModel], location: Sequence[int | str]) -> tuple[type[BaseModel], str, str]:
    """Return the model that holds a problem's key, what messages call that section, and the key."""
    annotation = kind.model_fields[str(location[0])].annotation if location[0] in kind.model_fields else None
    parts = [str(part) for part in location[1:] if not isinstance(part, int)]
    if parts and typing.get_origin(annotation) is tuple:
        annotation = typing.get_args(annotation)[0]
    if parts and isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, f"[{location[0]}] ", parts[0]
    return kind, "", str(location[0])
