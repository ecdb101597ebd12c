"""One short training of a candidate: no baselines, no adapter kept, only what the selection needs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from submillion.budget.plan import ALLOCATE, Plan
from submillion.data.stratified import stratified_order
from submillion.data.windows import taken
from submillion.errors import Diverged
from submillion.model.build import Classifier
from submillion.recipe import Recipe
from submillion.run import RunFolder, read_json, write_json, written_atomically
from submillion.scoring import Scores, embed_frozen, head_inputs, score
from submillion.study.candidates import Candidate
from submillion.study.jobs import Tell
from submillion.study.recipe import StageConfig
from submillion.temperature import tempered_log_loss
from submillion.training.callbacks import read_history
from submillion.training.fit import Labelled, fit_adapter, make_trainer
from submillion.training.prepare import Prepared
from submillion.training.start import fit_on_features, most_start_rows, start_head
from submillion.training.trainer import BudgetTrainer

SCORED_ROW = 1 / 3
"""What a row costs that is only scored, in rows trained: a forward pass of three passes."""


@dataclass
class Ground:
    """What the trainings of a study share: rows and tokens, and what the frozen encoder makes of them.

    Attributes:
        prepared: Of the study's own recipe.
        console: Where progress is shown.
    """

    prepared: Prepared
    console: Console
    _features: dict[Any, np.ndarray] = field(default_factory=dict)
    _heads: dict[Any, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    _allocated: dict[int, Plan] = field(default_factory=dict)
    _order: np.ndarray | None = None

    def plan(self, candidate: Candidate) -> Plan:
        """Return a candidate's plan, its ranks given out where it asks for that, by all train rows and once.

        Raises:
            ValueError: If it was refused.
        """
        if candidate.plan is None or candidate.refused:
            raise ValueError(f"candidate {candidate.number} was refused: {candidate.refused}")
        if candidate.recipe.budget.rank != ALLOCATE:
            return candidate.plan
        if candidate.number not in self._allocated:
            with self.console.status("giving out the ranks by what the layers read"):
                self._allocated[candidate.number] = self.prepared.allocated(
                    candidate.plan, candidate.recipe.seed
                )
        return self._allocated[candidate.number]

    def rows(self, share: float) -> np.ndarray:
        """Return the train rows of a stage, sorted; a smaller share's rows are among a larger one's."""
        order, n_rows = self._ordered(share)
        return np.sort(order[:n_rows])

    def left_out(self, share: float) -> np.ndarray:
        """Return train rows that a stage leaves out, sorted: at most as many as it trains on, none of a text that it trains on."""
        order, n_rows = self._ordered(share)
        apart = order[n_rows : 2 * n_rows]
        if len(apart) == 0:
            return apart
        hashes = np.array(self.prepared.splits.train.hashes)
        return np.sort(apart[~np.isin(hashes[apart], hashes[order[:n_rows]])])

    def _ordered(self, share: float) -> tuple[np.ndarray, int]:
        """Return an order of the train rows, and how many of its beginning a stage trains on."""
        labels = self.prepared.splits.train.labels
        if self._order is None:
            self._order = stratified_order(labels, self.prepared.recipe.seed)
        return self._order, max(round(share * len(labels)), len(np.unique(labels)))

    @property
    def start_rows(self) -> np.ndarray:
        """The train rows of which those that a stage holds start its heads, in the order in which stages take rows."""
        order, _ = self._ordered(1.0)
        return order[: most_start_rows(self.prepared.splits.train.labels)]

    def start(self, model: Classifier, recipe: Recipe, n_rows: int) -> None:
        """Start a fresh model's head from a probe of a stage of so many rows; embeddings and probe are made once."""
        pooling, train = recipe.budget.pooling, self.prepared.train
        made_by = (pooling, None if pooling == "mean" else recipe.seed, recipe.training.numerics)
        if made_by not in self._features:
            with self.console.status("embedding train rows with the frozen encoder"):
                ids = taken(train.input_ids, self.start_rows)
                batch_size = recipe.training.per_device_eval_batch_size
                self._features[made_by] = (
                    embed_frozen(model, ids, batch_size)["mean"]
                    if pooling == "mean"
                    else head_inputs(model, ids, batch_size)
                )
        counts = (str(recipe.training.class_weights), recipe.training.balanced_sampling)
        key = (*made_by, recipe.seed, n_rows, *counts)
        if key not in self._heads:
            order, _ = self._ordered(1.0)
            features, labels = self._features[made_by][:n_rows], train.labels[order[:n_rows]]
            n_labels = model.last_projection.out_features
            probe = fit_on_features(features, np.arange(len(features)), labels, n_labels, recipe)
            self._heads[key] = probe.head_weights()
        start_head(model, *self._heads[key])


