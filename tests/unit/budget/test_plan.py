import dataclasses
import json
import math
import resource
import sys
import time
from pathlib import Path

import pytest
import transformers
from transformers import AlbertConfig, BertConfig, ModernBertConfig, RobertaConfig, XLNetConfig

from conftest import TINY
from submillion.budget import FAMILIES, Plan, make_plan, make_plans
from submillion.errors import BudgetError, ConfigError

SHARED = Path(__file__).parents[4] / "shared" / "roberta-base"
needs_roberta = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"{SHARED} is missing: it holds roberta-base's config"
)


def message_of(error, *args, **kwargs):
    maker = kwargs.pop("maker", make_plan)
    with pytest.raises(error) as caught:
        maker(*args, **kwargs)
    return str(caught.value)


@needs_roberta
@pytest.mark.parametrize(
    ("target_modules", "rank", "trainable", "total"),
    [
        ("q,v", 11, 999_172, 125_647_880),
        ("q,v,k", 7, 980_740, 125_629_448),
        ("q", 22, 999_172, 125_647_880),
        ("query,dense", 3, 980_740, 125_629_448),
    ],
)
def test_the_papers_table(target_modules, rank, trainable, total):
    plan = make_plan(str(SHARED), 4, target_modules=target_modules, rank=rank)
    assert plan.trainable_parameters == trainable
    assert plan.total_parameters == total
    assert plan.head_parameters == 593_668
    assert plan.lora_alpha == 2 * rank
    assert plan.random_layers == ("classifier.dense", "classifier.out_proj")
    assert plan.random_layers_source == "family table"


@needs_roberta
def test_the_papers_985_348_is_explained():
    plan = make_plan(str(SHARED), 4, target_modules="query,dense", rank=3)
    assert plan.warnings == (
        "target pattern 'dense' also matches classifier.dense (768 x 768) of the head, which takes no adapter here or "
        "in PEFT 0.18 and newer; PEFT 0.15.2 and older put a LoRA pair of 3 x 768 and 768 x 3 on it, 4,608 parameters, "
        "and count 985,348 trainable parameters in place of 980,740.",
    )
    assert [len(names) for names in plan.matched_modules.values()] == [12, 36]
    assert (
        make_plan(str(SHARED), 4, target_modules="query,attention.output.dense", rank=3).trainable_parameters
        == 704_260
    )


@needs_roberta
def test_attention_output_only_as_the_paper_says():
    plan = make_plan(str(SHARED), 4, target_modules="attention.output.dense", rank=3)
    assert plan.warnings == ()


@needs_roberta
@pytest.mark.parametrize(
    ("target_modules", "full", "output"),
    [("q", 22, 54), ("qv", 11, 27), ("qkv", 7, 18), ("attention", 5, 13), ("all-linear", 2, 6)],
)
def test_largest_ranks_under_one_million(target_modules, full, output):
    for head, rank in (("full", full), ("output", output)):
        assert make_plan(str(SHARED), 4, target_modules=target_modules, head=head).rank == rank


@needs_roberta
def test_without_a_rank_every_named_set_and_head_best_use_first():
    report = make_plans(str(SHARED), 4)
    assert report.base_parameters == 124_648_708
    assert report.peft_version.startswith("0.21")
    assert len(report.candidates) == 15
    trainable = [plan.trainable_parameters for plan in report.candidates]
    assert trainable == sorted(trainable, reverse=True)
    assert trainable[0] == 999_172
    assert all(plan.within_budget for plan in report.candidates)
    assert report.candidates[0].target_modules == ("query", "value")


def test_the_json_has_the_designs_fields_and_is_json():
    report = json.loads(json.dumps(make_plans(BertConfig(**TINY), 3).to_json()))
    assert list(report) == ["model", "n_labels", "base_parameters", "budget", "peft_version", "candidates"]
    wanted = {
        *(
            "method",
            "target_modules",
            "rank",
            "lora_alpha",
            "head",
            "pooling",
            "layers",
            "adapter_parameters",
        ),
        *(
            "head_parameters",
            "trainable_parameters",
            "total_parameters",
            "trainable_percent",
            "within_budget",
        ),
        *("matched_modules", "warnings"),
    }
    assert wanted <= set(report["candidates"][0])
    assert "trainable_shapes" not in report["candidates"][0]


