"""Every method of the table: what is planned is what PEFT builds and trains, and stock PEFT reads it back and merges it."""

import typing

import numpy as np
import pytest
import torch

import submillion
from conftest import TINY, learnable_rows
from submillion.budget import METHODS, make_plan
from submillion.errors import ConfigError
from submillion.model.adapter import assert_planned, attach, quiet_peft
from submillion.recipe import BudgetConfig

LABELS = 3
WITH_RANK = [name for name, method in METHODS.items() if method.has_rank]


def test_the_recipe_knows_every_method():
    assert typing.get_args(BudgetConfig.model_fields["method"].annotation) == tuple(METHODS)


@pytest.mark.parametrize("layers", ["all", "last:1"])
@pytest.mark.parametrize(("head", "pooling"), [("full", "first"), ("output", "first"), ("full", "mean")])
@pytest.mark.parametrize("method", [*METHODS])
def test_planned_is_built_and_nothing_else_moves(method, head, pooling, layers):
    from transformers import CONFIG_MAPPING, AutoModel, AutoModelForSequenceClassification

    config = CONFIG_MAPPING["bert"](**TINY, num_labels=LABELS)
    plan = make_plan(
        config,
        LABELS,
        method=method,
        head=head,
        pooling=pooling,
        layers=layers,
        target_modules="default" if method == "ln_tuning" else "value,output.dense",
    )
    auto = AutoModel if pooling == "mean" else AutoModelForSequenceClassification
    model = attach(auto.from_config(config), plan)
    built = {
        f"encoder.{name}": tuple(value.shape)
        for name, value in model.named_parameters()
        if value.requires_grad
    }
    planned = {name: shape for name, shape in plan.trainable_shapes.items() if not name.startswith("head.")}
    assert built == planned
    assert sum(value.numel() for value in model.parameters() if value.requires_grad) == sum(
        np.prod(shape) for shape in planned.values()
    )
    if pooling == "mean":
        return
    assert_planned(model, plan, "after build")
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=0.01)
    for _ in range(3):  # what multiplies a matrix of zeros has no gradient at first
        model(input_ids=torch.arange(4, 16).reshape(2, 6), labels=torch.tensor([0, 1])).loss.backward()
        optimizer.step()
    moved = {
        f"encoder.{name}" for name, value in model.named_parameters() if not torch.equal(value, before[name])
    }
    assert moved == set(planned)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("methods")
    for pooling, family in (("mean", "bert"), ("first", "bert")):
        for method in METHODS:
            submillion.train(
                learnable_rows(48),
                output=folder / f"{method}-{pooling}",
                model=tiny_encoder(family),
                method=method,
                pooling=pooling,
                num_train_epochs=2,
                learning_rate=1e-2,
                max_length=24,
                quiet=True,
            )
    return folder


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("method", [*METHODS])
def test_stock_peft_reads_it_back_and_merges_it(runs, tiny_encoder, method, pooling):
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    run = runs / f"{method}-{pooling}"
    texts = [text for text, _ in learnable_rows(12, seed=5)]
    ours = submillion.load(run).scores(texts).logits
    adapter = str(run / "adapter")
    batch = AutoTokenizer.from_pretrained(adapter)(texts, padding=True, return_tensors="pt")
    if pooling == "mean":
        base = AutoModel.from_pretrained(tiny_encoder("bert"))
    else:
        base = AutoModelForSequenceClassification.from_pretrained(tiny_encoder("bert"), num_labels=LABELS)
    with quiet_peft():
        model = PeftModel.from_pretrained(base, adapter).eval()

    def logits(model):
        with torch.no_grad():
            if pooling == "first":
                return model(**batch).logits
            head = load_file(run / "adapter" / "head.safetensors")
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
            return torch.nn.functional.normalize(mean, dim=-1) @ head["weight"].T + head["bias"]

    np.testing.assert_allclose(ours, logits(model), rtol=1e-5, atol=1e-5)
    with model.disable_adapter(), torch.no_grad():
        untouched = model(**batch)
    assert not np.allclose(untouched[0], model(**batch)[0].detach(), atol=1e-4), "the adapter does nothing"
    model.merge_adapter()
    np.testing.assert_allclose(ours, logits(model), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("method", [*METHODS])
def test_every_method_is_exported_merged(runs, tmp_path, method, pooling):
    """The gate compares logits; PEFT's own `merge_and_unload` fails on a whole head but for LoRA."""
    run = runs / f"{method}-{pooling}"
    record = submillion.export(
        run, tmp_path / "merged", format="merged", data=[(text, "") for text, _ in learnable_rows(12)]
    )
    assert record["gate"]["changed_labels"] == 0


@pytest.mark.parametrize("method", WITH_RANK)
def test_the_largest_rank_within_the_budget_is_found(method):
    from transformers import BertConfig

    config = BertConfig(**TINY)
    for budget in (1_000, 2_000, 5_000):
        plan = make_plan(config, 2, method=method, budget=budget, pooling="mean")
        assert plan.trainable_parameters <= budget
        largest = 32
        for rank in range(plan.rank + 1, largest + 1):
            assert not make_plan(
                config, 2, method=method, budget=budget, pooling="mean", rank=rank, must_fit=False
            ).within_budget


def test_what_a_method_cannot_be_asked_is_refused():
    from transformers import BertConfig

    config = BertConfig(**TINY)
    for options, message in (
        ({"method": "ia3", "rank": 4}, "rank=4: the method ia3 has no rank: leave it out."),
        (
            {"method": "ln_tuning", "target_modules": "query"},
            "target_modules='query': the method ln_tuning adapts the layer norms of the blocks and nothing else: leave "
            "target_modules out.",
        ),
        (
            {"method": "vera", "rank": "allocate"},
            "rank='allocate' is for lora and rslora, not for vera: give a number, or none.",
        ),
        (
            {"method": "loha", "rank_pattern": {"a": 1}},
            "rank_pattern is for lora and rslora, not for loha: leave it out.",
        ),
        (
            {"method": "ia_3"},
            "method='ia_3' is not known; did you mean 'ia3'?: give one of lora, rslora, dora, vera, loha, lokr, ia3, ln_tuning.",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            make_plan(config, 2, **options)
        assert str(caught.value) == message
