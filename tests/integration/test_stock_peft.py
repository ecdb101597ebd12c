"""Stock PEFT both ways: what is saved here loads without this package, what plain PEFT saved loads here."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import submillion
from conftest import BLOCK_SUBMILLION, learnable_rows
from submillion.budget import FAMILIES
from submillion.budget.plan import make_plan
from submillion.cli.main import main
from submillion.errors import BudgetError, RunError
from submillion.model.build import build_model, quiet_transformers

HEADS = {"full": ("first", "full"), "output": ("first", "output"), "mean": ("mean", None)}
CASES = [f"{family}-{head}" for family in FAMILIES for head in HEADS]
LABELS = ("space", "sport", "trade")
BUDGET = {"rank": 2, "target_modules": "default"}
TEXTS = [text for text, _ in learnable_rows(12, seed=5)] + ["goal", "", "moon " * 80]

WITHOUT_SUBMILLION = (
    BLOCK_SUBMILLION
    + """
folders, texts, answers = *json.loads(sys.argv[1]), {}
for name, folder in folders.items():
    os.chdir(folder)
    (code,) = re.findall(r"```python\\n(.*?)```", open("README.md", encoding="utf-8").read(), re.DOTALL)
    example = 'texts = ["a text to classify"]'
    assert code.count(example) == 1
    space = {}
    exec(code.replace(example, "texts = " + repr(texts)), space)
    merged = space["model"].merge_and_unload()
    with space["torch"].no_grad():
        output = merged(**space["batch"])
    if "head" in space:
        mask = space["batch"]["attention_mask"].unsqueeze(-1)
        mean = (output.last_hidden_state * mask).sum(1) / mask.sum(1)
        mean = space["torch"].nn.functional.normalize(mean, dim=-1)
        after = mean @ space["head"]["weight"].T + space["head"]["bias"]
    else:
        after = output.logits
    answers[name] = [space["names"], space["logits"].tolist(), after.tolist()]
json.dump(answers, open(sys.argv[2], "w"))
"""
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_encoder) -> dict[str, Path]:
    """A run of one epoch for each family and head."""
    folder = tmp_path_factory.mktemp("stock")
    for case in CASES:
        family, _, name = case.rpartition("-")
        pooling, head = HEADS[name]
        submillion.train(
            learnable_rows(48),
            output=folder / case,
            model=tiny_encoder(family),
            pooling=pooling,
            head=head,
            num_train_epochs=1,
            learning_rate=2e-2,
            head_init="random",
            numerics="exact",
            max_length=24,
            quiet=True,
            **BUDGET,
        )
    return {case: folder / case for case in CASES}


@pytest.fixture(scope="module")
def answers(runs, tmp_path_factory) -> dict[str, list]:
    """Names, logits and merged logits that each README's own lines give where submillion cannot be imported."""
    out = tmp_path_factory.mktemp("answers") / "answers.json"
    told = json.dumps([{case: str(run / "adapter") for case, run in runs.items()}, TEXTS])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SUBMILLION, told, str(out)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "is blocked" not in done.stderr
    return json.loads(out.read_text())


@pytest.mark.parametrize("case", CASES)
def test_readme_lines_give_the_same_logits_without_this_package(runs, answers, case):
    predictor = submillion.load(runs[case])
    ours = predictor.scores(TEXTS).logits
    names, plain, merged = answers[case]
    assert list(names.values()) == list(predictor.label_names) == list(LABELS)
    assert np.ptp(ours, axis=0).min() > 1e-4, "logits that do not depend on the text prove nothing"
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours, merged, rtol=0, atol=1e-4)


def test_the_saved_tokenizer_cuts_where_training_did(runs):
    run = runs[next(iter(CASES))]
    cut = json.loads((run / "run.json").read_text())["data"]["max_length"]
    from transformers import AutoTokenizer

    stock = AutoTokenizer.from_pretrained(run / "adapter")
    assert len(stock("word " * 500, truncation=True)["input_ids"]) == cut < 500


