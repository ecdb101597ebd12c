"""From an encoder's config and a wish to plans with exact counts; no weight is read."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from math import inf
from typing import Any

from submillion.budget.allocation import with_ranks
from submillion.budget.candidate import Plan, PlanReport
from submillion.budget.count import size
from submillion.budget.draft import Choice, draft
from submillion.budget.encoder import Encoder, read_encoder
from submillion.budget.families import Family
from submillion.budget.methods import INITIALISATIONS, METHODS, Method
from submillion.budget.targets import DEFAULT, parse_layers, parse_targets
from submillion.budget.unserved import unknown_method
from submillion.errors import BudgetError, ConfigError

__all__ = ["DEFAULT_BUDGET", "Plan", "PlanReport", "make_plan", "make_plans"]

DEFAULT_BUDGET = 1_000_000

ALLOCATE = "allocate"
"""The rank that is given out by what the layers read."""

USUAL = "usual"
"""The largest open rank that is usual for a method."""

HEADS = ("full", "output")
POOLINGS = ("first", "mean")


def make_plans(
    model: Any,
    n_labels: int,
    *,
    budget: int = DEFAULT_BUDGET,
    method: str = "lora",
    target_modules: str | Sequence[str] | None = None,
    rank: int | str | None = None,
    max_rank: int | str | None = None,
    lora_alpha: float | None = None,
    lora_dropout: float = 0.1,
    head: str | None = None,
    pooling: str | None = None,
    layers: str | Sequence[int] = "all",
    rank_pattern: Mapping[str, int] | None = None,
    init_lora_weights: str | None = None,
    num_virtual_tokens: int = 20,
) -> PlanReport:
    """Return the plans that a wish leaves open, the best use of the budget first.

    Without ``rank``, each has the largest rank within the budget. With it, all have that one. Plans beyond the
    budget come last, with the reason as first warning.

    Args:
        model: Hub id, folder, or a transformers ``PretrainedConfig``.
        n_labels: Labels of the classifier; at least 2.
        budget: Most parameters that may train, head included; inclusive.
        method: A name in `METHODS`.
        target_modules: A named set (`q`, `qv`, `qkv`, `attention`, `all-linear`), letters of `q k v o`, or suffix
            patterns as PEFT matches them; several as a list or with commas. None: each named set, and what is the
            method's own.
        rank: LoRA's r; AdaLoRA's ``init_r``; the block size of OFT and BOFT. None: the largest that fits. "allocate": the
            same count, which `submillion.training.allocate` gives out by what the layers read, once there are weights
            and rows.
        max_rank: With ``rank`` open, no larger than this; "usual": than what is usual for the method.
        lora_alpha: LoRA's numerator of the scale. None: twice the rank.
        lora_dropout: Dropout before LoRA's first matrix, from 0 up to below 1; of no effect on a method without one.
        head: "full" (every layer trains) or "output" (only the last; not with mean pooling). None: each.
        pooling: "first" or "mean". None: each.
        layers: Blocks that are adapted: "all", "last:K", or numbers from 0.
        rank_pattern: Another rank for single modules, by their whole names; 0: not adapted.
        init_lora_weights: One of `INITIALISATIONS`, for LoRA's pairs. None: PEFT's default, B at zero.
        num_virtual_tokens: Of prompt tuning; at least 1.

    Raises:
        ConfigError: If an argument is out of range, the model's config cannot be had, its family is not supported,
            or a pattern hits nothing.
        BudgetError: If no rank was named and none fits, whatever the targets and head.
    """
    _check(n_labels, budget, method, rank, max_rank, lora_alpha, lora_dropout, head, pooling)
    is_uneven = rank == ALLOCATE or bool(rank_pattern)
    _check_method(
        METHODS[method], target_modules, rank, lora_alpha, head, pooling, layers, num_virtual_tokens
    )
    _check_start(METHODS[method], init_lora_weights, is_uneven)
    rank = None if isinstance(rank, str) else rank
    encoder = read_encoder(model, n_labels)
    row = METHODS[method]
    wishes = _wishes(row, encoder.family) if target_modules is None else [target_modules]
    plans = [
        draft(
            encoder,
            Choice(
                budget=budget,
                method=method,
                target_modules=_patterns(row, wish, encoder.family),
                rank=rank,
                max_rank=row.usual_rank if isinstance(max_rank, str) else max_rank,
                lora_alpha=_tidy(lora_alpha),
                lora_dropout=lora_dropout,
                head=one_head,
                pooling=one_pooling,
                layers=parse_layers(layers, encoder.n_layers),
                init_lora_weights=init_lora_weights,
                num_virtual_tokens=num_virtual_tokens,
            ),
        )
        for wish in wishes
        for one_head, one_pooling in _open_heads(head, pooling)
        if one_pooling == "mean" or row.adapts != "prompt"
    ]
    if rank_pattern:
        plans = [with_ranks(plan, rank_pattern) for plan in plans]
    if rank is None and not any(plan.within_budget for plan in plans):
        raise BudgetError(min(plans, key=lambda plan: plan.trainable_parameters).warnings[0])
    return _report(encoder, budget, plans)


def make_plan(
    model: Any,
    n_labels: int,
    *,
    budget: int = DEFAULT_BUDGET,
    method: str = "lora",
    target_modules: str | Sequence[str] | None = None,
    rank: int | str | None = None,
    max_rank: int | str | None = None,
    lora_alpha: float | None = None,
    lora_dropout: float = 0.1,
    head: str | None = None,
    pooling: str | None = None,
    layers: str | Sequence[int] = "all",
    rank_pattern: Mapping[str, int] | None = None,
    init_lora_weights: str | None = None,
    num_virtual_tokens: int = 20,
    must_fit: bool = True,
) -> Plan:
    """Return the one plan of a wish.

    Args are those of `make_plans`, but None means: the method's own targets, the whole head, the first token (with prompt
    tuning the mean). And:
        must_fit: Refuse a plan beyond the budget; False: return it, with the reason as first warning.

    Raises:
        ConfigError: As `make_plans`.
        BudgetError: If the plan is beyond the budget, with the whole sum.
    """
    row = METHODS.get(method, METHODS["lora"])  # what is not known is refused with all else that is wrong
    report = make_plans(
        model,
        n_labels,
        budget=budget,
        method=method,
        target_modules=_usual_targets(row) if target_modules is None else target_modules,
        rank=rank,
        max_rank=max_rank,
        lora_alpha=lora_alpha,
        lora_dropout=lora_dropout,
        head="full" if head is None else head,
        pooling=("mean" if row.adapts == "prompt" else "first") if pooling is None else pooling,
        layers=layers,
        rank_pattern=rank_pattern,
        init_lora_weights=init_lora_weights,
        num_virtual_tokens=num_virtual_tokens,
    )
    (plan,) = report.candidates
    if must_fit and not plan.within_budget:
        raise BudgetError(plan.warnings[0])
    return plan


def _report(encoder: Encoder, budget: int, plans: Sequence[Plan]) -> PlanReport:
    """Return the report of ``plans``: most of the budget used first, of equals the one with more targets."""

    def order(plan: Plan) -> tuple[bool, int, int]:
        used = plan.trainable_parameters if plan.within_budget else -plan.trainable_parameters
        return not plan.within_budget, -used, -len(plan.trainable_shapes)

    return PlanReport(
        model=encoder.model,
        n_labels=encoder.n_labels,
        base_parameters=size(encoder.classifier.parameters),
        budget=budget,
        peft_version=version("peft"),
        candidates=tuple(sorted(plans, key=order)),
    )


def _wishes(method: Method, family: Family) -> list[str | Sequence[str]]:
    """Return the targets that a method is planned for where none are named: each named set, and the method's own."""
    if method.adapts != "linear":
        return [DEFAULT]
    sets = family.named_sets()
    is_other = method.targets is not None and method.targets(family) not in sets.values()
    return [*([DEFAULT] if is_other else ()), *sets]


