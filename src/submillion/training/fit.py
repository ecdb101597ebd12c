"""Fit one adapter: a plan, rows, a folder for checkpoints, and the model that comes out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from sklearn.metrics import accuracy_score, log_loss
from transformers import EarlyStoppingCallback, TrainerCallback, TrainingArguments
from transformers.training_args import ParallelMode

from submillion.budget.families import max_positions
from submillion.budget.methods import FAST
from submillion.budget.plan import Plan
from submillion.confusion import macro_f1
from submillion.fast.block import FastBlock
from submillion.model.adapter import assert_planned, freeze_unplanned
from submillion.model.build import Classifier
from submillion.recipe import Recipe
from submillion.scoring import Scores, score
from submillion.training.adalora import RankSchedule
from submillion.training.average import KeepEpochEnds
from submillion.training.callbacks import History, ProgressBar, SaveWithinEpoch
from submillion.training.multi_label import MultiLabelLoss, multi_label_figures
from submillion.training.step_graphs import on_card
from submillion.training.trainer import (
    BudgetTrainer,
    Collator,
    TrainRows,
    fit,
    slice_tokens,
    training_arguments,
)
from submillion.training.weights import WeightedLoss, weights_of
from submillion.training.word_dropout import NoisyRows, shifted, special_ids

SAVE_STEPS = 500


@dataclass(frozen=True)
class Labelled:
    """Tokenised rows, or texts in windows, with labels: ``input_ids`` of `n` rows and ``labels`` int64, `[n]`.

    Where rows may have several: 0 and 1, `[n, n_labels]`.
    """

    input_ids: Sequence[Sequence[int]]
    labels: np.ndarray


def make_trainer(
    model: Classifier,
    plan: Plan,
    recipe: Recipe,
    train: Labelled,
    validation: Labelled | None,
    folder: Path,
    console: Console,
    history: Path | None = None,
) -> BudgetTrainer:
    """Return what trains ``model`` in place by a recipe, seeded; `fit_adapter` runs it.

    Args:
        model: Built by the plan; its head already started.
        plan: What may train.
        recipe: With every default resolved.
        train: Rows to train on.
        validation: Rows that choose the epoch; None: the last epoch counts.
        folder: For checkpoints; made where missing.
        console: Where progress is shown.
        history: Where logged steps are appended; None: nowhere.
    """
    freeze_unplanned(model, plan)  # PEFT's disable_adapter() lets a frozen, saved head train again
    assert_planned(model, plan, "before training")
    torch.manual_seed(recipe.seed)
    config = recipe.training
    arguments = training_arguments(config, folder, recipe.seed, validation is not None)
    pad_length = recipe.data.max_length if recipe.data.padding == "max_length" else None
    groups_lengths = "length_groups" in config.pieces and pad_length is None
    slices_tokens = "token_slices" in config.pieces and arguments.use_cpu
    rows = _train_rows(train, recipe)
    callbacks = _callbacks(
        recipe, len(train.input_ids), validation is not None, arguments.world_size, folder, console, history
    )
    schedule = RankSchedule(model.encoder) if plan.method == "adalora" else None
    loss = _loss(train, recipe, plan)
    trainer = BudgetTrainer(
        plan=plan,
        validation=None if validation is None else validation.input_ids,
        evaluate_scores=None if validation is None else _figures(model, validation, recipe),
        is_balanced=config.balanced_sampling,
        weighted_loss=loss,
        tokens_at_once=slice_tokens(model.config.hidden_size) if slices_tokens else None,
        builds_ahead="built_ahead" in config.pieces and arguments.use_cpu and config.numerics != "exact",
        lengths=[len(ids) for ids in train.input_ids] if groups_lengths else None,
        model=model,
        args=arguments,
        data_collator=Collator(
            model.config.pad_token_id,
            pad_length,
            rounded_within=max_positions(model.config) - model.n_virtual_tokens
            if "few_lengths" in config.pieces
            else None,
        ),
        train_dataset=rows,
        eval_dataset=None if validation is None else TrainRows(validation.input_ids, validation.labels),
        callbacks=[*callbacks, schedule] if schedule else callbacks,
        rank_schedule=schedule,
        record=on_card() if _can_record(model, plan, recipe, arguments) else None,
    )
    rows.epoch = lambda: trainer.sampler.epoch
    return trainer


def _can_record(model: Classifier, plan: Plan, recipe: Recipe, arguments: TrainingArguments) -> bool:
    """Whether micro-batches may be recorded: on one GPU, by the fast blocks, where no loss is scaled."""
    return (
        "step_graphs" in recipe.training.pieces
        and not (arguments.use_cpu or arguments.fp16)
        and arguments.parallel_mode == ParallelMode.NOT_PARALLEL
        and plan.method in FAST  # of other methods, blocks without an adapter are fast too
        and any(isinstance(module, FastBlock) for module in model.modules())
    )


def _callbacks(
    recipe: Recipe,
    n_rows: int,
    has_validation: bool,
    n_processes: int,
    folder: Path,
    console: Console,
    history: Path | None,
) -> list[TrainerCallback]:
    """Return what is done at the Trainer's hooks; each of the processes runs a batch of its own at once."""
    config = recipe.training
    rows_at_once = config.per_device_train_batch_size * n_processes
    n_batches = math.ceil(n_rows / rows_at_once)
    callbacks = [
        SaveWithinEpoch(
            config.save_steps or SAVE_STEPS, math.ceil(n_batches / config.gradient_accumulation_steps)
        ),
        ProgressBar(rows_at_once * config.gradient_accumulation_steps, console),
    ]
    if history is not None:
        callbacks.append(History(history))
    if has_validation and config.early_stopping_patience is not None:
        callbacks.append(EarlyStoppingCallback(config.early_stopping_patience))
    if config.average_epochs > 1:
        callbacks.append(KeepEpochEnds(folder, config.average_epochs))
    return callbacks