def train_short(
    ground: Ground,
    candidate: Candidate,
    stage: StageConfig,
    repeat: int,
    folder: Path,
    tell: Tell,
    left_out: np.ndarray,
) -> dict[str, Any]:
    """Train one candidate for one stage and return what it came to; an interrupted training goes on.

    Args:
        ground: What the study's trainings share; it has validation rows.
        candidate: Planned.
        stage: How long, and on how many rows.
        repeat: Added to the seed; the rows stay the same.
        folder: Where it leaves `history.jsonl` and, while it runs, its checkpoints.
        tell: Called with each epoch and its validation accuracy.
        left_out: Train rows that judge it beside the validation rows; may be none.

    Returns:
        ``accuracy`` (None: it diverged, and ``failed`` says so) and ``right`` (a bit a row) of the ``judged_rows``, ``log_loss``
        of the validation rows, costs (of one that diverged up to there: ``epochs_seen`` of its ``epochs``) and curve.
    """
    started = time.monotonic()
    if kept := _read_kept(folder, candidate):
        return kept
    validation = ground.prepared.validation
    if validation is None:
        raise ValueError("need validation rows")
    rows = ground.rows(stage.share)
    prepared = ground.prepared.replanned(
        _recipe_of(candidate, stage, repeat), ground.plan(candidate), len(rows)
    )
    recipe, plan, train = prepared.recipe, prepared.plan, _some(prepared.train, rows)
    run = RunFolder(folder)
    run.make()
    model = prepared.build()
    if recipe.model.head_init == "probe":
        ground.start(model, recipe, len(rows))
    quiet = Console(quiet=True)
    trainer = make_trainer(
        model, plan, recipe, train, validation, run.checkpoints, quiet, history=run.history
    )
    trainer.evaluate_scores = _Told(trainer.evaluate_scores, tell)
    result = _train(trainer, validation, _some(prepared.train, left_out), folder) | {
        "candidate": candidate.number,
        "trainable_parameters": plan.trainable_parameters,
    }
    result |= _count_costs(trainer, run, len(validation.labels), result)
    result["seconds"]["total"] = round(time.monotonic() - started + trainer.earlier_seconds, 2)
    write_json(folder / "result.json", result)
    run.remove_checkpoints()
    return result


def _read_kept(folder: Path, candidate: Candidate) -> dict[str, Any] | None:
    """Return the result of a training that was killed before the storage had it; None where there is none."""
    if not (folder / "result.json").is_file():
        return None
    kept: dict[str, Any] = read_json(folder / "result.json")
    if kept["candidate"] != candidate.number:
        return None
    RunFolder(folder).remove_checkpoints()
    return kept


def _some(labelled: Labelled, rows: np.ndarray) -> Labelled:
    return Labelled(taken(labelled.input_ids, rows), labelled.labels[rows])


def _train(trainer: BudgetTrainer, validation: Labelled, left_out: Labelled, folder: Path) -> dict[str, Any]:
    """Train; return what the best epoch comes to, or why there is none."""
    try:
        fit_adapter(trainer, resume=True)
        return _judge(trainer, validation, left_out, folder)
    except Diverged as error:
        return {"accuracy": None, "failed": str(error)}


def _judge(trainer: BudgetTrainer, validation: Labelled, left_out: Labelled, folder: Path) -> dict[str, Any]:
    """Return the best epoch's accuracy, which rows it has right, and its log loss on the validation rows.

    Raises:
        Diverged: If its scores are not finite.
    """
    batch_size = int(trainer.args.per_device_eval_batch_size)
    scores = trainer.best_scores or score(trainer.model, validation.input_ids, batch_size)
    _keep_predictions(folder, scores)
    right = scores.predictions == validation.labels
    if len(left_out.labels):
        apart = score(trainer.model, left_out.input_ids, batch_size).predictions == left_out.labels
        right = np.concatenate([right, apart])
    return {
        "accuracy": float(right.mean()),
        "right": np.packbits(right).tobytes().hex(),
        "judged_rows": len(right),
        "log_loss": tempered_log_loss(scores.logits, validation.labels),
    }


def _count_costs(
    trainer: BudgetTrainer, run: RunFolder, n_validation: int, result: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a training that came to ``result`` cost, and its curve.

    Its seconds of training are with the scoring of the rows that choose an epoch and judge it; those of the whole come later.
    """
    curve = [
        {"epoch": line["epoch"], "accuracy": line["eval_accuracy"]}
        for line in read_history(run.history)
        if "eval_accuracy" in line
    ]
    epochs = epochs_seen = float(trainer.args.num_train_epochs)
    if result["accuracy"] is None and trainer.state.epoch is not None:
        epochs_seen = round(float(trainer.state.epoch), 4)
    n_left_out = result.get("judged_rows", n_validation) - n_validation
    n_rows, n_scored = len(trainer.train_dataset), n_validation * max(1, len(curve)) + n_left_out
    return {
        "epochs": epochs,
        "epochs_seen": epochs_seen,
        "train_rows": n_rows,
        "rows_seen": round(epochs_seen * n_rows + SCORED_ROW * n_scored),
        "seconds": {"training": round(trainer.seconds, 2)},
        "curve": curve,
    }


def _recipe_of(candidate: Candidate, stage: StageConfig, repeat: int) -> Recipe:
    """Return what a candidate is trained by in a stage: for the stage's epochs, none left out."""
    recipe = candidate.recipe
    training = recipe.training.model_copy(
        update={
            "num_train_epochs": stage.num_train_epochs or recipe.training.num_train_epochs,
            "early_stopping_patience": None,
        }
    )
    return recipe.model_copy(update={"training": training, "seed": recipe.seed + repeat})


def right_rows(result: Mapping[str, Any]) -> np.ndarray:
    """Return which of the rows that judge it a short training had right, `[judged_rows]` of bool."""
    bits = np.frombuffer(bytes.fromhex(result["right"]), dtype=np.uint8)
    return np.unpackbits(bits, count=result["judged_rows"]).astype(bool)


def _keep_predictions(folder: Path, scores: Scores) -> None:
    with written_atomically(folder / "validation_logits.npy") as temporary, temporary.open("wb") as file:
        np.save(file, scores.logits.astype(np.float32), allow_pickle=False)


class _Told:
    """Figures of each evaluation, as the trainer asks for them, of which its accuracy is told."""

    def __init__(self, figures: Any, tell: Tell):
        self.figures, self.tell, self.count = figures, tell, 0

    def __call__(self, scores: Scores) -> dict[str, float]:
        found: dict[str, float] = self.figures(scores)
        self.count += 1
        self.tell(self.count, found["eval_accuracy"])
        return found
