"""What a recipe may not ask of these rows and this plan, refused before anything is written."""

import math
from collections.abc import Iterator

from submillion.budget.methods import METHODS
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
    if training.class_weights == BALANCED and training.balanced_sampling:
        yield "class_weights=balanced and balanced_sampling both even out the labels: choose one of them"
    if training.adapter_scale != 1 and not METHODS[plan.method].is_low_rank_pair:
        yield f"adapter_scale={training.adapter_scale} is for lora and rslora, not for {plan.method}: leave it out"
    needs = "needs validation rows, and there are none: give --validation, or rows enough to carve from"
    if training.adapter_scale == CHOOSE and not has_validation:
        yield f"adapter_scale={CHOOSE} {needs}; or a number in its place"
    if training.metric_for_best_model == "shifted_accuracy" and not has_validation:
        yield f"metric_for_best_model=shifted_accuracy {needs}"