def test_defaults_of_make_plan():
    plan = make_plan(RobertaConfig(**TINY), 4)
    assert (plan.target_modules, plan.head, plan.pooling, plan.layers) == (
        ("query", "value"),
        "full",
        "first",
        "all",
    )
    assert plan.model == plan.model_type == "roberta"
    assert plan.rank == 32  # the dimension, not the budget


def test_the_config_is_left_as_it_was():
    config = RobertaConfig(**TINY)
    make_plan(config, 7)
    assert config.num_labels == 2


def test_names_of_trained_parameters():
    first = make_plan(RobertaConfig(**TINY), 4, rank=2, target_modules="q", layers=[1]).trainable_shapes
    assert first == {
        "encoder.base_model.model.roberta.encoder.layer.1.attention.self.query.lora_A.default.weight": (
            2,
            32,
        ),
        "encoder.base_model.model.roberta.encoder.layer.1.attention.self.query.lora_B.default.weight": (
            32,
            2,
        ),
        "encoder.base_model.model.classifier.modules_to_save.default.dense.weight": (32, 32),
        "encoder.base_model.model.classifier.modules_to_save.default.dense.bias": (32,),
        "encoder.base_model.model.classifier.modules_to_save.default.out_proj.weight": (4, 32),
        "encoder.base_model.model.classifier.modules_to_save.default.out_proj.bias": (4,),
    }
    mean = make_plan(
        BertConfig(**TINY), 4, rank=2, target_modules="q", layers="last:1", pooling="mean"
    ).trainable_shapes
    assert mean == {
        "encoder.base_model.model.encoder.layer.1.attention.self.query.lora_A.default.weight": (2, 32),
        "encoder.base_model.model.encoder.layer.1.attention.self.query.lora_B.default.weight": (32, 2),
        "head.weight": (4, 32),
        "head.bias": (4,),
    }


def test_berts_pooler_is_part_of_the_whole_head():
    plan = make_plan(BertConfig(**TINY), 4, rank=3, target_modules="q")
    assert plan.modules_to_save == ("pooler", "classifier")
    assert plan.head_parameters == (32 * 32 + 32) + (32 * 4 + 4)
    assert plan.random_layers == ("classifier",)
    assert plan.warnings == (
        "head='full' trains and saves bert.pooler.dense (1,056 parameters) too; PEFT alone trains only classifier of "
        "this head: 516 trainable parameters, 1,056 fewer.",
    )


def test_peft_alone_would_adapt_berts_pooler():
    plan = make_plan(BertConfig(**TINY), 4, rank=3, target_modules="dense")
    assert plan.warnings == (
        "target pattern 'dense' also matches bert.pooler.dense (32 x 32) of the head, which takes no adapter here or in "
        "PEFT 0.18 and newer; PEFT 0.15.2 and older put a LoRA pair of 3 x 32 and 32 x 3 on it, 192 parameters, and "
        "count 2,916 trainable parameters in place of 2,724.",
        "head='full' trains and saves bert.pooler.dense (1,056 parameters) too; PEFT alone trains only classifier of "
        "this head and puts a LoRA pair of 192 on bert.pooler.dense: 1,860 trainable parameters, 864 fewer.",
    )


def test_a_random_layer_that_does_not_train_is_named():
    plan = make_plan(RobertaConfig(**TINY), 4, rank=3, target_modules="q", head="output")
    assert plan.frozen_head == ("classifier.dense",)
    assert plan.head_parameters == 132
    assert plan.warnings == (
        "head='output' keeps classifier.dense as it starts, which is at random (by the family table): it does not "
        "train, and is saved with the adapter.",
    )
    assert make_plan(BertConfig(**TINY), 4, rank=3, target_modules="q", head="output").warnings == ()


