"""One plan worked out: names, shapes and counts of everything that trains."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from submillion.budget.candidate import Plan
from submillion.budget.cautions import warn
from submillion.budget.checkpoint import TABLE
from submillion.budget.count import count_adapter, explain_excess, largest_rank, size, solve_rank
from submillion.budget.encoder import Encoder
from submillion.budget.families import Family
from submillion.budget.methods import METHODS, Shape
from submillion.budget.targets import Hits, Layers, find_hits, find_norms
from submillion.errors import BudgetError, ConfigError

MEAN_HEAD = "head"
"""Attribute of the built model that holds the linear layer of mean pooling."""

WRAPPED = "encoder.base_model.model."
"""Where the built model holds the modules of the stock model: its ``encoder`` is a ``PeftModel``."""


@dataclass(frozen=True)
class Choice:
    """A wish in which nothing is open but the rank; see `make_plans` for the fields."""

    budget: int
    method: str
    target_modules: tuple[str, ...]
    rank: int | None
    max_rank: int | None
    lora_alpha: float | None
    lora_dropout: float
    head: str
    pooling: str
    layers: Layers


def draft(encoder: Encoder, choice: Choice) -> Plan:
    """Return the plan of ``choice``, with the largest rank that fits where it names none.

    A plan beyond the budget is returned too (at rank 1 where no rank was named): ``within_budget`` is False and
    its first warning says why.

    Raises:
        ConfigError: If a pattern hits nothing, or the rank is above the smallest dimension of the targets.
    """
    family = encoder.family
    is_mean = choice.pooling == "mean"
    saved = () if is_mean else family.modules_to_save
    excluded = family.idle_when_bare if is_mean else ()
    skeleton = encoder.bare if is_mean else encoder.classifier
    if METHODS[choice.method].adapts_norms:
        hits = find_norms(skeleton.parameters, choice.layers, family)
        if choice.target_modules not in (family.default_targets(), tuple(hits.by_pattern)):
            raise ConfigError(
                f"target_modules={','.join(choice.target_modules)!r}: the method {choice.method} adapts the layer norms of the "
                "blocks and nothing else: leave target_modules out."
            )
    else:
        hits = find_hits(
            choice.target_modules,
            skeleton.modules,
            left_out=(*saved, *excluded),
            layers=choice.layers,
            family=family,
            model=encoder.model,
        )
    head = _head_shapes(encoder, choice)
    rank, reason = _settle_rank(choice, hits, size(head))
    adapter = _adapter_shapes(choice, hits, rank, encoder)
    if not rank and size(adapter) + size(head) > choice.budget:
        reason = (
            f"budget={choice.budget:,} is too small: the head takes {size(head):,} and {choice.method}, which has no rank, "
            f"{size(adapter):,}. Raise the budget, train less of the head, or adapt fewer targets."
        )
    trainable = size(adapter) + size(head)
    copies = (
        size(head) if is_mean else sum(size(skeleton.below(path)) for path in _saved_paths(encoder).values())
    )
    total = size(skeleton.parameters) + size(adapter) + copies
    plan = Plan(
        model=encoder.model,
        model_type=family.model_type,
        n_labels=encoder.n_labels,
        budget=choice.budget,
        method=choice.method,
        target_modules=tuple(hits.by_pattern),
        exclude_modules=excluded,
        rank=rank,
        lora_alpha=2 * rank if choice.lora_alpha is None else choice.lora_alpha,
        lora_dropout=choice.lora_dropout,
        head=choice.head,
        pooling=choice.pooling,
        layers=choice.layers,
        modules_to_save=saved,
        frozen_head=family.head[:-1] if choice.head == "output" else (),  # "output" is refused with "mean"
        random_layers=(MEAN_HEAD,) if is_mean else encoder.random_layers,
        random_layers_source=TABLE if is_mean else encoder.random_layers_source,
        adapter_parameters=size(adapter),
        head_parameters=size(head),
        trainable_parameters=trainable,
        total_parameters=total,
        trainable_percent=round(100 * trainable / total, 4),
        within_budget=trainable <= choice.budget,
        matched_modules=hits.by_pattern,
        warnings=(),
        rank_pattern={},
        trainable_shapes=adapter | head,
    )
    return replace(plan, warnings=(*((reason,) if reason else ()), *warn(plan, hits, encoder)))


def _saved_paths(encoder: Encoder) -> dict[str, str]:
    """Return the family's modules to save: suffix as PEFT takes it -> whole name in the classifier."""
    return {
        suffix: name
        for suffix in encoder.family.modules_to_save
        for name in encoder.classifier.modules
        if name == suffix or name.endswith(f".{suffix}")
    }


