"""What a recipe may not ask of these rows and this plan, refused before anything is written."""

import math
from collections.abc import Iterator

from submillion.budget.methods import MOVING_BASE
from submillion.budget.plan import Plan
from submillion.errors import ConfigError
from submillion.recipe import BALANCED, CHOOSE, TrainingConfig


def check_training(training: TrainingConfig, plan: Plan, has_validation: bool) -> None:
    """Refuse a training section that asks for what cannot be done.

    Args:
        training: With every default resolved.
        plan: What will train.
        has_validation: Whether there are validation rows.

    Raises:
        ConfigError: Every problem in one message.
    """
    if problems := list(_problems(training, plan, has_validation)):
        raise ConfigError("\n".join(problems))


def _problems(training: TrainingConfig, plan: Plan, has_validation: bool) -> Iterator[str]:
    epochs = training.num_train_epochs or 0.0
    if training.average_epochs > math.ceil(epochs):
        yield (
            f"average_epochs={training.average_epochs} is above num_train_epochs={epochs:g}: lower it, or train longer"
        )
    if training.adapter_scale != 1 and not plan.adapter_parameters:
        yield (
            f"adapter_scale={training.adapter_scale} has nothing to scale: the plan adapts no module. Leave it out"
        )
    elif training.adapter_scale != 1 and (unscaled := _without_scale(plan)):
        yield (
            f"adapter_scale={training.adapter_scale} scales what LoRA adds to a weight, and {unscaled} adds nothing of that "
            "kind: leave it out"
        )
    if training.class_weights == BALANCED and training.balanced_sampling:
        yield "class_weights=balanced and balanced_sampling both even out the labels: choose one of them"
    needs = "needs validation rows, and there are none: give --validation, or rows enough to carve from"
    if training.adapter_scale == CHOOSE and not has_validation:
        yield f"adapter_scale={CHOOSE} {needs}; or a number in its place"
    if training.metric_for_best_model == "shifted_accuracy" and not has_validation:
        yield f"metric_for_best_model=shifted_accuracy {needs}"


def _without_scale(plan: Plan) -> str | None:
    """Return what of a plan cannot be weakened by a factor on the matrices B; None where it can."""
    if plan.init_lora_weights in MOVING_BASE:
        return f"init_lora_weights={plan.init_lora_weights!r}"
    return None if plan.method in ("lora", "rslora", "adalora") else f"method={plan.method!r}"
