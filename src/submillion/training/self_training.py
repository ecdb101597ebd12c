"""One training, or two: the second with the unlabelled texts that a teacher is sure of (Lee 2013, pseudo-labels).

The teacher is the first training's adapter together with TF-IDF (`submillion.together`): two that err on different texts teach what
either alone does not know (co-training; Blum and Mitchell 1998).
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet
from rich.console import Console
from scipy.special import softmax

from submillion.alternatives import PARTS, TOGETHER
from submillion.baselines import fit_tfidf_svm
from submillion.data.duplicates import HASH_LETTERS
from submillion.data.splits import Rows
from submillion.data.windows import joined
from submillion.errors import RunError
from submillion.model.adapter import freeze_unplanned
from submillion.model.build import Classifier
from submillion.run import RunFolder, write_json, written_atomically
from submillion.scoring import score
from submillion.temperature import fit_temperature, fit_temperatures
from submillion.together import own_pool_weights, pooled
from submillion.training.checkpoints import complete_checkpoints
from submillion.training.finish import finish_adapter
from submillion.training.fit import Labelled, fit_adapter, make_trainer
from submillion.training.prepare import Prepared
from submillion.training.seconds import Seconds
from submillion.training.trainer import BudgetTrainer, read_trained, write_trained
from submillion.training.weights import baseline_weights

START = "start.safetensors"
"""In `checkpoints/`: the trained parameters before the first step."""

SECOND = "self-training"
"""The folder in `checkpoints/` of the second training's own."""

MOST_TIMES = 4
"""Unlabelled texts join train up to so many times its rows."""

TEACHERS = {TOGETHER: PARTS, "adapter": ("adapter",)}
"""Who gives the labels, by `self_training_teacher`."""


def pseudo_labels_of(folder: RunFolder) -> Path:
    """Return where the labels are kept that the teacher gave; the file is there once they are settled."""
    return folder.path / "pseudo_labels.parquet"


def train_adapter(
    prepared: Prepared,
    model: Classifier,
    folder: RunFolder,
    resume: bool,
    seconds: Seconds,
    console: Console,
) -> tuple[BudgetTrainer, dict[str, Any]]:
    """Train the model in place; where there are unlabelled texts, once more from the same start with some of them.

    Args:
        prepared: Rows, tokens, plan and recipe.
        model: Its head already started, unless a checkpoint will be loaded.
        folder: Where checkpoints and labels are kept.
        resume: Go on from what stands there.
        seconds: Told what each training took.
        console: Where progress is shown.

    Returns:
        The trainer of the last training, and for `run.json` ``averaged_epochs``, ``adapter_scale`` and
        ``self_training``, each None where nothing was asked.
    """
    labels_file, start = pseudo_labels_of(folder), folder.checkpoints / START
    freeze_unplanned(model, prepared.plan)  # embedding the rows has let a frozen head train again
    if not (resume and labels_file.is_file()):
        if prepared.unlabelled is not None and not (resume and complete_checkpoints(folder.checkpoints)):
            write_trained(model, start)
        train = prepared.train
        trainer, done = _one_training(prepared, model, train, folder, folder.checkpoints, resume, console)
        seconds.set("training", trainer.seconds)
        done["self_training"] = None
        if prepared.unlabelled is None:
            return trainer, done
        with seconds.spent_on("self_training"):
            done["self_training"] = _label(prepared, model, folder, console)
        if not labels_file.is_file():
            console.print("self-training: no unlabelled text is sure, and the first training is kept")
            return trainer, done
        seconds.set("first_training", trainer.seconds)
    train = _with_pseudo_labels(prepared, folder)
    n_added = len(train.labels) - len(prepared.splits.train)
    console.print(
        f"self-training: {n_added:,} unlabelled texts join train, which starts anew", highlight=False
    )
    read_trained(model, start)
    checkpoints = folder.checkpoints / SECOND
    trainer, done = _one_training(prepared, model, train, folder, checkpoints, resume, console)
    seconds.set("training", trainer.seconds)
    return trainer, done | {"self_training": folder.read()["self_training"]}


def most_of_second(prepared: Prepared) -> float:
    """Return how many times as many tokens as the first training the second one has at most."""
    train, unlabelled = (prepared.tokens[name].input_ids for name in ("train", "unlabelled"))
    n_joining = min(MOST_TIMES * len(train), len(unlabelled))
    return 1 + n_joining * float(np.mean([len(ids) for ids in unlabelled])) / sum(len(ids) for ids in train)


def _one_training(
    prepared: Prepared,
    model: Classifier,
    train: Labelled,
    folder: RunFolder,
    checkpoints: Path,
    resume: bool,
    console: Console,
) -> tuple[BudgetTrainer, dict[str, Any]]:
    recipe, validation = prepared.recipe, prepared.validation
    trainer = make_trainer(
        model, prepared.plan, recipe, train, validation, checkpoints, console, history=folder.history
    )
    fit_adapter(trainer, resume=resume)
    return trainer, finish_adapter(trainer, recipe.training, validation)