def _head_shapes(encoder: Encoder, choice: Choice) -> dict[str, Shape]:
    """Return name in the built model and shape of every parameter of the head that trains."""
    if choice.pooling == "mean":
        return {
            f"{MEAN_HEAD}.weight": (encoder.n_labels, encoder.hidden_size),
            f"{MEAN_HEAD}.bias": (encoder.n_labels,),
        }
    layers = encoder.family.head[-1:] if choice.head == "output" else encoder.family.head
    shapes: dict[str, Shape] = {}
    for layer in layers:
        path = next(path for path in _saved_paths(encoder).values() if f"{layer}.".startswith(f"{path}."))
        for name, shape in encoder.classifier.below(layer).items():
            shapes[f"{WRAPPED}{path}.modules_to_save.default.{name.removeprefix(f'{path}.')}"] = shape
    return shapes


def _adapter_shapes(choice: Choice, hits: Hits, rank: int, encoder: Encoder) -> dict[str, Shape]:
    """Return name in the built model and shape of every parameter of the adapter."""
    method = METHODS[choice.method]
    at_input = modules_scaled_at_input(hits.by_pattern, encoder.family) if method.trained_on_input else ()
    shapes: dict[str, Shape] = {}
    for module, (d_out, d_in) in hits.adapted.items():
        trained = (
            method.trained_on_input if module in at_input and method.trained_on_input else method.trained
        )
        shapes |= {f"{WRAPPED}{module}.{name}": shape for name, shape in trained(rank, d_out, d_in).items()}
    return shapes


def modules_scaled_at_input(matched: Mapping[str, tuple[str, ...]], family: Family) -> tuple[str, ...]:
    """Return the adapted modules that are the feed-forward's second layer, named so by their pattern."""
    last = family.feed_forward[-1]
    return tuple(name for name in matched.get(last, ()) if not name.endswith(f".{family.attention_output}"))


def _settle_rank(choice: Choice, hits: Hits, head: int) -> tuple[int, str | None]:
    """Return the rank, and why it does not fit the budget where it does not.

    Raises:
        ConfigError: If the wished rank is above the smallest dimension of the targets, or the method has none.
    """
    shapes = list(hits.adapted.values())
    if not METHODS[choice.method].has_rank:
        if choice.rank is not None:
            raise ConfigError(f"rank={choice.rank}: the method {choice.method} has no rank: leave it out.")
        return 0, None
    if choice.rank is None:
        try:
            fitting = solve_rank(choice.budget, shapes, head, method=choice.method)
            return min(fitting, choice.max_rank or fitting), None
        except BudgetError as error:
            return 1, str(error)
    if choice.rank > largest_rank(shapes):
        raise ConfigError(
            f"rank={choice.rank} is above {largest_rank(shapes)}, the smallest dimension of the "
            f"{len(shapes)} targets of {', '.join(choice.target_modules)}: give a rank from 1 to {largest_rank(shapes)}."
        )
    if head + count_adapter(choice.rank, shapes, choice.method) <= choice.budget:
        return choice.rank, None
    return choice.rank, explain_excess(choice.budget, choice.rank, shapes, head, method=choice.method)
