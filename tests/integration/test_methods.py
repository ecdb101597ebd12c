"""Every method and start: planned is built, only that moves, and what is saved loads and merges by stock PEFT alone."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet
from rich.console import Console
from safetensors.torch import load_file
from test_planned_is_built import N_LABELS, assert_equal, build, tiny

import submillion
from conftest import BLOCK_SUBMILLION, learnable_rows
from submillion.budget import METHODS, make_plan
from submillion.budget.methods import MOVING_BASE
from submillion.encoders import load_tokenizer
from submillion.errors import ConfigError
from submillion.model import device
from submillion.model.as_saved import plan_as_saved
from submillion.model.saved import load_saved, save_adapter
from submillion.recipe import load_recipe
from submillion.scoring import score
from submillion.training.fit import fit_adapter, make_trainer
from submillion.training.prepare import Sources, prepare

FIRST = ("dora", "adalora", "loha", "ia3", "ln_tuning")
CASES = {
    **{f"{method}-mean": {"method": method} for method in METHODS},
    **{f"{method}-first": {"method": method, "pooling": "first"} for method in FIRST},
    **{f"{start}-mean": {"init_lora_weights": start} for start in ("gaussian", "orthogonal", "eva", "olora")},
    "pissa-mean": {"init_lora_weights": "pissa", "method": "rslora"},
    "pissa-first": {"init_lora_weights": "pissa", "pooling": "first", "head": "output"},
}
LABELS = ("space", "sport", "trade")
TEXTS = [text for text, _ in learnable_rows(9, seed=5)]

STOCK = (
    BLOCK_SUBMILLION
    + """
folders, texts, answers = *json.loads(sys.argv[1]), {}

def logits(space, model):
    with space["torch"].no_grad():
        output = model(**space["batch"])
    if "head" not in space:
        return output.logits.tolist()
    mask = space["batch"]["attention_mask"].unsqueeze(-1)
    mean = (output.last_hidden_state * mask).sum(1) / mask.sum(1)
    mean = space["torch"].nn.functional.normalize(mean, dim=-1)
    return (mean @ space["head"]["weight"].T + space["head"]["bias"]).tolist()

for name, folder in folders.items():
    os.chdir(folder)
    (code,) = re.findall(r"```python\\n(.*?)```", open("README.md", encoding="utf-8").read(), re.DOTALL)
    space = {}
    exec(code.replace('texts = ["a text to classify"]', "texts = " + repr(texts)), space)
    merged = None
    if name.endswith("-mean") and not name.startswith("prompt"):
        merged = logits(space, space["model"].merge_and_unload())
    elif name.endswith("-first"):
        space["model"].merge_adapter()  # merge_and_unload() trips over a head of several layers (peft #3114)
        merged = logits(space, space["model"])
    answers[name] = [space["logits"].tolist(), merged]
