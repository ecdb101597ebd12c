"""From the last step to the model that is kept: the mean of epochs, a weaker adapter."""

from typing import Any

from submillion.recipe import TrainingConfig
from submillion.training.average import load_mean
from submillion.training.fit import Labelled
from submillion.training.rescale import weaken_adapter
from submillion.training.trainer import BudgetTrainer


def finish_adapter(
    trainer: BudgetTrainer, config: TrainingConfig, validation: Labelled | None
) -> dict[str, Any]:
    """Do to a trained model what the recipe asks for after training, in place; nothing by default.

    The short trainings of a search are judged without it.

    Args:
        trainer: `fit_adapter` has run it.
        config: What is asked.
        validation: Rows that choose the adapter's scale.

    Returns:
        ``averaged_epochs`` and ``adapter_scale`` for `run.json`, each None where nothing was asked.
    """
    done: dict[str, Any] = {"averaged_epochs": None, "adapter_scale": None}
    if config.average_epochs > 1 or config.adapter_scale != 1:
        trainer.best_scores = None
    if config.average_epochs > 1:
        done["averaged_epochs"] = load_mean(trainer, config.average_epochs)
    if config.adapter_scale != 1:
        done["adapter_scale"] = weaken_adapter(
            trainer.model, config.adapter_scale, validation, config.per_device_eval_batch_size
        )
    return done