def _loss(train: Labelled, recipe: Recipe, plan: Plan) -> WeightedLoss | MultiLabelLoss | None:
    """Return what takes the place of the model's own loss; None: nothing does."""
    if train.labels.ndim == 2:
        return MultiLabelLoss()
    weights = weights_of(recipe.training, train.labels, plan.n_labels)
    return None if weights is None else WeightedLoss(weights, recipe.training.label_smoothing_factor)


def _train_rows(train: Labelled, recipe: Recipe) -> TrainRows:
    """Return the rows as the Trainer takes them, without some of their tokens where the recipe says so."""
    share = recipe.training.word_dropout
    if not share:
        return TrainRows(train.input_ids, train.labels, recipe.seed)
    return NoisyRows(train.input_ids, train.labels, share, recipe.seed, special_ids(recipe.model.model))


def _figures(model: Classifier, validation: Labelled, recipe: Recipe) -> Callable[[Scores], dict[str, float]]:
    """Return what turns validation scores into figures; for `shifted_accuracy` it scores the rows with noise too."""
    if validation.labels.ndim == 2:
        return multi_label_figures(validation.labels)
    if recipe.training.metric_for_best_model != "shifted_accuracy":
        return validation_figures(validation.labels)
    noisy = shifted(validation.input_ids, recipe.seed, special_ids(recipe.model.model))
    batch_size = recipe.training.per_device_eval_batch_size
    return validation_figures(validation.labels, partial(score, model, noisy, batch_size))


def fit_adapter(trainer: BudgetTrainer, *, resume: bool = False) -> None:
    """Train, the best epoch loaded at the end where there is validation.

    Args:
        trainer: From `make_trainer`.
        resume: Go on from the newest whole checkpoint in its folder.

    Raises:
        Diverged: If training diverges.
        RunError: If a checkpoint to go on from is damaged.
    """
    fit(trainer, resume)
    batch_size = int(trainer.args.per_device_eval_batch_size)
    score(trainer.model, trainer.train_dataset.input_ids[:batch_size])  # refuses a model that has diverged


def validation_figures(
    labels: np.ndarray, score_shifted: Callable[[], Scores] | None = None
) -> Callable[[Scores], dict[str, float]]:
    """Return the function that turns validation scores into the figures that choose an epoch.

    Args:
        labels: Of the validation rows.
        score_shifted: Scores the same rows with noise; None: there is no `eval_shifted_accuracy`.
    """

    def figures(scores: Scores) -> dict[str, float]:
        predictions = scores.predictions
        figures = {
            "eval_loss": float(log_loss(labels, scores.probabilities, labels=range(scores.logits.shape[1]))),
            "eval_accuracy": float(accuracy_score(labels, predictions)),
            "eval_macro_f1": macro_f1(labels, predictions, scores.logits.shape[1]),
        }
        if score_shifted is not None:
            shifted_right = float(accuracy_score(labels, score_shifted().predictions))
            figures["eval_shifted_accuracy"] = (figures["eval_accuracy"] + shifted_right) / 2
        return figures

    return figures