json.dump(answers, open(sys.argv[2], "w"))
"""
)


@pytest.mark.parametrize("method", [name for name in METHODS if not METHODS[name].is_low_rank_pair])
@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("model_type", ["bert", "albert", "distilbert", "modernbert"])
@pytest.mark.filterwarnings("ignore:Detected that the base layer has no bias")  # ModernBERT's, with bitfit
def test_planned_is_built(model_type, pooling, method):
    if (method, pooling) == ("prompt_tuning", "first"):
        pytest.skip("refused: its tokens would stand where the head reads")
    config = tiny(model_type)
    if method == "prompt_tuning" and model_type in ("albert", "distilbert"):
        with pytest.raises(ConfigError, match="method='prompt_tuning' is not there for"):
            make_plan(config, N_LABELS, method=method, pooling=pooling)
        return
    wishes: list[dict] = [{"target_modules": "default"} if METHODS[method].adapts == "linear" else {}]
    if method != "prompt_tuning":
        wishes += [{"layers": "last:1"}, {"layers": [0]}]
    if METHODS[method].adapts == "linear":
        wishes += [{"target_modules": "qkv"}, {"target_modules": "all-linear", "layers": [0]}]
    if METHODS[method].has_rank:
        wishes += [{"rank": 2}, {"budget": 3_000}]
    for wish in wishes:
        plan = make_plan(config, N_LABELS, method=method, pooling=pooling, **wishes[0] | wish)
        assert_equal(build(config, plan), plan)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_encoder):
    """Each case trained for two epochs and saved: plan, model, its parameters before, and its folder."""
    folder, console = tmp_path_factory.mktemp("methods"), Console(file=io.StringIO())
    common = {
        "num_train_epochs": 2,
        "learning_rate": 1e-2,
        "numerics": "exact",
        "model": tiny_encoder("bert"),
    }
    common |= {"per_device_train_batch_size": 8, "max_rank": 4}
    prepared = prepare(load_recipe(**common), Sources(learnable_rows(40)), console)
    found = {}
    for name, fields in CASES.items():
        recipe = load_recipe(**common, **fields)
        plan = make_plan(prepared.encoder, 3, **recipe.budget.model_dump())
        prepared = prepared.replanned(recipe, plan, len(prepared.splits.train))
        model = prepared.build()
        before = {key: value.detach().clone() for key, value in model.named_parameters()}
        trainer = make_trainer(
            model, prepared.plan, prepared.recipe, prepared.train, prepared.validation, folder / name, console
        )
        fit_adapter(trainer)
        save_adapter(
            model,
            load_tokenizer(prepared.encoder),
            folder / f"{name}-adapter",
            encoder=prepared.encoder,
            model_name=prepared.encoder,
            label_names=LABELS,
            label_values=LABELS,
            max_length=24,
        )
        found[name] = (prepared, model, before, folder / f"{name}-adapter")
    return found


@pytest.fixture(scope="module")
def stock(trained, tmp_path_factory):
    """Logits and merged logits that each README's own lines give where submillion cannot be imported."""
    out = tmp_path_factory.mktemp("answers") / "answers.json"
    told = json.dumps([{name: str(values[3]) for name, values in trained.items()}, TEXTS])
    done = subprocess.run(
        [sys.executable, "-c", STOCK, told, str(out)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())


@pytest.mark.parametrize("name", CASES)
def test_only_what_was_planned_moved(trained, name):
    prepared, model, before, _ = trained[name]
    moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    planned = set(prepared.plan.trainable_shapes)
    if prepared.plan.method == "adalora":  # what is pruned at once is zero again after the step
        assert moved <= planned
        planned = {key for key in planned if ".lora_E." not in key}
    assert planned <= moved <= set(prepared.plan.trainable_shapes)


@pytest.mark.parametrize("name", CASES)
def test_stock_peft_gives_the_same_logits_and_merges_to_them(trained, stock, name):
    prepared, model, _, folder = trained[name]
    ids = load_tokenizer(prepared.encoder)(TEXTS, truncation=True, max_length=24)["input_ids"]
    ours = score(model, ids, 4).logits
    spread = np.ptp(ours, axis=0).min()
    assert spread > 2e-5, "logits that do not depend on the text prove nothing"
    plain, merged = stock[name]
    np.testing.assert_allclose(ours, plain, rtol=0, atol=0.02 * spread)
    if METHODS[prepared.plan.method].merges:
        np.testing.assert_allclose(ours, merged, rtol=0, atol=0.02 * spread)
    else:
        assert merged is None
    loaded = load_saved(folder)
    np.testing.assert_allclose(ours, score(loaded.model, ids, 4).logits, rtol=0, atol=0.02 * spread)


@pytest.mark.parametrize("name", CASES)
def test_what_stands_on_disk_is_what_the_plan_says(trained, name):
    prepared, _, _, folder = trained[name]
    plan = prepared.plan
    head = ("classifier.", "pooler.")
    saved = load_file(folder / "adapter_model.safetensors")
    numbers = sum(value.numel() for key, value in saved.items() if not any(part in key for part in head))
    if plan.method == "adalora":
        pairs = {key: value for key, value in saved.items() if key.endswith("lora_E")}
        assert sum(value.numel() for value in pairs.values()) <= 4 * len(pairs)
        assert numbers <= plan.saved_parameters
    else:
        assert numbers == plan.saved_parameters
    if plan.init_lora_weights in MOVING_BASE:
        assert numbers == 2 * plan.adapter_parameters
        assert json.loads((folder / "adapter_config.json").read_text())["r"] == 2 * plan.rank


def test_starts_that_move_the_base_give_it_back_for_the_baselines(trained):
    plain = trained["lora-mean"][1]
    ids = [[2, 7, 9, 11, 3], [2, 8, 3]]
    ids = [torch.tensor([row]) for row in ids]
    for name in ("pissa-mean", "olora-mean"):
        model = trained[name][1]
        for row in ids:
            mask = torch.ones_like(row)
            with torch.no_grad():
                want, got = plain.embed_frozen(row, mask), model.embed_frozen(row, mask)
            torch.testing.assert_close(got[0], want[0], rtol=0, atol=1e-6)
        base = plain.bare_encoder.get_submodule("encoder.layer.0.attention.self.query").base_layer.weight
        moved = model.bare_encoder.get_submodule("encoder.layer.0.attention.self.query").base_layer.weight
        assert not torch.equal(base, moved)
        assert model.base_fingerprint == plain.base_fingerprint


def test_a_fresh_start_changes_no_logit(tiny_encoder):
    from submillion.model.build import build_model

    encoder = tiny_encoder("bert")
    ids, mask = torch.tensor([[2, 7, 9, 11, 3]]), torch.ones(1, 5, dtype=torch.int64)
    logits = []
    for start in (None, "gaussian", "orthogonal", "pissa", "olora"):
        plan = make_plan(encoder, 3, pooling="mean", rank=4, init_lora_weights=start)
        model = build_model(plan, encoder, LABELS, seed=1).eval()
        model.head.weight.data.fill_(0.1).mul_(torch.arange(32) % 5)
        with torch.no_grad():
            logits.append(model(ids, mask).logits)
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0], rtol=0, atol=1e-5)


