"""What a user should know of a plan before training: where its count differs from another's, and why."""

from collections.abc import Iterator

from submillion.budget.candidate import Plan
from submillion.budget.count import size
from submillion.budget.encoder import Encoder
from submillion.budget.families import SAVED_BY_PEFT
from submillion.budget.methods import METHODS, MOVING_BASE, target_rank
from submillion.budget.targets import Hits


def warn(plan: Plan, hits: Hits, encoder: Encoder) -> Iterator[str]:
    """Yield the warnings of ``plan``, that of an exceeded budget excepted."""
    yield from _warn_on_disk(plan)
    if plan.pooling == "mean":
        return
    if METHODS[plan.method].is_low_rank_pair:
        yield from _warn_old_peft(plan, hits, encoder)
    yield from _warn_peft_alone(plan, hits, encoder)
    if frozen := [layer for layer in plan.frozen_head if layer in plan.random_layers]:
        yield (
            f"head='output' keeps {', '.join(frozen)} as it starts, which is at random (by the "
            f"{plan.random_layers_source}): it does not train, and is saved with the adapter."
        )


def _warn_on_disk(plan: Plan) -> Iterator[str]:
    """Yield where what stands on disk is not what trained."""
    if plan.init_lora_weights in MOVING_BASE:
        yield (
            f"init_lora_weights={plan.init_lora_weights!r} starts from the encoder's own weights: so that the saved adapter "
            f"loads on the unchanged encoder it is plain LoRA of rank {2 * (plan.rank or 0)}, {plan.saved_parameters:,} "
            f"numbers, of which the {plan.adapter_parameters:,} held against the budget trained."
        )
    elif plan.method == "vera":
        yield (
            f"the saved adapter also holds VeRA's two frozen random matrices, {plan.saved_parameters - plan.adapter_parameters:,} "
            "numbers that do not train, so that it loads the same everywhere."
        )
    elif plan.method == "adalora":
        rank = plan.rank or 0
        yield (
            f"the budget is held by what trains, {rank} triplets a layer (init_r); the saved adapter keeps about "
            f"{target_rank(rank)} a layer (target_r), more where they matter more."
        )


def _pairs(plan: Plan, layer: str, encoder: Encoder) -> dict[str, tuple[int, ...]]:
    """Return what the method would train on a head layer."""
    d_out, d_in = encoder.classifier.linear()[layer]
    return METHODS[plan.method].trained(plan.rank or 0, d_out, d_in)


def _warn_old_peft(plan: Plan, hits: Hits, encoder: Encoder) -> Iterator[str]:
    """Yield what PEFT 0.15.2 and older count where a pattern matches head layers too.

    Run with 0.14.0 and 0.15.2, which adapt such a layer though it is trained whole, and with 0.18.0 and 0.21.2, which
    do not (``peft.tuners.tuners_utils.check_target_module_exists``).
    """
    seen: set[str] = set()
    for pattern, layers in hits.in_head.items():
        for layer in layers:
            if layer in seen:
                continue
            seen.add(layer)
            pair = _pairs(plan, layer, encoder)
            d_out, d_in = encoder.classifier.linear()[layer]
            shapes = " and ".join(f"{a} x {b}" for a, b in pair.values())
            old = plan.trainable_parameters + sum(size(_pairs(plan, name, encoder)) for name in seen)
            yield (
                f"target pattern {pattern!r} also matches {layer} ({d_out} x {d_in}) of the head, which takes no "
                f"adapter here or in PEFT 0.18 and newer; PEFT 0.15.2 and older put a LoRA pair of {shapes} on it, "
                f"{size(pair):,} parameters, and count {old:,} trainable parameters in place of "
                f"{plan.trainable_parameters:,}."
            )


def _warn_peft_alone(plan: Plan, hits: Hits, encoder: Encoder) -> Iterator[str]:
    """Yield by how much a head that PEFT would only train in part differs from PEFT's own count."""
    beyond = [layer for layer in encoder.family.head if layer.split(".")[0] not in SAVED_BY_PEFT]
    if plan.head != "full" or not beyond:
        return
    own = [layer for layer in encoder.family.head if layer not in beyond]
    is_pair = METHODS[plan.method].is_low_rank_pair
    matched = [
        layer for layer in beyond if is_pair and any(layer in names for names in hits.in_head.values())
    ]
    pairs = sum(size(_pairs(plan, layer, encoder)) for layer in matched)
    whole = sum(size(encoder.classifier.below(layer)) for layer in beyond)
    instead = f" and puts a LoRA pair of {pairs:,} on {', '.join(matched)}" if matched else ""
    yield (
        f"head='full' trains and saves {', '.join(beyond)} ({whole:,} parameters) too; PEFT alone trains only "
        f"{', '.join(own)} of this head{instead}: {plan.trainable_parameters - whole + pairs:,} trainable parameters, "
        f"{whole - pairs:,} fewer."
    )
