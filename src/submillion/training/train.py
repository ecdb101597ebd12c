"""One training, from a recipe and rows to a run folder."""

import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from submillion.baselines import Baselines
from submillion.budget.plan import ALLOCATE
from submillion.closeness import measure_shift
from submillion.data.duplicates import HASH_LETTERS
from submillion.data.splits import Rows
from submillion.data.windows import Windows
from submillion.encoders import load_tokenizer
from submillion.errors import RunError
from submillion.model.build import Classifier
from submillion.model.device import choose_device
from submillion.model.files import NAMES
from submillion.model.saved import load_saved, save_adapter
from submillion.multi_label import decide
from submillion.recipe import SOURCE_FIELDS, Recipe
from submillion.reference import Look, write_look
from submillion.run import RunFolder, read_json, write_json
from submillion.scoring import MultiLabelScores, Scores, embed_frozen, score, write_scores
from submillion.together import fit_all
from submillion.training.callbacks import read_history
from submillion.training.checkpoints import complete_checkpoints, share_done
from submillion.training.cross_validation import cross_validate
from submillion.training.fit import make_trainer
from submillion.training.forecast import Forecast, forecast, peak_bytes
from submillion.training.frozen_rows import FrozenRows, baseline_bytes, held_bytes
from submillion.training.multi_label import default_thresholds, fit_thresholds
from submillion.training.prepare import Prepared, Sources, prepare
from submillion.training.seconds import Seconds
from submillion.training.self_training import SECOND, most_of_second, train_adapter
from submillion.training.trainer import BudgetTrainer


def train_run(
    recipe: Recipe, sources: Sources, output: str, *, resume: bool, console: Console
) -> dict[str, Any]:
    """Train by a recipe into a run folder and return its `run.json`; its figures are for `evaluation` to add.

    Args:
        recipe: What to do.
        sources: What to read.
        output: The run folder; it must not exist or be empty, unless ``resume``.
        resume: Go on with an interrupted run, to the same adapter.
        console: Where progress is shown.

    Raises:
        SubmillionError: Whatever a user can mend: data, recipe, budget or run folder.
    """
    folder = RunFolder(output)
    started = time.monotonic()
    earlier = check_output(folder, resume)
    if earlier is not None and recipe.training.numerics is None:
        kept = recipe.training.model_copy(update={"numerics": earlier["with"]["numerics"]})
        recipe = recipe.model_copy(update={"training": kept})
    if earlier is not None and recipe.budget.rank == ALLOCATE and earlier["recipe"]["budget"]["rank_pattern"]:
        same = {name: earlier["recipe"]["budget"][name] for name in ("rank", "rank_pattern", "lora_alpha")}
        recipe = recipe.model_copy(update={"budget": recipe.budget.model_copy(update=same)})
    prepared = prepare(recipe, sources, console)
    if earlier is not None:
        _check_same(earlier, prepared, folder)
    model = prepared.build()
    foretold = _foretell(prepared, model, folder, console)
    if earlier is None:
        folder.start(**_first_record(prepared, sources), forecast=foretold.to_json())
    else:
        if differing := [
            key for key, value in _made_with(prepared).items() if earlier["with"].get(key) != value
        ]:
            console.print(
                f"resumed with other {', '.join(differing)} than begun: the adapter may differ in its last bits"
            )
        folder.update(status="running", resumed=earlier["resumed"] + 1)
    with folder.failure_noted():
        seconds = Seconds(folder)
        seconds.add("preparing", time.monotonic() - started)
        return _train(prepared, model, folder, resume, seconds, console)


def _foretell(prepared: Prepared, model: Classifier, folder: RunFolder, console: Console) -> Forecast:
    """Say what the training will need, before anything is written; refuse what memory is too short for."""
    recipe, tokens = prepared.recipe, prepared.tokens["train"]
    with tempfile.TemporaryDirectory() as unused, console.status("measuring a few steps"):
        trainer = make_trainer(
            model, prepared.plan, recipe, prepared.train, prepared.validation, Path(unused), console
        )
        trainings = 1 - share_done(folder.checkpoints)
        if prepared.unlabelled is not None:
            trainings += most_of_second(prepared) * (1 - share_done(folder.checkpoints / SECOND))
        is_crossed = folder.exists and folder.read()["cross_validation"] is not None
        if recipe.evaluation.cv is not None and not is_crossed:
            trainings += recipe.evaluation.cv - 1  # that many trainings, each on all rows but a part
        n_cut = 0 if recipe.data.windows else tokens.n_cut
        foretold = forecast(
            trainer, n_cut / max(1, len(tokens)), trainings, held_bytes(prepared), baseline_bytes(prepared)
        )
    foretold = replace(foretold, is_most=prepared.unlabelled is not None)
    console.print(foretold.sentence(), highlight=False, soft_wrap=True)
    if crowded := foretold.crowding.sentence(torch.get_num_threads()):
        console.print(crowded, highlight=False, soft_wrap=True)
    return foretold