def _patterns(method: Method, wish: str | Sequence[str], family: Family) -> tuple[str, ...]:
    """Return the patterns of a wish; none where the method adapts no linear layer."""
    if method.adapts != "linear":
        return ()
    is_own = method.targets is not None and wish in (DEFAULT, (DEFAULT,), [DEFAULT])
    return method.targets(family) if is_own and method.targets else parse_targets(wish, family)


def _open_heads(head: str | None, pooling: str | None) -> list[tuple[str, str]]:
    """Return the pairs of head and pooling that a wish leaves open.

    >>> _open_heads(None, None)
    [('full', 'first'), ('output', 'first'), ('full', 'mean')]
    >>> _open_heads("output", None)
    [('output', 'first')]
    """
    return [
        (one_head, one_pooling)
        for one_head, one_pooling in (("full", "first"), ("output", "first"), ("full", "mean"))
        if head in (None, one_head) and pooling in (None, one_pooling)
    ]


def _usual_targets(method: Method) -> str:
    return DEFAULT if method.targets is not None or method.adapts != "linear" else "qv"


def _tidy(alpha: float | None) -> float | None:
    """Return a whole number as an integer, as PEFT's config file has it.

    >>> _tidy(6.0), _tidy(0.5)
    (6, 0.5)
    """
    return int(alpha) if alpha is not None and alpha == int(alpha) else alpha