def test_adalora_prunes_to_its_target(trained):
    prepared, model, _, folder = trained["adalora-mean"]
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["init_r"], config["target_r"]) == (4, 3)
    kept = [sum(each) for each in config["rank_pattern"].values()]
    values = [value for key, value in model.named_parameters() if ".lora_E." in key]
    unpruned = sum(int((value != 0).sum()) for value in values)
    assert unpruned <= 3 * len(values) < 4 * len(values)
    assert unpruned <= sum(kept) <= unpruned + len(values)  # one at zero where a layer lost all
    assert plan_as_saved(prepared.plan, load_saved(folder).model).trainable_shapes.keys() == (
        prepared.plan.trainable_shapes.keys()
    )


RUN = {
    "num_train_epochs": 3,
    "learning_rate": 1e-2,
    "min_rows_to_split": 50,
    "validation_share": 0.2,
    "quiet": True,
}
RUN |= {"calibration_share": 0.0, "save_steps": 3, "per_device_train_batch_size": 8, "max_rank": 4}


def test_adalora_resumes_to_the_same_adapter(tiny_encoder, tmp_path, monkeypatch):
    from submillion.training import callbacks

    fields = {**RUN, "model": tiny_encoder("bert"), "method": "adalora", "head_init": "random"}
    rows = learnable_rows(90)
    submillion.train(rows, output=tmp_path / "whole", **fields)
    step_end = callbacks.ProgressBar.on_step_end

    def dying(self, args, state, control, **kwargs):
        if state.global_step == 17:  # 9 steps an epoch: pruning goes on, two steps after a checkpoint
            raise KeyboardInterrupt
        return step_end(self, args, state, control, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(callbacks.ProgressBar, "on_step_end", dying)
        with pytest.raises(KeyboardInterrupt):
            submillion.train(rows, output=tmp_path / "cut", **fields)
    record = submillion.train(rows, output=tmp_path / "cut", resume=True, **fields)
    assert record["resumed"] == 1
    weights = [
        (tmp_path / run / "adapter" / "adapter_model.safetensors").read_bytes() for run in ("whole", "cut")
    ]
    assert weights[0] == weights[1]
    submillion.predict(tmp_path / "cut", TEXTS)


def test_a_whole_run_from_pissa_predicts_what_it_scored(tiny_encoder, tmp_path):
    rows = learnable_rows(90)
    fields = {**RUN, "model": tiny_encoder("bert"), "init_lora_weights": "pissa", "num_train_epochs": 1}
    record = submillion.train(rows, output=tmp_path / "run", **fields)
    plan = record["plan"]
    assert record["with"]["numerics"] == "exact"
    assert plan["saved_parameters"] == 2 * plan["adapter_parameters"]
    held = parquet.read_table(tmp_path / "run" / "validation.parquet").to_pydict()
    texts = [rows[row][0] for row in held["row_id"]]
    logits = submillion.load(tmp_path / "run").scores(texts).logits
    np.testing.assert_allclose(logits, np.array(held["logits"]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("fields", [{"method": "oft"}, {"init_lora_weights": "olora"}])
def test_other_methods_run_exact_and_say_so(tiny_encoder, fields):
    console = Console(file=io.StringIO(), width=300)
    recipe = load_recipe(model=tiny_encoder("bert"), min_rows_to_split=500, **fields)
    prepared = prepare(recipe, Sources(learnable_rows(12)), console)
    assert prepared.recipe.training.numerics == "exact"
    ((name, value),) = fields.items()
    slow = f"{name}={value!r}"
    assert (
        f"note: {slow} runs in exact numerics: the fast path serves lora and rslora"
        in console.file.getvalue()
    )
    with pytest.raises(ConfigError) as caught:
        prepare(load_recipe(recipe, numerics="fast"), Sources(learnable_rows(12)), console)
    assert str(caught.value) == (
        f"numerics='fast' is not there for {slow}: the fast path serves lora and rslora; use exact"
    )


def said_of(model: str, **fields) -> str:
    """Return what `train` says before it starts, numerics left open unless they are given."""
    console = Console(file=io.StringIO(), width=300)
    recipe = load_recipe(model=model, min_rows_to_split=500, **fields)
    prepare(recipe, Sources(learnable_rows(12)), console)
    return console.file.getvalue()


def test_a_family_without_the_fast_path_runs_exact_and_says_so(tiny_encoder):
    note = (
        "note: the family 'distilbert' runs in exact numerics, by plain transformers and PEFT: the fast path serves bert, "
        "camembert, roberta and xlm-roberta, and is more than twice as fast where there is bf16\n"
    )
    assert note in said_of(tiny_encoder("distilbert"))
    assert "exact numerics" not in said_of(tiny_encoder("distilbert"), numerics="exact")
    assert said_of(tiny_encoder("distilbert"), method="ia3").count("exact numerics") == 1


def test_a_machine_without_bf16_runs_exact_and_says_so(tiny_encoder, monkeypatch):
    monkeypatch.setattr(device, "has_bf16", lambda: True)
    assert "exact numerics" not in said_of(tiny_encoder("bert"))
    monkeypatch.setattr(device, "has_bf16", lambda: False)
    monkeypatch.setattr(device, "choose_device", lambda: torch.device("cpu"))
    note = "note: this processor has no bf16 products: all runs in exact numerics, about half as fast as with them\n"
    assert note in said_of(tiny_encoder("bert"))
    assert "exact numerics" not in said_of(tiny_encoder("bert"), numerics="exact")
    assert "the family 'distilbert' runs in exact numerics" in said_of(tiny_encoder("distilbert"))
    monkeypatch.setattr(device, "choose_device", lambda: torch.device("cuda"))
    assert "note: this GPU has no bf16 products" in said_of(tiny_encoder("bert"))


def test_virtual_tokens_take_positions_from_the_text(tiny_encoder):
    console, long = Console(file=io.StringIO()), [(text * 9, label) for text, label in learnable_rows(12)]
    fields = {"model": tiny_encoder("bert"), "method": "prompt_tuning", "num_virtual_tokens": 50}
    prepared = prepare(load_recipe(**fields), Sources(long), console)
    assert prepared.tokens["train"].max_length == 66 - 50
    assert score(prepared.build(), prepared.train.input_ids).logits.shape == (12, 3)
    with pytest.raises(ConfigError) as caught:
        prepare(load_recipe(**{**fields, "num_virtual_tokens": 64}), Sources(long), console)
    assert str(caught.value) == (
        "num_virtual_tokens=64 leaves no room for the text: this encoder takes 66 tokens in all; lower it"
    )


def test_an_adapter_that_adds_nothing_to_a_weight_cannot_be_weakened(tiny_encoder):
    recipe = load_recipe(model=tiny_encoder("bert"), adapter_scale=0.5, method="ia3")
    with pytest.raises(ConfigError) as caught:
        prepare(recipe, Sources(learnable_rows(12)), Console(file=io.StringIO()))
    assert str(caught.value) == (
        "adapter_scale=0.5 scales what LoRA adds to a weight, and method='ia3' adds nothing of that kind: leave it out"
    )


def test_methods_are_searched_side_by_side(tiny_encoder, tmp_path):
    recipe = tmp_path / "search.yaml"
    space = {"method": ["lora", "ia3", "prefix_tuning"], "init_lora_weights": [None, "pissa"]}
    recipe.write_text(
        json.dumps({"space": space, "stages": [{"num_train_epochs": 1}], "final": {"num_train_epochs": 1}})
    )
    found = submillion.search(
        learnable_rows(90), recipe=str(recipe), output=tmp_path / "study", model=tiny_encoder("bert"),
        min_rows_to_split=50, validation_share=0.2, quiet=True,
    )  # fmt: skip
    names = {each["name"]: each["refused"] for each in found["candidates"]}
    assert [name for name, refused in names.items() if not refused] == [
        "method lora, init_lora_weights None", "method lora, init_lora_weights pissa", "method ia3, init_lora_weights None",
    ]  # fmt: skip
    assert any("the nearest is 'prompt_tuning'" in refused for refused in names.values())


def test_readmes_name_the_virtual_tokens(trained):
    read = {name: (Path(values[3]) / "README.md").read_text() for name, values in trained.items()}
    assert [name for name, text in read.items() if "virtual" in text] == ["prompt_tuning-mean"]


def test_virtual_tokens_are_not_exported(trained):
    from types import SimpleNamespace
    from typing import Any

    from submillion.exporters.export import _check_method

    folder = trained["prompt_tuning-mean"][3]
    source: Any = SimpleNamespace(saved=load_saved(folder), adapter=folder)
    with pytest.raises(ConfigError) as caught:
        _check_method(source)
    assert str(caught.value) == (
        f"{folder} is of method='prompt_tuning', whose virtual tokens do not merge into the encoder: use the adapter folder "
        "itself, whose README holds the lines that load it with transformers and PEFT"
    )
