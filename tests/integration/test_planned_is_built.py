"""What the plan says is what PEFT builds: names, shapes, counts and totals; and nothing else passes the assertion."""

import copy
import dataclasses
import re
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoModelForSequenceClassification

from conftest import TINY, TINY_OF
from submillion.budget import FAMILIES, Plan, make_plan, make_plans
from submillion.budget.methods import MARKS, PROMPT, is_of_adapter
from submillion.errors import BudgetError
from submillion.model.adapter import assert_planned, attach, freeze_unplanned, peft_config, quiet_peft

SHARED = Path(__file__).parents[3] / "shared" / "roberta-base"
N_LABELS = 4
HEADS = [("full", "first"), ("output", "first"), ("full", "mean")]


class Built(nn.Module):
    """As the built model: the adapter as `encoder`, the linear layer of mean pooling as `head`."""

    def __init__(self, encoder, head):
        super().__init__()
        self.encoder = encoder
        self.head = head


def tiny(model_type):
    return CONFIG_MAPPING[model_type](**TINY, **TINY_OF.get(model_type, {}), num_labels=N_LABELS)


def stock(config, pooling):
    return (AutoModel if pooling == "mean" else AutoModelForSequenceClassification).from_config(config)


def build(config, plan: Plan, base=None):
    encoder = attach(stock(config, plan.pooling) if base is None else base, plan)
    return Built(encoder, nn.Linear(config.hidden_size, N_LABELS) if plan.pooling == "mean" else None)


def assert_equal(model: Built, plan: Plan):
    assert_planned(model, plan, "after build")
    trained = {name: tuple(value.shape) for name, value in model.named_parameters() if value.requires_grad}
    assert trained == plan.trainable_shapes
    trainable, total = model.encoder.get_nb_trainable_parameters()
    of_head = 0 if model.head is None else sum(value.numel() for value in model.head.parameters())
    assert trainable + of_head == plan.trainable_parameters == plan.adapter_parameters + plan.head_parameters
    assert total + of_head == plan.total_parameters
    marks = "|".join(re.escape(f".{mark}") for mark in MARKS)
    adapted = {
        re.split(marks, name.removeprefix("encoder.base_model.model."))[0]
        for name in trained
        if is_of_adapter(name) and not name.endswith(PROMPT)
    }
    assert adapted == {name for names in plan.matched_modules.values() for name in names}


@pytest.mark.parametrize(("head", "pooling"), HEADS)
@pytest.mark.parametrize("model_type", [*FAMILIES])
def test_every_family_head_and_target_set(model_type, head, pooling):
    config = tiny(model_type)
    for target_modules in (*FAMILIES[model_type].named_sets(), "default"):
        plan = make_plan(
            config, N_LABELS, target_modules=target_modules, head=head, pooling=pooling, budget=15_000
        )
        assert_equal(build(config, plan), plan)


@pytest.mark.parametrize("layers", ["last:1", [0], "0,1"])
@pytest.mark.parametrize("method", ["lora", "rslora"])  # for the others see test_methods.py
@pytest.mark.parametrize(("head", "pooling"), HEADS)
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_loras_pairs_and_choice_of_layers(model_type, head, pooling, method, layers):
    config = tiny(model_type)
    for target_modules in ("qv", "dense"):
        plan = make_plan(
            config,
            N_LABELS,
            target_modules=target_modules,
            head=head,
            pooling=pooling,
            method=method,
            layers=layers,
            rank=2,
        )
        model = build(config, plan)
        assert_equal(model, plan)
        assert model.encoder.peft_config["default"].use_rslora == (method == "rslora")


@pytest.mark.parametrize(
    ("target_modules", "layers"),
    [
        ("self.query,attention.output.dense", "all"),
        ("output.dense", [1]),
        (
            "roberta.encoder.layer.0.attention.self.query",
            [1],
        ),  # PEFT: a whole name is hit whatever the layers
        ("1.output.dense", "all"),
    ],
)
def test_patterns_match_as_pefts_do(target_modules, layers):
    config = tiny("roberta")
    plan = make_plan(config, N_LABELS, target_modules=target_modules, layers=layers, rank=2)
    assert_equal(build(config, plan), plan)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is missing: it holds roberta-base's config")
