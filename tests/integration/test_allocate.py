"""`rank: allocate`: another rank a module, within the uniform count, as a stock adapter."""

import json

import numpy as np
import pytest
from peft import PeftConfig
from peft.tuners.lora import LoraLayer

import submillion
from conftest import learnable_rows
from submillion.budget import make_plan
from submillion.budget.allocation import adapted_shapes
from submillion.model.adapter import attach, peft_config
from submillion.model.build import load_base
from submillion.training.allocate import allocate_ranks

NAMES = ("a", "b", "c")


def rows(count):
    texts, labels = zip(*learnable_rows(count), strict=True)
    return {"text": list(texts), "label": list(labels)}


@pytest.mark.parametrize("method", ["lora", "rslora"])
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_peft_builds_what_was_allocated(tiny_encoder, family, pooling, method):
    encoder = tiny_encoder(family)
    uniform = make_plan(encoder, 3, target_modules="all-linear", rank=2, pooling=pooling, method=method)
    draw = np.random.default_rng(0)
    ids = [[2, *draw.integers(5, 40, size=draw.integers(3, 20)).tolist(), 3] for _ in range(64)]
    plan = allocate_ranks(uniform, encoder, NAMES, ids, seed=1)
    assert plan == allocate_ranks(uniform, encoder, NAMES, ids, seed=1)
    assert plan.rank_pattern, "a random encoder's layers read inputs of different spread"
    smallest = min(map(sum, adapted_shapes(uniform).values()))
    assert 0 <= uniform.trainable_parameters - plan.trainable_parameters < smallest
    model = attach(load_base(encoder, pooling, NAMES), plan)
    of_head = plan.head_parameters if pooling == "mean" else 0
    assert model.get_nb_trainable_parameters()[0] + of_head == plan.trainable_parameters
    scales = {layer.scaling["default"] for layer in model.modules() if isinstance(layer, LoraLayer)}
    if method == "lora":
        assert scales == {plan.lora_alpha / plan.rank}
    else:
        assert not peft_config(plan).alpha_pattern


def test_a_run_with_allocated_ranks_is_whole(tiny_encoder, tmp_path):
    data = rows(120)
    fields = {"model": tiny_encoder("bert"), "rank": "allocate", "max_rank": 3, "num_train_epochs": 2}
    record = submillion.train(data, output=tmp_path / "run", quiet=True, **fields)
    pattern = record["plan"]["rank_pattern"]
    assert pattern
    assert record["recipe"]["budget"]["rank_pattern"] == pattern
    planned = submillion.plan(fields["model"], 3, target_modules=["query", "dense"], rank=3, pooling="mean")
    assert record["plan"]["trainable_parameters"] <= planned.candidates[0].trainable_parameters
    config = json.loads((tmp_path / "run" / "adapter" / "adapter_config.json").read_text())
    assert config["rank_pattern"] == {name: rank for name, rank in pattern.items() if rank}
    assert (
        PeftConfig.from_pretrained(str(tmp_path / "run" / "adapter")).rank_pattern == config["rank_pattern"]
    )
    labels = submillion.predict(tmp_path / "run", data["text"])
    assert sum(map(str.__eq__, map(str, labels), data["label"])) > 60


def test_a_plan_alone_counts_what_will_be_given_out(tiny_encoder):
    asked = {"target_modules": "q", "pooling": "mean", "max_rank": 4}
    allocated = submillion.plan(tiny_encoder("bert"), 3, rank="allocate", **asked).candidates[0]
    uniform = submillion.plan(tiny_encoder("bert"), 3, rank=4, target_modules="q", pooling="mean").candidates[
        0
    ]
    assert allocated.trainable_parameters == uniform.trainable_parameters