def test_mean_pooling_leaves_the_idle_pooler_alone():
    plan = make_plan(BertConfig(**TINY), 4, rank=3, target_modules="dense", pooling="mean")
    assert plan.exclude_modules == ("pooler.dense",)
    assert plan.modules_to_save == plan.frozen_head == ()
    assert plan.random_layers == ("head",)
    assert plan.matched_modules["dense"]
    assert not any("pooler" in name for name in plan.matched_modules["dense"])
    assert plan.warnings == ()


def test_whole_alpha_is_an_integer_as_in_pefts_file():
    assert repr(make_plan(BertConfig(**TINY), 4, rank=3, lora_alpha=6.0).lora_alpha) == "6"
    assert make_plan(BertConfig(**TINY), 4, rank=3, lora_alpha=0.5).lora_alpha == 0.5


def test_a_wished_rank_beyond_the_budget_is_shown_last():
    report = make_plans(RobertaConfig(**TINY), 4, rank=8, budget=1_200)
    fits = [plan.within_budget for plan in report.candidates]
    assert fits == sorted(fits, reverse=True)
    assert {True, False} == set(fits)
    beyond = [plan for plan in report.candidates if not plan.within_budget]
    assert beyond[0].warnings[0].startswith("budget=1,200 is too small: the head takes ")
    assert [plan.trainable_parameters for plan in beyond] == sorted(
        plan.trainable_parameters for plan in beyond
    )


def test_a_solved_plan_that_cannot_fit_is_shown_at_rank_one():
    report = make_plans(RobertaConfig(**TINY), 4, budget=1_000)
    beyond = [plan for plan in report.candidates if not plan.within_budget]
    assert beyond
    assert all(plan.rank == 1 for plan in beyond)


def test_make_plan_refuses_a_rank_beyond_the_budget_with_the_sum():
    assert message_of(BudgetError, RobertaConfig(**TINY), 4, target_modules="qv", rank=8, budget=2_000) == (
        "budget=2,000 is too small: the head takes 1,188 and rank 8 on 4 targets takes 2,048, so at least 3,236 is "
        "needed. Lower the rank to 3, raise the budget, train less of the head, or adapt fewer targets."
    )


def test_nothing_fits():
    assert message_of(BudgetError, RobertaConfig(**TINY), 4, budget=200, maker=make_plans) == (
        "budget=200 is too small: the head takes 132 and rank 1 on 2 targets takes 128, so at least 260 is needed. "
        "Raise the budget, train less of the head, or adapt fewer targets."
    )


def test_a_rank_above_the_dimension():
    assert message_of(ConfigError, RobertaConfig(**TINY), 4, target_modules="qv", rank=33) == (
        "rank=33 is above 32, the smallest dimension of the 4 targets of query, value: give a rank from 1 to 32."
    )


def test_wrong_arguments_are_reported_together():
    config = RobertaConfig(**TINY)
    assert message_of(
        ConfigError,
        config,
        1,
        budget=0,
        method="lorra",
        rank=0,
        lora_alpha=0,
        lora_dropout=1.0,
        head="all",
        pooling="max",
    ) == (
        "labels=1 is below 2: a classifier has at least 2; budget=0 is below 1: give the most parameters that may "
        "train; method='lorra' is not known, the nearest is 'lora': give one of lora, rslora, dora, adalora, loha, lokr, vera, "
        "oft, boft, ia3, bitfit, ln_tuning, prompt_tuning; rank=0 is neither at least 1 nor 'allocate': give one of "
        "them, or none for the largest that fits; lora_alpha=0 is not a finite number above 0: give none for twice the rank; "
        "lora_dropout=1.0 is outside 0 (inclusive) to 1 (exclusive); head='all' is not known: give one of full, output; pooling='max' is not "
        "known: give one of first, mean."
    )
    for alpha in (math.inf, math.nan):
        assert message_of(ConfigError, config, 2, lora_alpha=alpha) == (
            f"lora_alpha={alpha} is not a finite number above 0: give none for twice the rank."
        )
    assert message_of(ConfigError, config, 2, head="output", pooling="mean") == (
        "head='output' says nothing with pooling='mean', whose head is one linear layer: leave head out, or give "
        "pooling='first'."
    )