def _label(prepared: Prepared, model: Classifier, folder: RunFolder, console: Console) -> dict[str, Any]:
    """Label the unlabelled texts that the teacher is sure of, keep the labels, and return what to say of them."""
    if prepared.unlabelled is None:
        raise ValueError("there are no unlabelled texts")
    config, splits = prepared.recipe.training, prepared.splits
    scores, temperatures = _teacher(prepared, model, prepared.unlabelled.texts)
    taught_by = [name for name in PARTS if name in temperatures] or ["adapter"]
    if len(taught_by) < len(TEACHERS[config.self_training_teacher]):
        console.print(
            "self-training: the adapter teaches alone, for there are no held-back rows that tell how far to trust each"
        )
    probabilities = softmax(scores, axis=1)
    rows = sure_rows(probabilities, config.self_training_threshold, MOST_TIMES * len(splits.train))
    labels = probabilities[rows].argmax(axis=1)
    counts = np.bincount(labels, minlength=len(splits.label_names)).tolist()
    record = {
        "threshold": config.self_training_threshold,
        "taught_by": taught_by,
        "temperatures": temperatures,
        "n_unlabelled": len(probabilities),
        "n_sure": int(np.sum(probabilities.max(axis=1) >= config.self_training_threshold)),
        "n_used": len(rows),
        "used_per_class": dict(zip(splits.label_names, counts, strict=True)),
    }
    folder.update(self_training=record)
    if len(rows):
        shutil.copyfile(folder.history, folder.path / "history_first.jsonl")
        hashes = [prepared.unlabelled.hashes[row] for row in rows]
        table = {"text_sha256": hashes, "label": labels, "probability": probabilities[rows].max(axis=1)}
        with written_atomically(pseudo_labels_of(folder)) as temporary:
            parquet.write_table(pyarrow.table(table), temporary)
    return record


def _teacher(
    prepared: Prepared, model: Classifier, texts: Sequence[str]
) -> tuple[np.ndarray, dict[str, float]]:
    """Return the teacher's logits of the unlabelled ``texts``, `[n, n_labels]`, and the temperatures that they are made with.

    These are fitted on the calibration rows, or on those of validation where there are none. Without either the adapter teaches
    alone, as it is.
    """
    splits, batch_size = prepared.splits, prepared.recipe.training.per_device_eval_batch_size
    held_back = "validation" if splits.calibration is None else "calibration"
    known: Rows | None = getattr(splits, held_back)
    logits = score(model, prepared.tokens["unlabelled"].input_ids, batch_size).logits.astype(np.float64)
    if known is None:
        return logits, {}
    of_known = {"adapter": score(model, prepared.tokens[held_back].input_ids, batch_size).logits}
    of_new = {"adapter": logits}
    if "tfidf_svm" in TEACHERS[prepared.recipe.training.self_training_teacher]:
        labels, n_labels = prepared.train.labels, len(splits.label_names)
        weights = baseline_weights(prepared.recipe.training, labels, n_labels)
        svm = fit_tfidf_svm(splits.train.texts, labels, n_labels, prepared.recipe.seed, weights)
        of_known[svm.name], of_new[svm.name] = svm.scores(known.texts, {}), svm.scores(texts, {})
    temperatures = fit_temperatures(of_known, known.labels)
    at = own_pool_weights(temperatures)
    of_teacher = fit_temperature(pooled(of_known, at), known.labels)
    return pooled(of_new, at) / of_teacher, temperatures | {"teacher": of_teacher}


def sure_rows(probabilities: np.ndarray, threshold: float, most: int) -> np.ndarray:
    """Return the rows whose largest probability reaches a threshold, in their order.

    Of more than ``most`` the most probable of each label are taken, so many that the labels keep their shares.

    Args:
        probabilities: `[n, n_labels]`.
        threshold: Inclusive.
        most: Rows at most.

    >>> sure_rows(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.95, 0.05]]), 0.8, most=4).tolist()
    [0, 1, 3]
    >>> sure_rows(np.array([[0.9, 0.1], [0.95, 0.05], [0.2, 0.8], [0.1, 0.9]]), 0.8, most=2).tolist()
    [1, 3]
    """
    surest, labels = probabilities.max(axis=1), probabilities.argmax(axis=1)
    rows = np.flatnonzero(surest >= threshold)
    if len(rows) <= most:
        return rows
    taken = []
    for label in np.unique(labels[rows]):
        of_label = rows[labels[rows] == label]
        order = np.argsort(-surest[of_label], kind="stable")
        taken.append(of_label[order[: most * len(of_label) // len(rows)]])
    return np.sort(np.concatenate(taken))


def _with_pseudo_labels(prepared: Prepared, folder: RunFolder) -> Labelled:
    """Return the train rows and the texts that the teacher labelled; `evaluate` will know these as trained on.

    Raises:
        RunError: If the kept labels are damaged, or of other texts.
    """
    if prepared.unlabelled is None:
        raise ValueError("there are no unlabelled texts")
    path, train = pseudo_labels_of(folder), prepared.train
    place = {text_hash: row for row, text_hash in enumerate(prepared.unlabelled.hashes)}
    try:
        table = parquet.read_table(path)
        hashes, labels = table["text_sha256"].to_pylist(), table["label"].to_numpy()
        rows = np.array([place[text_hash] for text_hash in hashes], dtype=np.int64)
    except (OSError, pyarrow.ArrowInvalid, KeyError) as error:
        raise RunError(f"{path} cannot be used ({error}): remove it, and go on by --resume") from None
    seen = [*prepared.splits.train.hashes, *hashes]
    write_json(folder.train_hashes, [text_hash[:HASH_LETTERS] for text_hash in seen])
    input_ids = joined(prepared.tokens["train"].input_ids, prepared.tokens["unlabelled"].input_ids.take(rows))
    return Labelled(input_ids, np.concatenate([train.labels, labels]))
