"""The first 10 steps' loss equals that of a plain Trainer + PEFT script, in fp32 without dropout."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from conftest import learnable_rows

STEPS = 10


def plain_losses(
    encoder: str, rows: list[dict], start: dict, accumulation: int, smoothing: float, folder: Path
) -> list[float]:
    """Train as a user's own script does, from the given weights, on rows in the given order."""
    from peft import LoraConfig, get_peft_model
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    base = AutoModelForSequenceClassification.from_pretrained(
        encoder, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    config = LoraConfig(
        task_type="SEQ_CLS", r=3, lora_alpha=6, target_modules=["query", "dense"], lora_dropout=0.0
    )
    model = get_peft_model(base, config)
    missing, unexpected = model.load_state_dict(start, strict=False)
    assert not missing
    assert not unexpected
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=4,
        gradient_accumulation_steps=accumulation,
        max_steps=STEPS,
        learning_rate=3e-4,
        lr_scheduler_type="cosine",
        warmup_steps=0.06,
        weight_decay=0.01,
        label_smoothing_factor=smoothing,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        train_sampling_strategy="sequential",
        dataloader_pin_memory=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    trainer = Trainer(
        model=model, args=arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer)
    )
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_first_steps_equal_plain_trainer(tiny_encoder, tmp_path, accumulation, smoothing):
    from submillion.model.build import build_model
    from submillion.recipe import load_recipe
    from submillion.training.fit import fit_adapter
    from submillion.training.prepare import Sources, prepare
    from submillion.training.sampler import SeededSampler

    encoder = tiny_encoder("roberta")
    n_rows = 4 * accumulation * STEPS
    recipe = load_recipe(
        "paper-r3-query-dense",
        model=encoder,
        max_length=16,
        padding="longest",
        lora_dropout=0.0,
        base_dropout=0.0,
        num_train_epochs=1,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=accumulation,
        label_smoothing_factor=smoothing,
        logging_steps=1,
        fp16=False,
        min_rows_to_split=10_000,
    )
    prepared = prepare(recipe, Sources(learnable_rows(n_rows)), Console(file=io.StringIO()))
    model = build_model(prepared.plan, encoder, prepared.splits.label_names, seed=1, base_dropout=0.0)
    for module in model.modules():
        if module.__class__.__name__ == "Dropout":
            module.p = 0.0
    start = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    train = prepared.train
    trainer = fit_adapter(
        model, prepared.plan, prepared.recipe, train, None, tmp_path / "ours", Console(file=io.StringIO())
    )
    ours = [line["loss"] for line in trainer.state.log_history if "loss" in line]

    order = list(SeededSampler(n_rows, recipe.seed, [len(ids) for ids in train.input_ids], 4))
    rows = [{"input_ids": train.input_ids[row], "labels": int(train.labels[row])} for row in order]
    plain = plain_losses(encoder, rows, start, accumulation, smoothing, tmp_path / "plain")
    assert len(ours) == len(plain) == STEPS
    assert ours == pytest.approx(plain, rel=1e-5)
    assert ours[-1] != pytest.approx(ours[0], rel=1e-3)