def check_output(folder: RunFolder, resume: bool) -> dict[str, Any] | None:
    """Return the record of the run to go on with, None for a new one.

    Raises:
        RunError: If the folder holds something else than may be gone on with.
    """
    if not resume:
        folder.check_free()
        return None
    if not folder.exists:
        return None
    record = folder.read()
    if record["status"] == "finished":
        if not record["recipe"]["training"]["keep_checkpoints"]:
            folder.remove_checkpoints()  # a kill may have come before it
        raise RunError(
            f"{folder.path} is finished: there is nothing to resume; leave --resume out and choose another --output to train again"
        )
    return record


def _check_same(earlier: dict[str, Any], prepared: Prepared, folder: RunFolder) -> None:
    """Refuse to resume with another recipe or other rows than the run began with."""
    recipe, unset = (each.model_dump(mode="json") for each in (prepared.recipe, Recipe()))
    differing = [
        f"{section}.{key}"
        for section in Recipe.SECTIONS
        for key, value in recipe[section].items()
        if not (section == "data" and key in SOURCE_FIELDS)
        # A key that the run's version did not know counts as one that was not set.
        and earlier["recipe"][section].get(key, unset[section][key]) != value
    ]
    if earlier["recipe"]["seed"] != recipe["seed"]:
        differing.append("seed")
    if differing:
        raise RunError(
            f"{folder.path} was begun with another {', '.join(differing)}: resume it with the same, or choose another --output"
        )
    if earlier["data"]["splits"] != prepared.splits.summary()["splits"]:
        raise RunError(
            f"{folder.path} was begun on other rows than {prepared.splits.train.source} now holds: choose another --output"
        )
    if earlier["data"].get("unlabelled") != _unlabelled_summary(prepared):
        raise RunError(f"{folder.path} was begun with other unlabelled texts: choose another --output")


def _unlabelled_summary(prepared: Prepared) -> dict[str, Any] | None:
    return None if prepared.unlabelled is None else prepared.unlabelled.summary()


def _made_with(prepared: Prepared) -> dict[str, Any]:
    """Return what a run is made with: its adapter is the same bit for bit where all of it is."""
    return {
        "versions": {
            name: version(name)
            for name in ("submillion", "torch", "transformers", "peft", "scikit-learn", "datasets")
        },
        "python": platform.python_version(),
        "device": str(choose_device()),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "numerics": prepared.recipe.training.numerics,
        "seed": prepared.recipe.seed,
    }


def _first_record(prepared: Prepared, sources: Sources) -> dict[str, Any]:
    """Return what `run.json` says before training."""
    tokens, splits = prepared.tokens["train"], prepared.splits
    n_cut = 0 if isinstance(tokens.input_ids, Windows) else tokens.n_cut
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": prepared.recipe.model_dump(mode="json"),
        "encoder": prepared.encoder,
        "plan": prepared.plan.to_json(),
        "with": _made_with(prepared),
        "data": {
            "sources": sources.described(),
            **splits.summary(),
            "unlabelled": _unlabelled_summary(prepared),
            "max_length": tokens.max_length,
            "rows_cut": n_cut,
            "share_of_rows_cut": round(n_cut / max(len(tokens), 1), 4),
            "windows": len(tokens.input_ids.windows) if isinstance(tokens.input_ids, Windows) else None,
        },
        "cross_validation": None,
        "resumed": 0,
        "test_reads": [],
    }


def _train(
    prepared: Prepared,
    model: Classifier,
    folder: RunFolder,
    resume: bool,
    seconds: Seconds,
    console: Console,
) -> dict[str, Any]:
    """Fit adapter and baselines, score what was held back, save; return the record so far."""
    recipe, splits = prepared.recipe, prepared.splits
    write_json(folder.train_hashes, [text_hash[:HASH_LETTERS] for text_hash in splits.train.hashes])
    if recipe.evaluation.cv is not None and folder.read()["cross_validation"] is None:
        with seconds.spent_on("cross_validation"):
            crossed = cross_validate(prepared, recipe.evaluation.cv, console)
        folder.update(cross_validation=crossed)
    is_begun = resume and bool(complete_checkpoints(folder.checkpoints))
    frozen = FrozenRows(prepared, model, folder, seconds, console)
    kept = frozen.kept_baselines()  # refused before training, if they are damaged
    if recipe.model.head_init == "probe" and not is_begun:
        frozen.start_head()
    trainer, done = train_adapter(prepared, model, folder, resume, seconds, console)
    _save(prepared, model, folder)
    baselines = kept or frozen.fit_baselines()
    with seconds.spent_on("scoring"):
        predicting, shift = _as_it_predicts(prepared, model, folder)
    of_validation = trainer.best_scores if predicting is model else None
    fitted, thresholds = _score_held_back(prepared, predicting, baselines, of_validation, folder, seconds)
    fitted = _whole(fitted, folder.read()["cross_validation"])
    if thresholds is not None:
        _save(prepared, model, folder, thresholds["adapter"])
    elif "adapter" in fitted["temperatures"]:
        names = folder.adapter / NAMES
        write_json(names, read_json(names) | {"temperature": fitted["temperatures"]["adapter"]})
    history = read_history(folder.history)
    return folder.update(
        bf16_shift=shift,
        peak_gb=round(peak_bytes() / 1e9, 2),
        baselines=baselines.to_json(),
        thresholds=thresholds,
        best_epoch=_best_epoch(trainer, history, splits.validation is not None),
        steps=max((line["step"] for line in history), default=0),
        **fitted,
        **done,
    )


