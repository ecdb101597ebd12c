"""From a wish such as ``qv``, ``q,dense`` or ``last:4`` to PEFT's patterns and the modules they hit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from submillion.budget.families import Family
from submillion.errors import ConfigError

NAMED_SETS = ("q", "qv", "qkv", "attention", "all-linear")

DEFAULT = "default"
"""The named set that is the family's own `default_targets`."""

Layers = str | tuple[int, ...]
"""Blocks that are adapted: "all", or their numbers from 0."""


def parse_targets(wish: str | Sequence[str], family: Family) -> tuple[str, ...]:
    """Return the PEFT suffix patterns of a wish, each once.

    Args:
        wish: A named set (`default` among them), letters of ``q k v o``, or patterns; several as a list or with commas.
        family: Row of the family table.

    Raises:
        ConfigError: If nothing is named, or a part of a projection that the family holds fused.

    >>> from submillion.budget.families import FAMILIES
    >>> parse_targets("qv", FAMILIES["bert"])
    ('query', 'value')
    >>> parse_targets("q,dense", FAMILIES["roberta"])
    ('query', 'dense')
    >>> parse_targets(["qvk"], FAMILIES["roberta"])
    ('query', 'value', 'key')
    >>> parse_targets("default", FAMILIES["distilbert"])
    ('q_lin', 'out_lin', 'lin1', 'lin2')
    """
    items = [wish] if isinstance(wish, str) else list(wish)
    names = [name.strip() for item in items for name in item.split(",") if name.strip()]
    if not names:
        raise ConfigError(
            f"target_modules={wish!r} names nothing: give one of {', '.join(NAMED_SETS)}, or name patterns such as "
            "'query,dense'."
        )
    letters, sets = family.letters(), family.named_sets() | {DEFAULT: family.default_targets()}
    patterns: dict[str, None] = {}
    for name in names:
        if name in sets:
            patterns |= dict.fromkeys(sets[name])
        elif family.fused and set(name) <= set("qkvo") and not set(name) <= set(letters):
            raise ConfigError(
                f"target_modules={name!r}: the family {family.model_type} holds query, key and value in one layer, "
                f"{family.fused}: give one of {', '.join(sets)}, or patterns."
            )
        elif set(name) <= set(letters):
            patterns |= dict.fromkeys(letters[letter] for letter in name)
        else:
            patterns[name] = None
    return tuple(patterns)


def parse_layers(wish: str | Sequence[int], n_layers: int) -> Layers:
    """Return the numbers of the adapted blocks, in order, or "all".

    Args:
        wish: "all", "last:K", numbers with commas, or a sequence of numbers; from 0, below ``n_layers``.
        n_layers: Number of blocks.

    Raises:
        ConfigError: If a number is out of range, or the wish is of no such form.

    >>> parse_layers("last:2", 12)
    (10, 11)
    >>> parse_layers([5, 0], 12)
    (0, 5)
    >>> parse_layers("last:12", 12)
    'all'
    """
    if wish == "all":
        return "all"
    numbers = _layer_numbers(wish, n_layers)
    if not numbers or not set(numbers) <= set(range(n_layers)):
        raise ConfigError(
            f"layers={wish!r} does not name blocks of this encoder: it has {n_layers}, numbered 0 to {n_layers - 1}. "
            f"Give 'all', 'last:K' with K from 1 to {n_layers}, or numbers such as '0,1'."
        )
    chosen = tuple(sorted(set(numbers)))
    return "all" if len(chosen) == n_layers else chosen


def _layer_numbers(wish: str | Sequence[int], n_layers: int) -> list[int]:
    """Return the numbers that ``wish`` names, unchecked; none when it is of no known form."""
    if not isinstance(wish, str):
        return list(wish)
    if last := re.fullmatch(r"last:(\d+)", wish):
        count = int(last[1])
        return list(range(n_layers - count, n_layers))
    if re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", wish):
        return [int(number) for number in wish.split(",")]
    return []