@pytest.mark.parametrize(
    ("target_modules", "rank", "trainable"),
    [("q,v", 11, 999_172), ("q,v,k", 7, 980_740), ("q", 22, 999_172), ("query,dense", 3, 980_740)],
)
def test_the_papers_table_as_built_at_full_size(target_modules, rank, trainable):
    config = AutoConfig.from_pretrained(SHARED, num_labels=N_LABELS)
    plan = make_plan(str(SHARED), N_LABELS, target_modules=target_modules, rank=rank)
    with torch.device("meta"):
        model = build(config, plan)
    assert_equal(model, plan)
    assert plan.trainable_parameters == trainable
    if target_modules == "query,dense":
        assert model.encoder.get_nb_trainable_parameters() == (980_740, 125_629_448)


def test_the_adapters_config_is_the_plans():
    plan = make_plan(
        tiny("bert"), N_LABELS, target_modules="qv", rank=3, lora_alpha=6, lora_dropout=0.2, layers=[1]
    )
    config = peft_config(plan)
    assert (config.task_type, config.r, config.lora_alpha, config.lora_dropout) == ("SEQ_CLS", 3, 6, 0.2)
    assert (config.bias, config.inference_mode, config.use_rslora) == ("none", False, False)
    assert config.target_modules == {"query", "value"}
    assert (config.layers_to_transform, config.layers_pattern) == ([1], "layer")
    assert (config.modules_to_save, config.exclude_modules) == (["pooler"], None)
    mean = peft_config(make_plan(tiny("bert"), N_LABELS, pooling="mean"))
    assert (mean.task_type, mean.modules_to_save, mean.exclude_modules) == (
        "FEATURE_EXTRACTION",
        None,
        {"pooler.dense"},
    )
    assert (mean.layers_to_transform, mean.layers_pattern) == (None, None)


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
@pytest.mark.parametrize("head", ["full", "output"])
def test_a_head_survives_saving_and_its_frozen_part_is_repaired(model_type, head, tmp_path):
    config = tiny(model_type)
    plan = make_plan(config, N_LABELS, target_modules="qv", rank=2, head=head)
    base = stock(config, "first")
    fresh = copy.deepcopy(base)
    for layer in FAMILIES[model_type].head:  # as a base whose head is drawn anew
        fresh.get_submodule(layer).reset_parameters()
    model = build(config, plan, base)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
    model.encoder.save_pretrained(tmp_path, save_embedding_layers=False)
    with quiet_peft():
        loaded = Built(PeftModel.from_pretrained(fresh, tmp_path, is_trainable=True), None)
    if head == "output":
        with pytest.raises(BudgetError, match="after load: the model is not the planned one: unexpected: "):
            assert_planned(loaded, plan, "after load")
    changed = freeze_unplanned(loaded, plan)
    assert bool(changed) == (head == "output")
    assert_planned(loaded, plan, "after load")
    tokens = torch.arange(4, 16).reshape(2, 6)
    with torch.no_grad():
        model.eval(), loaded.eval()
        assert torch.equal(model.encoder(tokens).logits, loaded.encoder(tokens).logits)


def refusal(model, plan, when="after build"):
    with pytest.raises(BudgetError) as caught:
        assert_planned(model, plan, when)
    return str(caught.value)


@pytest.fixture
def plan():
    return make_plan(tiny("roberta"), N_LABELS, target_modules="q", rank=2, layers=[0], head="output")


QUERY = "encoder.base_model.model.roberta.encoder.layer.0.attention.self.query"
END = "Build it from this plan, or plan it anew."


def test_one_parameter_more_is_refused_by_name(plan):
    model = build(tiny("roberta"), plan)
    model.encoder.get_submodule("base_model.model.roberta.embeddings.LayerNorm").bias.requires_grad_(True)
    assert refusal(model, plan, "after resume") == (
        "after resume: the model is not the planned one: unexpected: "
        "encoder.base_model.model.roberta.embeddings.LayerNorm.bias. It trains 292 parameters, planned are 260 of "
        f"budget=1,000,000. {END}"
    )