def test_another_family_is_refused():
    assert message_of(ConfigError, XLNetConfig(), 2) == (
        f"model='a config' is of family 'xlnet', which is not supported: supported are {', '.join(sorted(FAMILIES))}. "
        "Choose an encoder of one of them."
    )


@pytest.mark.parametrize("wish", ["q", "qv", "k"])
def test_a_part_of_a_fused_projection_is_refused(wish):
    assert message_of(ConfigError, ModernBertConfig(), 2, target_modules=wish) == (
        f"target_modules={wish!r}: the family modernbert holds query, key and value in one layer, attn.Wqkv: give one of "
        "qkv, attention, all-linear, default, or patterns."
    )


def test_shared_blocks_count_once():
    """ALBERT runs one block twelve times; its adapter is one pair of matrices a layer."""
    plan = make_plan(
        AlbertConfig(hidden_size=64, embedding_size=16, num_attention_heads=4, intermediate_size=128),
        2,
        rank=2,
    )
    assert plan.adapter_parameters == 2 * 2 * (64 + 64)  # query and value
    assert "it has 1, numbered 0 to 0" in message_of(ConfigError, AlbertConfig(), 2, layers="last:2")


def test_a_folder_without_a_usable_config(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert message_of(ConfigError, str(tmp_path), 2) == (
        f"model='{tmp_path}': its config cannot be read (Unrecognized model in {tmp_path}. Should have a `model_type` "
        "key in its config.json.). Its folder must hold config.json, with a model_type, and tokenizer.json."
    )


def test_a_hub_that_does_not_answer(monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError("no network\nmore")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", fail)
    assert message_of(ConfigError, "some/encoder", 2) == (
        "model='some/encoder': its config cannot be read (no network). With a network, it is fetched by: hf download "
        "some/encoder. Or name a folder that holds it (config.json, tokenizer, model.safetensors)."
    )


def test_a_pattern_that_hits_nothing():
    assert message_of(ConfigError, BertConfig(**TINY), 2, target_modules="q_lin").startswith(
        "target_modules of bert (bert): 'q_lin' matches no module. Its linear layers end in attention.output.dense, "
    )


def test_roberta_large_takes_a_second_and_no_weights():
    config = RobertaConfig(
        vocab_size=50_265,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        max_position_embeddings=514,
        type_vocab_size=1,
    )
    make_plan(RobertaConfig(**TINY), 2)  # pays for the imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    report = make_plans(config, 4)
    assert time.process_time() - started < 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 200_000_000
    assert report.base_parameters == 355_363_844


def test_a_plan_cannot_be_changed():
    plan = make_plan(BertConfig(**TINY), 2)
    assert isinstance(plan, Plan)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.rank = 4


def test_max_rank_bounds_an_open_rank_only():
    assert make_plan(BertConfig(**TINY), 2, target_modules="q", max_rank=2).rank == 2
    assert make_plan(BertConfig(**TINY), 2, target_modules="q", max_rank=2, rank=4).rank == 4
    assert (
        make_plan(BertConfig(**TINY), 2, target_modules="q", max_rank=10**6).rank
        == make_plan(BertConfig(**TINY), 2, target_modules="q").rank
    )
    tight = make_plan(BertConfig(**TINY), 2, target_modules="q", pooling="mean", budget=400, max_rank=8)
    assert tight.rank < 8
    assert (
        message_of(ConfigError, BertConfig(**TINY), 2, max_rank=0)
        == "max_rank=0 is neither at least 1 nor 'usual': give one of them, or none."
    )
