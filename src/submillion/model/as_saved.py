"""The plan of an adapter as it stands on disk, where that is not what trained: pruned by AdaLoRA, or of twice the rank."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from submillion.budget.count import size
from submillion.budget.methods import METHODS, MOVING_BASE
from submillion.budget.on_layer import Shape
from submillion.budget.plan import Plan


def plan_as_saved(plan: Plan, model: Any) -> Plan:
    """Return ``plan`` with the shapes that its saved adapter must have.

    Args:
        plan: What trained.
        model: The loaded classifier: AdaLoRA's says how many triplets were kept, never more than trained.
    """
    if plan.init_lora_weights in MOVING_BASE:
        doubled = {name: _twice(name, shape) for name, shape in plan.trainable_shapes.items()}
        return replace(plan, trainable_shapes=doubled, budget=max(plan.budget, size(doubled)))
    if plan.method == "adalora":
        loaded = {name: tuple(value.shape) for name, value in model.named_parameters()}
        return replace(plan, trainable_shapes=_pruned(plan, loaded))
    return plan


def _twice(name: str, shape: Shape) -> Shape:
    """Return the shape of a matrix of twice the rank.

    >>> _twice("query.lora_A.default.weight", (4, 32)), _twice("query.lora_B.default.weight", (32, 4))
    ((8, 32), (32, 8))
    """
    if ".lora_A." in name:
        return 2 * shape[0], shape[1]
    return (shape[0], 2 * shape[1]) if ".lora_B." in name else shape


def _pruned(plan: Plan, loaded: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the planned shapes at the ranks that were loaded, where these are not above the planned one."""
    shapes = dict(plan.trainable_shapes)
    for name, (rank, _) in (
        (name, shape) for name, shape in plan.trainable_shapes.items() if ".lora_E." in name
    ):
        kept = min(loaded.get(name, (rank, 1))[0], rank)
        layer = name.removesuffix(".lora_E.default")
        d_out, d_in = shapes[f"{layer}.lora_B.default"][0], shapes[f"{layer}.lora_A.default"][1]
        shapes |= {
            f"{layer}.{own}": shape for own, shape in METHODS["adalora"].trained(kept, d_out, d_in).items()
        }
    return shapes


def keep_unpruned(model: Any) -> None:
    """Tell PEFT's config which triplets of AdaLoRA to save: those whose singular value was not pruned to zero.

    PEFT's own record of them is of the last step; the weights may be those of the best epoch.

    Args:
        model: The ``PeftModel``, of any method.
    """
    config = model.active_peft_config
    if str(getattr(config.peft_type, "value", config.peft_type)) != "ADALORA":
        return
    values = {
        name: value for name, value in model.base_model.model.named_parameters() if ".lora_E.default" in name
    }
    if any(bool(torch.any(value != 0)) for value in values.values()):
        config.rank_pattern = {name: _kept(value) for name, value in values.items()}


def _kept(values: torch.Tensor) -> list[bool]:
    """Return which singular values to keep; the first, at zero, where all are pruned, for PEFT warns of empty matrices.

    >>> _kept(torch.tensor([[0.0], [0.3]])), _kept(torch.zeros(2, 1))
    ([False, True], [True, False])
    """
    kept: list[bool] = (values != 0).flatten().tolist()
    return kept if any(kept) else [True, *kept[1:]]
