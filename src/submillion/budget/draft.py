"""One plan worked out: names, shapes and counts of everything that trains."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from submillion.budget.candidate import Plan
from submillion.budget.cautions import warn
from submillion.budget.checkpoint import TABLE
from submillion.budget.count import (
    count_adapter,
    explain_excess,
    explain_fixed_excess,
    ranks_of,
    size,
    solve_rank,
)
from submillion.budget.encoder import Encoder, Skeleton
from submillion.budget.methods import METHODS, MOVING_BASE, PROMPT
from submillion.budget.on_layer import Shape
from submillion.budget.targets import Hits, Layers, find_hits, in_layers, is_inside
from submillion.errors import BudgetError, ConfigError

MEAN_HEAD = "head"
"""Attribute of the built model that holds the linear layer of mean pooling."""

ENCODER = "encoder."
"""Where the built model holds the ``PeftModel``."""

WRAPPED = "encoder.base_model.model."
"""Where the built model holds the modules of the stock model: its ``encoder`` is a ``PeftModel``."""


@dataclass(frozen=True)
class Choice:
    """A wish in which nothing is open but the rank; see `make_plans` for the fields.

    ``max_rank`` is a number; None: no bound.
    """

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
    init_lora_weights: str | None = None
    num_virtual_tokens: int = 20


@dataclass(frozen=True)
class Places:
    """What a method adapts in one model.

    Attributes:
        hits: The linear layers; none where the method adapts others.
        norms: Layer norms -> their parameters.
        closing: Of the linear layers those that close a feed-forward block.
    """

    hits: Hits
    norms: dict[str, dict[str, Shape]]
    closing: tuple[str, ...]

    def count(self) -> str:
        """Return what and how many they are, for a message."""
        n_hits, n_norms = len(self.hits.adapted), len(self.norms)
        if n_hits:
            return f"{n_hits} target{'s' if n_hits != 1 else ''}"
        return f"{n_norms} layer norms" if n_norms else "the virtual tokens"


def draft(encoder: Encoder, choice: Choice) -> Plan:
    """Return the plan of ``choice``, with the largest rank that fits where it names none.

    A plan beyond the budget is returned too (at rank 1 where no rank was named): ``within_budget`` is False and
    its first warning says why.

    Raises:
        ConfigError: If a pattern hits nothing, or the rank is above the smallest dimension of the targets.
    """
    family, method = encoder.family, METHODS[choice.method]
    is_mean = choice.pooling == "mean"
    saved = () if is_mean else family.modules_to_save
    excluded = family.idle_when_bare if is_mean else ()
    skeleton = encoder.bare if is_mean else encoder.classifier
    places = _places(encoder, choice, skeleton, (*saved, *excluded))
    head = _head_shapes(encoder, choice)
    rank = _settle_rank(choice, places.hits, size(head)) if method.has_rank else None
    adapter = _adapter_shapes(choice, places, rank or 0, encoder.hidden_size)
    trainable = size(adapter) + size(head)
    copies = (
        size(head) if is_mean else sum(size(skeleton.below(path)) for path in _saved_paths(encoder).values())
    )
    frozen = method.frozen * len(places.hits.adapted)
    total = size(skeleton.parameters) + size(adapter) + copies + frozen
    alpha = (
        (2 * (rank or 0) if choice.lora_alpha is None else choice.lora_alpha) if method.has_alpha else None
    )
    plan = Plan(
        model=encoder.model,
        model_type=family.model_type,
        n_labels=encoder.n_labels,
        budget=choice.budget,
        method=choice.method,
        target_modules=choice.target_modules,
        exclude_modules=excluded,
        rank=rank,
        lora_alpha=alpha,
        lora_dropout=choice.lora_dropout if method.has_dropout else 0.0,
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
        matched_modules=places.hits.by_pattern
        or ({"layer norms": tuple(places.norms)} if places.norms else {}),
        warnings=(),
        rank_pattern={},
        init_lora_weights=choice.init_lora_weights,
        num_virtual_tokens=choice.num_virtual_tokens if method.adapts == "prompt" else None,
        saved_parameters=_saved_parameters(choice, places.hits, size(adapter), rank or 0),
        feedforward_modules=places.closing,
        trainable_shapes=adapter | head,
    )
    reason = () if plan.within_budget else (_excess(plan, places),)
    return replace(plan, warnings=(*reason, *warn(plan, places.hits, encoder)))


def _check_embeddings(encoder: Encoder, skeleton: Skeleton) -> None:
    """Refuse virtual tokens where PEFT cannot make them: it takes them to be as wide as the encoder, by its config.

    Raises:
        ConfigError: For embeddings of another width (ALBERT, small ELECTRA), and DistilBERT, whose config has other names.
    """
    widths = {
        shape[1]
        for name, shape in skeleton.parameters.items()
        if name.endswith(("word_embeddings.weight", "tok_embeddings.weight"))
    }
    if widths != {encoder.hidden_size} or encoder.family.model_type == "distilbert":
        raise ConfigError(
            f"method='prompt_tuning' is not there for {encoder.model} ({encoder.family.model_type}): PEFT makes virtual tokens only as "
            "wide as the encoder, and by a config of BERT's names. Choose another method or encoder."
        )


def _places(encoder: Encoder, choice: Choice, skeleton: Skeleton, left_out: tuple[str, ...]) -> Places:
    """Return what the method of a choice adapts."""
    family, method = encoder.family, METHODS[choice.method]
    if method.adapts == "layer norm":
        norms = {
            name: skeleton.below(name)
            for name in skeleton.modules
            if len(skeleton.parameters.get(f"{name}.weight", ())) == 1
            and not is_inside(name, left_out)
            and (choice.layers == "all" or in_layers(name, choice.layers, family.layers_pattern))
        }
        return Places(Hits({}, {}, {}), norms, ())
    if method.adapts == "prompt":
        _check_embeddings(encoder, skeleton)
        return Places(Hits({}, {}, {}), {}, ())
    hits = find_hits(
        choice.target_modules,
        skeleton.modules,
        left_out=left_out,
        layers=choice.layers,
        family=family,
        model=encoder.model,
    )
    closing = tuple(
        name
        for name in hits.adapted
        if name.endswith(f".{family.feed_forward[-1]}") and not name.endswith(f".{family.attention_output}")
    )
    return Places(hits, {}, closing)


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


def _adapter_shapes(choice: Choice, places: Places, rank: int, width: int) -> dict[str, Shape]:
    """Return name in the built model and shape of every parameter of the adapter."""
    method = METHODS[choice.method]
    if method.adapts == "prompt":
        return {f"{ENCODER}{PROMPT}": (choice.num_virtual_tokens, width)}
    norms: dict[str, Shape] = {
        f"{WRAPPED}{module}.ln_tuning_layers.default.{name.removeprefix(f'{module}.')}": shape
        for module, parameters in places.norms.items()
        for name, shape in parameters.items()
    }
    return norms | {
        f"{WRAPPED}{module}.{name}": shape
        for module, (d_out, d_in) in places.hits.adapted.items()
        for name, shape in method.on(rank, d_out, d_in, closes_feed_forward=module in places.closing).items()
    }


def _saved_parameters(choice: Choice, hits: Hits, adapter: int, rank: int) -> int:
    """Return how many numbers the saved adapter holds besides the head."""
    if choice.init_lora_weights in MOVING_BASE:
        return 2 * adapter  # what it started from, with its sign turned, beside what it came to
    if choice.method == "vera":
        outs, ins = zip(*hits.adapted.values(), strict=True)
        return adapter + rank * int(max(outs) + max(ins))
    return adapter


def _excess(plan: Plan, places: Places) -> str:
    """Return why a plan does not fit its budget."""
    shapes = list(places.hits.adapted.values())
    if plan.rank is not None:
        return explain_excess(plan.budget, plan.rank, shapes, plan.head_parameters, method=plan.method)
    return explain_fixed_excess(plan.budget, plan.adapter_parameters, places.count(), plan.head_parameters)


def _settle_rank(choice: Choice, hits: Hits, head: int) -> int:
    """Return the rank: the smallest where none was named and none fits.

    Raises:
        ConfigError: If the wished rank is one that the targets do not allow.
    """
    shapes = list(hits.adapted.values())
    allowed: Sequence[int] = ranks_of(choice.method, shapes)
    if choice.init_lora_weights == "orthogonal":
        allowed = [rank for rank in allowed if rank % 2 == 0]  # it divides the rank in two
    if choice.rank is None:
        try:
            fitting = solve_rank(choice.budget, shapes, head, method=choice.method)
        except BudgetError:
            return allowed[0]
        most = fitting if choice.max_rank is None else min(fitting, choice.max_rank)
        # Where the count does not grow with every step, a rank below one that fits may not fit.
        within = [
            rank
            for rank in allowed
            if rank <= most and head + count_adapter(rank, shapes, choice.method) <= choice.budget
        ]
        return within[-1] if within else allowed[0]
    if choice.rank not in allowed:
        raise ConfigError(_refused_rank(choice, allowed, len(shapes)))
    return choice.rank


def _refused_rank(choice: Choice, allowed: Sequence[int], n_targets: int) -> str:
    """Return why a rank is none of those that the targets allow."""
    targets = f"the {n_targets} targets of {', '.join(choice.target_modules)}"
    if isinstance(allowed, range):
        most = {"lokr": "the most that changes anything for", "vera": "the largest dimension of"}.get(
            choice.method, "the smallest dimension of"
        )
        return f"rank={choice.rank} is above {allowed[-1]}, {most} {targets}: give a rank from 1 to {allowed[-1]}."
    if choice.init_lora_weights == "orthogonal":
        return f"rank={choice.rank}: init_lora_weights='orthogonal' needs an even rank from 2 to {allowed[-1]} on {targets}."
    return (
        f"rank={choice.rank} is a block size with method={choice.method!r}, and must divide what each of {targets} reads: "
        f"give one of {', '.join(map(str, allowed))}."
    )