def _whole(
    of_calibration: dict[str, dict[str, float]], crossed: Mapping[str, Any] | None
) -> dict[str, dict[str, float]]:
    """Return temperatures and weights of the calibration rows, or of the folds where those lack one; never some of each."""
    of_folds: dict[str, float] = (crossed or {}).get("temperatures", {})
    if crossed is None or of_folds.keys() <= of_calibration["temperatures"].keys():
        return of_calibration
    return {"temperatures": of_folds, "pool_weights": crossed.get("pool_weights", {})}


def _as_it_predicts(
    prepared: Prepared, model: Classifier, folder: RunFolder
) -> tuple[Classifier, float | None]:
    """Return what will predict, never in int8, and how far bf16 moves its logits; None in fp32."""
    recipe = prepared.recipe
    if recipe.training.numerics == "exact":
        return model, None
    if recipe.training.numerics == "int8":
        model = load_saved(folder.adapter, numerics="fast").model
    exact = load_saved(folder.adapter).model
    rows, batch_size = prepared.tokens["train"].input_ids, recipe.training.per_device_eval_batch_size
    is_single = not prepared.splits.is_multi_label
    return model, measure_shift(model, exact, rows, batch_size, is_single=is_single)


def _score_held_back(
    prepared: Prepared,
    model: Classifier,
    baselines: Baselines,
    of_validation: Scores | None,
    folder: RunFolder,
    seconds: Seconds,
) -> tuple[dict[str, dict[str, float]], dict[str, float] | None]:
    """Score validation, where ``of_validation`` does not hold that yet, and calibration, by adapter and baselines; keep it.

    Returns:
        What `fit_all` finds for the adapter and the baselines on the calibration rows; nothing where there are none. Where rows may have
        several labels, their thresholds on the validation rows; else None.
    """
    batch_size = prepared.recipe.training.per_device_eval_batch_size
    fitted: dict[str, dict[str, float]] = {"temperatures": {}, "pool_weights": {}}
    thresholds = default_thresholds(baselines) if prepared.splits.is_multi_label else None
    for split in ("validation", "calibration"):
        rows: Rows | None = getattr(prepared.splits, split)
        if rows is None:
            continue
        input_ids = prepared.tokens[split].input_ids
        with seconds.spent_on("scoring"):
            known = of_validation if split == "validation" else None
            scores = known or score(model, input_ids, batch_size)
        with seconds.spent_on("scoring_baselines"):
            look = Look.of(rows.texts, embed_frozen(model, input_ids, batch_size), baselines, are_train=False)
        write_look(folder.look(split), look)
        predictions = look.predictions
        if thresholds is not None:
            thresholds = fit_thresholds({"adapter": scores.logits, **look.scores}, rows.labels)
            scores = MultiLabelScores(scores.logits, scores.embeddings, thresholds["adapter"])
            predictions = {name: decide(values, thresholds[name]) for name, values in look.scores.items()}
        write_scores(folder.scores(split), rows.row_numbers, rows.labels, scores, predictions)
        if split == "calibration":
            fitted = fit_all({"adapter": scores.logits, **look.scores}, rows.labels)
    return fitted, thresholds


def _save(prepared: Prepared, model: Classifier, folder: RunFolder, threshold: float | None = None) -> None:
    save_adapter(
        model,
        load_tokenizer(prepared.encoder),  # anew: held while training, it would take some 25 MB
        folder.adapter,
        encoder=prepared.encoder,
        model_name=prepared.recipe.model.model,
        label_names=prepared.splits.label_names,
        label_values=prepared.splits.label_values,
        max_length=prepared.tokens["train"].max_length,
        are_pairs=prepared.splits.are_pairs,
        stride=prepared.recipe.data.stride,
        threshold=threshold,
    )


def _best_epoch(trainer: BudgetTrainer, history: list[dict[str, Any]], has_validation: bool) -> float | None:
    """Return the epoch whose weights were kept, None where no validation chose one."""
    if not has_validation:
        return None
    key = f"eval_{trainer.args.metric_for_best_model}"
    evaluated = [line for line in history if key in line]
    return float(max(evaluated, key=lambda line: line[key])["epoch"]) if evaluated else None
