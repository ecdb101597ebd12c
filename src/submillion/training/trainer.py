"""transformers' Trainer, its hooks filled: what is saved, what is scored, in which order rows come."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments
from transformers.trainer_utils import SaveStrategy

from submillion.budget.plan import Plan
from submillion.data.windows import Windows
from submillion.disk import disk_refusals
from submillion.errors import RunError
from submillion.fast.built_ahead import MOST_SHAPES, build_ahead
from submillion.model.adapter import assert_planned
from submillion.model.build import Classifier, quiet_transformers
from submillion.model.device import choose_device, give_back_freed_memory
from submillion.recipe import TrainingConfig
from submillion.run import written_atomically
from submillion.scoring import Scores, pad, rounded_length, score
from submillion.training.adalora import RankSchedule
from submillion.training.checkpoints import (
    complete_checkpoints,
    mark_complete,
    remove_incomplete,
    remove_old,
    seconds_at,
)
from submillion.training.multi_label import MultiLabelLoss
from submillion.training.sampler import SeededSampler
from submillion.training.step_graphs import Record, StepGraphs
from submillion.training.weights import WeightedLoss

TRAINED = "trained.safetensors"
BEST = "best.safetensors"


Shape = tuple[int, int]
"""Rows and tokens a row of what runs forward at once."""


class TrainRows(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokenised rows with their labels, as the Trainer takes them.

    A text in windows comes as one of them in each epoch: an epoch costs what one over cut texts does, every text counts
    once, and none of its windows comes again before all have come.

    Args:
        input_ids: Token numbers of each row, or the windows of each text.
        labels: `[n]` int64.
        seed: Draws the order of a text's windows.

    Attributes:
        epoch: Tells the epoch that is trained; whoever makes the rows says how.
    """

    def __init__(self, input_ids: Sequence[Sequence[int]], labels: np.ndarray, seed: int = 0):
        self.input_ids = input_ids
        self.labels = labels
        self.seed = seed
        self.epoch: Callable[[], int] = lambda: 0

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_ids": self._tokens(row), "labels": self.labels[row]}

    def _tokens(self, row: int) -> Sequence[int]:
        if not isinstance(self.input_ids, Windows):
            return self.input_ids[row]
        n_windows = int(self.input_ids.counts[row])
        order = np.random.default_rng((self.seed, row)).permutation(n_windows) if n_windows > 1 else (0,)
        return self.input_ids.window(row, int(order[self.epoch() % n_windows]))