def _check(
    n_labels: int,
    budget: int,
    method: str,
    rank: int | str | None,
    max_rank: int | str | None,
    lora_alpha: float | None,
    lora_dropout: float,
    head: str | None,
    pooling: str | None,
) -> None:
    """Gather what is wrong with the arguments.

    Raises:
        ConfigError: If anything is, all of it at once.
    """
    claims: Mapping[str, bool] = {
        f"labels={n_labels} is below 2: a classifier has at least 2": n_labels >= 2,
        f"budget={budget:,} is below 1: give the most parameters that may train": budget >= 1,
        str(unknown_method(method)): method in METHODS,
        f"rank={rank!r} is neither at least 1 nor {ALLOCATE!r}: give one of them, or none for the largest that fits": rank
        in (None, ALLOCATE)
        or (isinstance(rank, int) and rank >= 1),
        f"max_rank={max_rank!r} is neither at least 1 nor {USUAL!r}: give one of them, or none": max_rank
        in (None, USUAL)
        or (isinstance(max_rank, int) and max_rank >= 1),
        f"lora_alpha={lora_alpha} is not a finite number above 0: give none for twice the rank": lora_alpha
        is None
        or 0 < lora_alpha < inf,
        f"lora_dropout={lora_dropout} is outside 0 (inclusive) to 1 (exclusive)": 0 <= lora_dropout < 1,
        f"head={head!r} is not known: give one of {', '.join(HEADS)}": head is None or head in HEADS,
        f"pooling={pooling!r} is not known: give one of {', '.join(POOLINGS)}": pooling is None
        or pooling in POOLINGS,
        "head='output' says nothing with pooling='mean', whose head is one linear layer: leave head out, or give "
        "pooling='first'": (head, pooling) != ("output", "mean"),
    }
    if wrong := [claim for claim, holds in claims.items() if not holds]:
        raise ConfigError("; ".join(wrong) + ".")


def _check_method(
    method: Method,
    target_modules: str | Sequence[str] | None,
    rank: int | str | None,
    lora_alpha: float | None,
    head: str | None,
    pooling: str | None,
    layers: str | Sequence[int],
    num_virtual_tokens: int,
) -> None:
    """Refuse what a method has no use for.

    Raises:
        ConfigError: All of it at once.
    """
    name, is_prompt = f"method={method.name!r}", method.adapts == "prompt"
    claims: Mapping[str, bool] = {
        f"{name} has no rank: its count is fixed by what it adapts; leave rank={rank!r} out": method.has_rank
        or rank is None,
        f"{name} takes no other rank for single modules: rank={ALLOCATE!r} is for "
        f"{', '.join(each.name for each in METHODS.values() if each.is_low_rank_pair)}": rank != ALLOCATE
        or method.is_low_rank_pair
        or not method.has_rank,
        f"{name} has no scale: leave lora_alpha={lora_alpha} out": method.has_alpha or lora_alpha is None,
        f"{name} adapts {'no layer' if is_prompt else f'every {method.adapts}'}: leave target_modules={target_modules!r} "
        "out": method.adapts == "linear" or target_modules in (None, DEFAULT, (DEFAULT,), ()),
        f"{name} puts its tokens before the text's first one, which is what pooling='first' reads: give pooling='mean'": (
            not is_prompt or (pooling != "first" and head != "output")
        ),
        f"{name} adapts no layer: leave layers={layers!r} out": not is_prompt or layers == "all",
        f"num_virtual_tokens={num_virtual_tokens} is below 1: give at least 1": num_virtual_tokens >= 1,
    }
    if wrong := [claim for claim, holds in claims.items() if not holds]:
        raise ConfigError("; ".join(wrong) + ".")


def _check_start(method: Method, start: str | None, is_uneven: bool) -> None:
    """Refuse a start that is not known, or not for this method.

    Args:
        method: Its row.
        start: ``init_lora_weights``.
        is_uneven: Whether modules are to have ranks of their own.

    Raises:
        ConfigError: With what is allowed.
    """
    if start is None:
        return
    if start not in INITIALISATIONS:
        raise ConfigError(
            f"init_lora_weights={start!r} is not known: give one of {', '.join(INITIALISATIONS)}, or none"
        )
    if not method.is_low_rank_pair:
        able = ", ".join(each.name for each in METHODS.values() if each.is_low_rank_pair)
        raise ConfigError(
            f"init_lora_weights={start!r} starts LoRA's pairs: give method={able}, or leave it out"
        )
    if is_uneven and start not in ("gaussian", "eva"):
        raise ConfigError(
            f"init_lora_weights={start!r} needs one rank for all modules: leave rank_pattern and rank={ALLOCATE!r} out"
        )