def is_hit(name: str, pattern: str, layers: Layers, layers_pattern: str) -> bool:
    """Return whether PEFT 0.21.2 adapts the module ``name`` for ``pattern``.

    A whole name is hit whatever ``layers`` says, as in ``peft.tuners.tuners_utils.check_target_module_exists``.

    >>> is_hit("encoder.layer.3.attention.self.query", "query", "all", "layer")
    True
    >>> is_hit("encoder.layer.3.attention.self.query", "query", (0, 1), "layer")
    False
    >>> is_hit("encoder.layer.3.attention.self.query", "self.quer", "all", "layer")
    False
    """
    if name == pattern:
        return True
    if not name.endswith(f".{pattern}"):
        return False
    return layers == "all" or in_layers(name, layers, layers_pattern)


def in_layers(name: str, layers: Layers, layers_pattern: str) -> bool:
    """Return whether a module stands in one of some blocks.

    >>> in_layers("encoder.layer.3.output.LayerNorm", (0, 3), "layer")
    True
    """
    block = re.match(rf"(?:^|.*?\.){layers_pattern}\.(\d+)\.", name)
    return block is not None and int(block[1]) in layers


@dataclass(frozen=True)
class Hits:
    """What target patterns hit in one model.

    Attributes:
        by_pattern: Pattern -> names of the linear modules that it adapts.
        adapted: All of them and their ``(d_out, d_in)``, each once, in the model's order.
        in_head: Head layers that a pattern also matches and PEFT leaves out: pattern -> names.
    """

    by_pattern: Mapping[str, tuple[str, ...]]
    adapted: Mapping[str, tuple[int, int]]
    in_head: Mapping[str, tuple[str, ...]]


def find_hits(
    patterns: Sequence[str],
    modules: Mapping[str, tuple[int, int] | None],
    *,
    left_out: Sequence[str],
    layers: Layers,
    family: Family,
    model: str,
) -> Hits:
    """Return what ``patterns`` hit.

    Args:
        patterns: PEFT suffix patterns.
        modules: Every module of the model; ``(d_out, d_in)`` of a linear layer, None of any other.
        left_out: Modules, by suffix, in which nothing is adapted: what is saved whole, or does no work.
        layers: Blocks that are adapted.
        family: Row of the family table.
        model: Its name, for the messages.

    Raises:
        ConfigError: If patterns hit nothing that can be adapted; all such patterns at once.
    """
    kept: dict[str, tuple[str, ...]] = {}
    in_head: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for pattern in patterns:
        hit = [name for name in modules if is_hit(name, pattern, layers, family.layers_pattern)]
        outside = tuple(name for name in hit if is_inside(name, left_out))
        kept[pattern] = tuple(name for name in hit if name not in outside)
        if linear_outside := tuple(name for name in outside if modules[name] is not None):
            in_head[pattern] = linear_outside
        other = [name for name in kept[pattern] if modules[name] is None]
        if other:
            problems.append(
                f"{pattern!r} matches modules that are not linear layers ({other[0]} is one of {len(other)})"
            )
        elif not kept[pattern] and outside:
            problems.append(
                f"{pattern!r} matches only {', '.join(outside)}, of the head, which takes no adapter"
            )
        elif not kept[pattern]:
            problems.append(f"{pattern!r} matches no module")
    if problems:
        linear = [
            name for name, shape in modules.items() if shape is not None and not is_inside(name, left_out)
        ]
        raise ConfigError(
            f"target_modules of {model} ({family.model_type}): {'; '.join(problems)}. Its linear layers end in "
            f"{', '.join(_suffixes(linear, family))}. Give those, or a named set: {', '.join(family.named_sets())}."
        )
    found = {name for names in kept.values() for name in names}
    adapted = {name: shape for name, shape in modules.items() if shape is not None and name in found}
    return Hits(kept, adapted, in_head)


def is_inside(name: str, suffixes: Sequence[str]) -> bool:
    """Return whether ``name`` is a module of ``suffixes`` or lies inside one."""
    return any(re.match(rf"(^|.*\.){re.escape(suffix)}($|\..*)", name) for suffix in suffixes)


def _suffixes(names: Sequence[str], family: Family) -> list[str]:
    """Return how the linear layers are named inside a block, and the whole names of those outside, sorted."""
    inside = re.compile(rf"(?:^|.*?\.){re.escape(family.blocks)}\.\d+\.(.*)")
    return sorted({found[1] if (found := inside.fullmatch(name)) else name for name in names})
