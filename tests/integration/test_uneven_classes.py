"""Uneven classes: the Trainer's weighted loss is torch's, and weights bring a rare label back."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import submillion
from conftest import FILLER, learnable_rows
from submillion.errors import ConfigError
from submillion.recipe import load_recipe
from submillion.scoring import pad
from submillion.training.fit import fit_adapter, make_trainer
from submillion.training.prepare import Sources, prepare
from submillion.training.sampler import SeededSampler

QUIET = Console(file=io.StringIO())


def uneven(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return rows of which a tenth are `space`."""
    rows = learnable_rows(n * 3, seed)
    rare = [row for row in rows if row[1] == "space"][: n // 10]
    return [*[row for row in rows if row[1] != "space"][: n - len(rare)], *rare]


@pytest.mark.parametrize(("accumulation", "smoothing"), [(1, 0.0), (2, 0.1), (4, 0.0)])
def test_the_trainers_loss_is_torchs_over_the_whole_batch(tiny_encoder, tmp_path, accumulation, smoothing):
    recipe = load_recipe(
        model=tiny_encoder("bert"),
        class_weights="balanced",
        num_train_epochs=1,
        learning_rate=1e-12,  # the weights stay where they are, so that losses can be told beforehand
        lora_dropout=0.0,
        per_device_train_batch_size=8 // accumulation,
        gradient_accumulation_steps=accumulation,
        label_smoothing_factor=smoothing,
        logging_steps=1,
        numerics="exact",
        max_length=24,
    )
    prepared = prepare(recipe, Sources(uneven(40)), QUIET)
    model, train = prepared.build(), prepared.train
    trainer = make_trainer(model, prepared.plan, prepared.recipe, train, None, tmp_path / "run", QUIET)
    order = list(trainer._get_train_sampler())
    fit_adapter(trainer)
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    counts = np.bincount(train.labels)
    loss = torch.nn.CrossEntropyLoss(
        torch.tensor(40 / (3 * counts), dtype=torch.float32), label_smoothing=smoothing
    )
    model.eval()
    expected = []
    for start in range(0, 40, 8):
        rows = order[start : start + 8]
        with torch.no_grad():
            logits = model(*pad([train.input_ids[row] for row in rows], model.config.pad_token_id)).logits
        expected.append(loss(logits, torch.from_numpy(train.labels[rows])).item())
    assert losses == pytest.approx(expected, rel=1e-5)


def overlapping(n: int, share: float, seed: int) -> list[tuple[str, str]]:
    """Return rows of two labels that share a word: `rocket` stands in 60 % of `space` texts and 20 % of `sport` texts.

    With a tenth of the rows of `space`, even of the texts with a rocket most are `sport`.
    """
    draw, rows = random.Random(seed), []
    for index in range(n):
        label = "space" if index < share * n else "sport"
        has_rocket = draw.random() < (0.6 if label == "space" else 0.2)
        words = draw.choices(FILLER.split(), k=5) + (["rocket"] * 2 if has_rocket else ["match"] * 2)
        draw.shuffle(words)
        rows.append((" ".join(words) + f" {index}", label))
    return rows


def recall_of_space(folder: Path, model: str, **fields) -> tuple[float, dict]:
    submillion.train(
        overlapping(300, 0.1, 0),
        output=folder,
        model=model,
        num_train_epochs=3,
        learning_rate=3e-3,
        quiet=True,
        **fields,
    )
    report = submillion.evaluate(folder, overlapping(200, 0.5, 1))
    return next(row["recall"] for row in report["per_class"] if row["label"] == "space"), report


def test_a_rare_labels_recall_rises(tiny_encoder, tmp_path):
    model = tiny_encoder("bert")
    plain, report = recall_of_space(tmp_path / "plain", model)
    assert plain < 0.3
    assert not [note for note in report["notes"] if note.startswith("trained with")]
    for name, value in {"class_weights": {"space": 9.0}, "balanced_sampling": True}.items():
        recall, report = recall_of_space(tmp_path / name, model, **{name: value})
        assert recall > plain + 0.2, (name, plain, recall)
        assert [note for note in report["notes"] if note.startswith(f"trained with {name}: probabilities")]
    baselines = {each["name"]: each["accuracy"]["value"] for each in report["baselines"]}
    assert baselines["probe_mean"] > baselines["majority"] + 0.1, "the probe was not weighted"


def test_resumed_with_balanced_sampling_to_the_same_order():
    labels = np.array([0] * 9 + [1] * 3)
    first, second = (SeededSampler(12, 5, labels=labels) for _ in range(2))
    first.set_epoch(0)
    list(first)
    for sampler in (first, second):
        sampler.set_epoch(2)
    assert list(first) == list(second)


def test_what_cannot_be_is_refused_before_anything_is_written(tiny_encoder, tmp_path):
    how = {"model": tiny_encoder("bert"), "output": tmp_path / "run", "quiet": True}
    with pytest.raises(
        ConfigError, match="class_weights has no label 'ham': the train rows have 'space', 'sport', 'trade'"
    ):
        submillion.train(uneven(40), class_weights={"ham": 2}, **how)
    with pytest.raises(ConfigError, match="both even out the labels: choose one of them"):
        submillion.train(uneven(40), class_weights="balanced", balanced_sampling=True, **how)
    assert not (tmp_path / "run").exists()