@pytest.mark.parametrize("case", CASES)
def test_training_moved_every_adapter_matrix(runs, case):
    """Equal logits would also come from an adapter that was never trained or never loaded."""
    weights = load_file(runs[case] / "adapter" / "adapter_model.safetensors")
    moved = [key for key, value in weights.items() if key.endswith("lora_B.weight") and value.abs().max() > 0]
    assert len(moved) == sum(key.endswith("lora_B.weight") for key in weights) > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_head_layer_is_saved_and_did_not_move(runs, tiny_encoder, family):
    run = runs[f"{family}-output"]
    encoder = tiny_encoder(family)
    plan = make_plan(encoder, 3, head="output", pooling="first", **BUDGET)
    start = build_model(plan, encoder, LABELS, seed=42, base_dropout=0.0)
    before = {
        name.replace(".modules_to_save.default", ""): value
        for name, value in start.encoder.state_dict().items()
        if "modules_to_save" in name
    }
    saved = load_file(run / "adapter" / "adapter_model.safetensors")
    frozen = [key for key in saved if any(f".{layer}." in key for layer in plan.frozen_head)]
    assert len(frozen) >= len(plan.frozen_head)
    for key in frozen:
        assert torch.equal(saved[key], before[key]), f"{key} moved in training"
    (output,) = [key for key in saved if key.endswith(f".{FAMILIES[family].head[-1]}.weight")]
    assert not torch.equal(saved[output], before[output]), "the trained projection did not move"

    torch.manual_seed(1)
    first = submillion.load(run)
    torch.manual_seed(2)
    second = submillion.load(run)
    assert np.array_equal(first.scores(TEXTS).logits, second.scores(TEXTS).logits)
    loaded = {
        name.replace(".modules_to_save.default", ""): value
        for name, value in first.answering.saved.model.encoder.named_parameters()
        if "modules_to_save" in name
    }
    for key in frozen:
        assert torch.equal(loaded[key], saved[key])


def train_plainly(encoder: str, folder: Path, *, bias: str, with_tokenizer: bool):
    """Train as a user's own script does, with nothing of this package; return the trained model and tokenizer."""
    from peft import LoraConfig, get_peft_model
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    with quiet_transformers():
        base = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=3)
        config = LoraConfig(
            task_type="SEQ_CLS", r=3, lora_alpha=6, target_modules=["query", "dense"], bias=bias
        )
        model = get_peft_model(base, config)
    rows = [
        {**tokenizer(text, truncation=True, max_length=32), "labels": LABELS.index(label)}
        for text, label in learnable_rows(48)
    ]
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=8,
        num_train_epochs=1,
        learning_rate=1e-2,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    Trainer(
        model=model, args=arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer)
    ).train()
    model.eval().save_pretrained(str(folder / "adapter"))
    if with_tokenizer:
        tokenizer.save_pretrained(str(folder / "adapter"))
    return model, tokenizer


def column(path: Path, name: str) -> list[str]:
    return [row[name] for row in csv.DictReader(io.StringIO(path.read_text()))]


@pytest.mark.parametrize(
    ("family", "bias", "with_tokenizer"),
    [("bert", "none", True), ("roberta", "none", False), ("roberta", "all", True), ("bert", "all", False)],
)
def test_adapter_of_plain_trainer_loads_here(tiny_encoder, tmp_path, capsys, family, bias, with_tokenizer):
    encoder = tiny_encoder(family)
    model, tokenizer = train_plainly(encoder, tmp_path, bias=bias, with_tokenizer=with_tokenizer)
    texts = [text for text in TEXTS if len(text) < 300]
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.numpy()
    adapter = tmp_path / "adapter"
    if bias == "all":
        biases = [key for key in load_file(adapter / "adapter_model.safetensors") if "LayerNorm.bias" in key]
        assert biases, "the adapter under test should hold the encoder's biases"

    predictor = submillion.load(adapter)
    assert predictor.label_names == ("0", "1", "2")
    np.testing.assert_allclose(predictor.scores(texts).logits, logits, rtol=0, atol=1e-5)

    expected = [str(label) for label in logits.argmax(1)]
    capsys.readouterr()
    main(["predict", str(adapter), *(part for text in texts[:3] for part in ("--text", text)), "--json"])
    answered = json.loads(capsys.readouterr().out)
    assert [answer["label"] for answer in answered] == expected[:3]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    out = tmp_path / "out.csv"
    main(["predict", str(adapter), "--input", str(tmp_path / "in.jsonl"), "--output", str(out)])
    assert column(out, "label") == expected
    main(
        [
            "predict",
            str(adapter),
            "--input",
            str(tmp_path / "in.jsonl"),
            "--output",
            str(out),
            "--format",
            "submission",
        ]
    )
    assert column(out, "Label") == expected