class Collator:
    """Put rows into one batch, padded to the longest of them or to a fixed length.

    Args:
        pad_token_id: What padding is made of.
        length: Pad every batch to so many tokens; None: to its longest row.
        rounded_within: Round the longest row up, at most to this; None: pad to just its length.
    """

    def __init__(self, pad_token_id: int, length: int | None, rounded_within: int | None = None):
        self.pad_token_id = pad_token_id
        self.length = length
        self.rounded_within = rounded_within

    def padded_length(self, lengths: Sequence[int]) -> int:
        """Return how many tokens a batch of rows of these lengths is padded to."""
        if self.length is not None:
            return self.length
        longest = max(lengths)
        return longest if self.rounded_within is None else rounded_length(longest, self.rounded_within)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Return ``input_ids``, ``attention_mask`` `[n, length]` and ``labels`` `[n]`; of several a row float `[n, n_labels]`."""
        length = self.padded_length([len(row["input_ids"]) for row in rows])
        input_ids, mask = pad([row["input_ids"] for row in rows], self.pad_token_id, length)
        labels = torch.from_numpy(np.array([row["labels"] for row in rows]))
        labels = labels.long() if labels.ndim == 1 else labels.float()
        return {"input_ids": input_ids, "attention_mask": mask, "labels": labels}


class BudgetTrainer(Trainer):
    """The Trainer, told to save trained parameters only and to score validation by the one scoring pass.

    Args:
        plan: What may train; asserted after every load.
        evaluate_scores: Turns validation scores into figures named ``eval_*``; None without validation.
        validation: Tokenised validation rows; None without.
        lengths: Tokens of each train row, to group batches by; None: batches are drawn at random.
        tokens_at_once: Slice micro-batches of more tokens, for memory's sake: a loss that is divided by the rows of
            the whole batch is the same in parts. None: never.
        builds_ahead: Build before the first step what slices need; see `submillion.fast.built_ahead`.
        is_balanced: Every label is drawn equally often.
        weighted_loss: In place of the model's own loss; None: every row counts alike.
        rank_schedule: Of AdaLoRA, which prunes while it trains and adds to the loss; None with any other method.
        record: How micro-batches are recorded, to be replayed; None: each runs as it comes.
        trainer_arguments: Passed on to transformers' Trainer.

    Attributes:
        best_scores: Of the validation rows by the best epoch, which is loaded at the end; None where that epoch was not
            scored here, or what it scored has been changed since.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        validation: Sequence[Sequence[int]] | None,
        evaluate_scores: Callable[[Scores], dict[str, float]] | None,
        lengths: Sequence[int] | None = None,
        tokens_at_once: int | None = None,
        builds_ahead: bool = False,
        is_balanced: bool = False,
        weighted_loss: WeightedLoss | MultiLabelLoss | None = None,
        rank_schedule: RankSchedule | None = None,
        record: Record | None = None,
        **trainer_arguments: Any,
    ):
        self.plan = plan
        self.validation = validation
        self.evaluate_scores = evaluate_scores
        self.lengths = lengths
        self.tokens_at_once = tokens_at_once
        self.builds_ahead = builds_ahead
        self.rank_schedule = rank_schedule
        self.is_balanced = is_balanced
        self.weighted_loss = weighted_loss
        self._is_built_ahead = False
        self._last_scores: Scores | None = None
        self.best_scores: Scores | None = None
        super().__init__(compute_loss_func=weighted_loss, **trainer_arguments)
        self.remove_callback(transformers.ProgressCallback)
        self.remove_callback(transformers.PrinterCallback)
        self.folder = Path(str(self.args.output_dir))
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        seed = int(self.args.seed)
        self.graphs = None if record is None else StepGraphs(self._as_it_comes, trained, record, seed)
        self.started, self.earlier_seconds = time.monotonic(), 0.0  # `fit` sets both

    @property
    def seconds(self) -> float:
        """Time spent on training, that before a resumption included."""
        return self.earlier_seconds + time.monotonic() - self.started

    def _get_train_sampler(self, train_dataset: Any = None) -> SeededSampler:
        self.sampler = SeededSampler(
            len(self.train_dataset),
            int(self.args.seed),
            self.lengths,
            self.args.per_device_train_batch_size,
            labels=self.train_dataset.labels if self.is_balanced else None,
        )
        return self.sampler

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """Return what the losses of a step's micro-batches are divided by: its rows, or their weights."""
        if self.weighted_loss is None:
            return super()._get_num_items_in_batch(batch_samples, device)
        total = (
            torch.stack([self.weighted_loss.total(batch["labels"]) for batch in batch_samples])
            .sum()
            .to(device)
        )
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            total = self.accelerator.gather(total).sum()
        return total

    def _run_epoch(self, *arguments: Any, **named: Any) -> None:
        self.sampler.set_epoch(named["epoch"])
        super()._run_epoch(*arguments, **named)

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Run one micro-batch forward and backward, in slices of its rows where it has very many tokens."""
        loss = self._loss_step(model, inputs, num_items_in_batch)
        if self.rank_schedule is None:
            return loss
        penalty = self.rank_schedule.penalty() / int(self.args.gradient_accumulation_steps)
        self.accelerator.backward(penalty)
        return loss + penalty.detach()

    def _loss_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None
    ) -> torch.Tensor:
        if self.graphs is not None and isinstance(num_items_in_batch, torch.Tensor):
            return self.graphs.step(self._prepare_inputs(inputs), num_items_in_batch)
        if self.tokens_at_once is None or num_items_in_batch is None:
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss
        losses = [
            super(BudgetTrainer, self).training_step(model, part, num_items_in_batch)
            for part in row_slices(inputs, self.tokens_at_once)
        ]
        return torch.stack(losses).sum()

    def build_ahead(self, steps: Iterable[Iterable[Shape]] | None = None) -> None:
        """Build what slices of an epoch's commonest shapes need, where that is to be done ahead and is not done yet.

        Args:
            steps: An epoch's `slices`, where the caller has them.
        """
        if not self.builds_ahead or self._is_built_ahead:
            return
        counts = Counter(shape for slices in steps or self.slices() for shape in slices)
        self.model.train()
        build_ahead(self.model, sorted(shape for shape, _ in counts.most_common(MOST_SHAPES)))
        give_back_freed_memory()  # what lay around meanwhile
        self._is_built_ahead = True

    def slices(self) -> list[list[Shape]]:
        """Return, for each micro-batch of an epoch, the shapes of the slices that it runs in."""
        size = int(self.args.per_device_train_batch_size)
        lengths = [len(ids) for ids in self.train_dataset.input_ids]
        order = list(self._get_train_sampler())
        steps = []
        for start in range(0, len(order), size):
            rows = [lengths[row] for row in order[start : start + size]]
            n_tokens = self.data_collator.padded_length(rows)
            at_once = rows_at_once(len(rows), n_tokens, self.tokens_at_once)
            steps.append(
                [(min(at_once, len(rows) - first), n_tokens) for first in range(0, len(rows), at_once)]
            )
        return steps

    def _as_it_comes(self, inputs: Mapping[str, torch.Tensor], divisor: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(self.model, dict(inputs), divisor)
        return loss

    def create_optimizer(self, model: Any = None) -> Any:
        """Return the optimizer; the model drops its gradients through it from now on.

        Walking the whole frozen model, as the Trainer does to drop and to clip gradients, takes several milliseconds. Recorded
        micro-batches add to the gradients where they are: there they are set to zero.
        """
        optimizer = super().create_optimizer(model)
        self.model.zero_grad = partial(optimizer.zero_grad, set_to_none=self.graphs is None)
        return optimizer

    def _clip_grad_norm(self, model: Any) -> Any:
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        return self.accelerator.clip_grad_norm_(trained, self.args.max_grad_norm)

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """Score validation and return its figures, logged and handed to the callbacks."""
        if self.validation is None or self.evaluate_scores is None:
            return {}
        scores = self._last_scores = score(self.model, self.validation, self.args.per_device_eval_batch_size)
        metrics = self.evaluate_scores(scores)
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        is_best: bool = super()._determine_best_metric(metrics, trial)
        if is_best:
            self.best_scores = self._last_scores
            if self.args.should_save:
                write_trained(self.model, self.folder / BEST)
        return is_best

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if not self.args.should_save:  # the Trainer asks every process
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        write_trained(self.model, folder / TRAINED)
        if self.rank_schedule is not None:
            self.rank_schedule.write(folder)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        checkpoint = self.folder / f"checkpoint-{self.state.global_step}"
        with disk_refusals(checkpoint):
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                mark_complete(checkpoint, self.state.global_step, self.seconds)
                remove_old(self.folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        read_trained(self.model, Path(resume_from_checkpoint) / TRAINED)
        assert_planned(self.model, self.plan, "after resume")
        if self.rank_schedule is not None:
            self.rank_schedule.read(Path(resume_from_checkpoint))

    def load_best_epoch(self) -> None:
        """Lay the best epoch's trained parameters into the model; without validation, keep the last ones.

        The Trainer's own way counts on the best checkpoint's folder, which may be gone; this file is not.
        """
        if self.validation is None:
            return
        read_trained(self.model, self.folder / BEST)
        assert_planned(self.model, self.plan, "after loading the best epoch")


def slice_tokens(width: int) -> int:
    """Return the most tokens, padding included, that run forward and backward at once on a CPU.

    Memory grows with them, and the time of a slice has a part that does not: narrow encoders, which take less memory and are soon
    done with a slice, have more.

    Args:
        width: Of the encoder.

    >>> [slice_tokens(width) for width in (384, 768, 1024)]
    [1792, 896, 896]
    """
    return max(896, 896 * 768 // width)


def rows_at_once(n_rows: int, n_tokens: int, tokens_at_once: int | None) -> int:
    """Return the rows of one slice of a batch; see `row_slices`.

    >>> rows_at_once(16, 100, tokens_at_once=1024)
    8
    """
    size = n_rows
    while tokens_at_once is not None and size > 1 and size * n_tokens > tokens_at_once:
        size = -(-size // 2)
    return size


def row_slices(inputs: Mapping[str, torch.Tensor], tokens_at_once: int) -> list[dict[str, torch.Tensor]]:
    """Return a batch in parts of at most so many tokens (or one row), its rows halved as often as that takes.

    Halves, and not the most rows that fit: so there are few shapes, for each of which oneDNN builds code of its own.

    >>> parts = row_slices({"input_ids": torch.zeros(7, 10)}, tokens_at_once=20)
    >>> [len(part["input_ids"]) for part in parts]
    [2, 2, 2, 1]
    """
    n_rows, n_tokens = inputs["input_ids"].shape
    size = rows_at_once(n_rows, n_tokens, tokens_at_once)
    parts = {name: torch.split(value, size) for name, value in inputs.items()}
    return [{name: values[index] for name, values in parts.items()} for index in range(-(-n_rows // size))]


def write_trained(model: Classifier, path: Path) -> None:
    """Write every trained parameter, whole or not at all."""
    tensors = {
        name: value.detach().contiguous() for name, value in model.named_parameters() if value.requires_grad
    }
    with written_atomically(path) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})


@torch.no_grad()
def read_trained(model: Classifier, path: Path) -> None:
    """Lay saved trained parameters into the model.

    Raises:
        RunError: If the file is missing, damaged, or holds other parameters than the model trains.
    """
    try:
        tensors = load_file(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise RunError(f"{path} cannot be read ({error}): train again with another --output") from None
    wanted = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if set(tensors) != set(wanted):
        differing = sorted(set(tensors) ^ set(wanted))
        raise RunError(
            f"{path} holds other parameters than the plan trains ({', '.join(differing[:5])}): train again with another --output"
        )
    for name, value in wanted.items():
        value.copy_(tensors[name])


def training_arguments(
    config: TrainingConfig, folder: Path, seed: int, has_validation: bool
) -> TrainingArguments:
    """Return transformers' TrainingArguments for a recipe's training section.

    ``warmup_ratio`` becomes v5's fractional ``warmup_steps``; ``fp16`` counts on a GPU only, and what `accelerate launch`
    says of mixed precision does not: the recipe does.
    """
    has_gpu = choose_device().type == "cuda"
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.num_train_epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler_type,
        warmup_steps=config.warmup_ratio,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        per_device_train_batch_size=config.per_device_train_batch_size,
        per_device_eval_batch_size=config.per_device_eval_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        label_smoothing_factor=config.label_smoothing_factor,
        use_cpu=not has_gpu,
        fp16=config.fp16 and has_gpu,
        bf16=False,
        optim="adamw_torch_fused",
        logging_steps=config.logging_steps,
        logging_nan_inf_filter=False,  # it looks at the loss after each micro-batch, and waits for the GPU
        eval_strategy="epoch" if has_validation else "no",
        save_strategy=SaveStrategy.EPOCH,
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        seed=seed,
        report_to=list(config.report_to) or "none",
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=has_gpu,
        metric_for_best_model=(config.metric_for_best_model or "accuracy") if has_validation else None,
    )
    arguments.mixed_precision = "fp16" if arguments.fp16 else "no"
    if arguments.n_gpu > 1:
        arguments._n_gpu = (
            1  # DataParallel would copy blocks without their products; several GPUs are torchrun's
        )
    return arguments


def fit(trainer: BudgetTrainer, resume: bool) -> None:
    """Train to the end, from the newest whole checkpoint where ``resume`` says so, and load the best epoch."""
    remove_incomplete(trainer.folder)
    whole = complete_checkpoints(trainer.folder) if resume else []
    trainer.earlier_seconds = seconds_at(whole[-1]) if whole else 0.0
    trainer.started = time.monotonic()
    with quiet_transformers():
        if whole and _had_ended(whole[-1], trainer):
            trainer._load_from_checkpoint(str(whole[-1]))
        else:
            trainer.build_ahead()
            trainer.train(resume_from_checkpoint=str(whole[-1]) if whole else None)
    if trainer.graphs is not None:
        trainer.graphs.forget()
    trainer.load_best_epoch()


def _had_ended(checkpoint: Path, trainer: BudgetTrainer) -> bool:
    """Whether training was over when this checkpoint was written: the last step, or stopped early."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    stopping = state.get("stateful_callbacks", {}).get(EarlyStoppingCallback.__name__)
    if isinstance(stopping, dict):
        attributes, arguments = stopping["attributes"], stopping["args"]
        if attributes["early_stopping_patience_counter"] >= arguments["early_stopping_patience"]:
            return True
    return bool(state["global_step"] >= state["max_steps"])