def test_a_frozen_parameter_is_refused_by_name(plan):
    model = build(tiny("roberta"), plan)
    model.get_parameter(f"{QUERY}.lora_A.default.weight").requires_grad_(False)
    assert refusal(model, plan) == (
        f"after build: the model is not the planned one: frozen: {QUERY}.lora_A.default.weight. It trains 196 "
        f"parameters, planned are 260 of budget=1,000,000. {END}"
    )


def test_another_rank_is_refused_by_shape(plan):
    other = make_plan(tiny("roberta"), N_LABELS, target_modules="q", rank=3, layers=[0], head="output")
    assert refusal(build(tiny("roberta"), other), plan) == (
        "after build: the model is not the planned one: of another shape: "
        f"{QUERY}.lora_A.default.weight (3, 32) for (2, 32), {QUERY}.lora_B.default.weight (32, 3) for (32, 2). It "
        f"trains 324 parameters, planned are 260 of budget=1,000,000. {END}"
    )


def test_other_targets_are_refused_as_missing_and_unexpected_even_when_frozen(plan):
    other = make_plan(tiny("roberta"), N_LABELS, target_modules="v", rank=2, layers=[0], head="output")
    model = build(tiny("roberta"), other)
    value = QUERY.replace("query", "value")
    expected = (
        f"after build: the model is not the planned one: missing: {QUERY}.lora_A.default.weight, "
        f"{QUERY}.lora_B.default.weight; unexpected: {value}.lora_A.default.weight, {value}.lora_B.default.weight. It "
    )
    assert (
        refusal(model, plan) == f"{expected}trains 260 parameters, planned are 260 of budget=1,000,000. {END}"
    )
    freeze_unplanned(model, plan)
    assert (
        refusal(model, plan) == f"{expected}trains 132 parameters, planned are 260 of budget=1,000,000. {END}"
    )


def test_an_unplanned_saved_copy_is_refused(plan):
    bert = tiny("bert")
    whole = make_plan(bert, N_LABELS, target_modules="q", rank=2)
    alone = dataclasses.replace(whole, modules_to_save=("classifier",))
    assert ": missing: encoder.base_model.model.bert.pooler.modules_to_save." in refusal(
        build(bert, alone), whole
    )


def test_a_built_plan_beyond_the_budget_is_refused():
    config = tiny("roberta")
    (beyond,) = make_plans(config, N_LABELS, target_modules="q", rank=8, head="output", budget=500).candidates
    assert not beyond.within_budget
    assert refusal(build(config, beyond), beyond) == (
        "after build: the model trains 1,156 parameters, above budget=500. Lower the rank, train less of the head, or "
        "adapt fewer targets."
    )


def test_peft_makes_a_frozen_head_train_again_and_it_is_frozen(plan):
    model = build(tiny("roberta"), plan)
    model.encoder.set_adapter("default")
    assert "unexpected: encoder.base_model.model.classifier.modules_to_save.default.dense.weight" in refusal(
        model, plan
    )
    assert freeze_unplanned(model, plan) == tuple(
        f"encoder.base_model.model.classifier.modules_to_save.default.dense.{name}"
        for name in ("weight", "bias")
    )
    assert_planned(model, plan, "after load")


def test_a_peft_model_alone_is_checked_under_the_same_names(plan):
    assert_planned(build(tiny("roberta"), plan).encoder, plan, "after build")


@pytest.mark.parametrize("model_type", [*FAMILIES])
def test_after_a_step_only_planned_parameters_moved(model_type):
    config = tiny(model_type)
    for head in ("full", "output"):
        plan = make_plan(config, N_LABELS, target_modules="default", rank=2, head=head)
        model = build(config, plan)
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(2):  # LoRA's A has no gradient while B is zero
            tokens = torch.arange(4, 16).reshape(2, 6)
            model.encoder(input_ids=tokens, labels=torch.tensor([0, 1])).loss.backward()
            optimizer.step()
        moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
        assert moved == set(plan.trainable_shapes)