def one_line_refusal(adapter: Path, capsys) -> str:
    with pytest.raises(RunError) as caught:
        submillion.load(adapter)
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(adapter), "--text", "a"])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"error: {caught.value}\n"
    return str(caught.value)


def save_untrained(encoder: str, folder: Path, task: str, **options) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel, AutoModelForSequenceClassification

    auto = AutoModel if task == "FEATURE_EXTRACTION" else AutoModelForSequenceClassification
    with quiet_transformers():
        base = auto.from_pretrained(encoder)
        config = LoraConfig(task_type=task, r=2, target_modules=["query"])
        get_peft_model(base, config).save_pretrained(str(folder), **options)
    return folder


def test_adapter_without_a_head_is_refused(tiny_encoder, tmp_path, capsys):
    adapter = save_untrained(tiny_encoder("roberta"), tmp_path / "bare", "FEATURE_EXTRACTION")
    assert re.fullmatch(
        rf"{adapter}/adapter_model\.safetensors holds no head: it is no adapter of a classifier, .*",
        one_line_refusal(adapter, capsys),
    )


def test_pickled_weights_are_refused_and_not_read(tiny_encoder, tmp_path, capsys):
    adapter = save_untrained(tiny_encoder("roberta"), tmp_path / "pickled", "SEQ_CLS")
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(
        b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
    )
    assert one_line_refusal(adapter, capsys) == (
        f"{adapter} has no adapter_model.safetensors: its weights are pickled (adapter_model.bin), which is not "
        "read; save it again as safetensors"
    )
    assert not (tmp_path / "ran").exists()


def test_folder_that_is_neither_is_refused(tmp_path, capsys):
    assert "it has no run.json" in one_line_refusal(tmp_path, capsys)


def test_adapter_with_a_damaged_file_is_refused(tiny_encoder, tmp_path, capsys):
    adapter = save_untrained(tiny_encoder("roberta"), tmp_path / "cut", "SEQ_CLS")
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert one_line_refusal(adapter, capsys).startswith(f"{weights} cannot be read (")


def test_run_with_a_damaged_adapter_is_refused(runs, tmp_path, capsys):
    adapter = tmp_path / "adapter"
    shutil.copytree(runs["roberta-mean"] / "adapter", adapter)
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert one_line_refusal(adapter, capsys).startswith(f"{weights} cannot be read (")


def test_adapter_on_another_base_is_refused(runs, tiny_encoder):
    encoder = tiny_encoder("bert")
    with pytest.raises(
        RunError, match=rf"does not fit the base '{encoder}': name the one it was made on by --encoder"
    ):
        submillion.load(runs["roberta-full"] / "adapter", encoder=encoder)


def test_head_of_mean_pooling_must_fit_its_names(runs, tmp_path, capsys):
    adapter = tmp_path / "adapter"
    shutil.copytree(runs["roberta-mean"] / "adapter", adapter)
    names = json.loads((adapter / "submillion.json").read_text())
    (adapter / "submillion.json").write_text(json.dumps(names | {"label_names": ["one", "two"]}))
    assert "the saved head has 3 labels, 2 names" in one_line_refusal(adapter, capsys)


def test_an_adapter_changed_after_training_is_refused(runs, tmp_path):
    """A run whose adapter is no longer the planned one does not answer."""
    run = tmp_path / "run"
    shutil.copytree(runs["roberta-full"], run)
    config = json.loads((run / "adapter" / "adapter_config.json").read_text())
    config["target_modules"] = ["query"]
    (run / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(
        BudgetError, match=r"after load: the model is not the planned one: missing: encoder\.base_model"
    ):
        submillion.load(run)
