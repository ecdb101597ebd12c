"""The table of methods: what its rows say of ranks and counts, and what is refused, in full."""

import peft
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, RobertaConfig

from conftest import TINY
from submillion.budget import METHODS, make_plan, make_plans, solve_rank
from submillion.budget.count import count_adapter, ranks_of
from submillion.budget.methods import FAST, INITIALISATIONS
from submillion.budget.unserved import unknown_method
from submillion.errors import BudgetError, ConfigError
from submillion.recipe import BudgetConfig

WITH_RANK = [name for name, method in METHODS.items() if method.has_rank]
WITHOUT_RANK = [name for name in METHODS if name not in WITH_RANK]
WIDTHS = st.sampled_from([12, 32, 48, 64, 96, 128])
SHAPES = st.lists(st.tuples(WIDTHS, WIDTHS), min_size=1, max_size=6)


@given(st.sampled_from(WITH_RANK), SHAPES, st.integers(0, 60_000), st.integers(0, 5_000))
def test_the_largest_rank_that_fits_is_found(method, shapes, budget, head):
    ranks = ranks_of(method, shapes)
    assert list(ranks) == sorted(ranks)
    fitting = [rank for rank in ranks if head + count_adapter(rank, shapes, method) <= budget]
    if not fitting:
        with pytest.raises(BudgetError, match="is too small"):
            solve_rank(budget, shapes, head, method=method)
    else:
        assert solve_rank(budget, shapes, head, method=method) == max(fitting)


@pytest.mark.parametrize("method", WITHOUT_RANK)
def test_a_method_without_rank_says_so_in_one_line(method):
    pooling = "mean" if method == "prompt_tuning" else "first"
    with pytest.raises(ConfigError) as caught:
        make_plan(BertConfig(**TINY), 3, method=method, rank=4, pooling=pooling)
    assert str(caught.value) == (
        f"method={method!r} has no rank: its count is fixed by what it adapts; leave rank=4 out."
    )
    plan = make_plan(BertConfig(**TINY), 3, method=method, pooling=pooling)
    assert (plan.rank, plan.lora_alpha) == (None, None)
    assert plan.to_json()["rank"] is None


def refusal(**wish):
    with pytest.raises(ConfigError) as caught:
        make_plan(BertConfig(**TINY), 3, **{"target_modules": "default", **wish})
    return str(caught.value)


def test_what_a_method_has_no_use_for_is_refused():
    assert refusal(method="prompt_tuning", pooling="first") == (
        "method='prompt_tuning' puts its tokens before the text's first one, which is what pooling='first' reads: give "
        "pooling='mean'."
    )
    assert refusal(method="ln_tuning", target_modules="qv", lora_alpha=4) == (
        "method='ln_tuning' has no scale: leave lora_alpha=4 out; method='ln_tuning' adapts every layer norm: leave "
        "target_modules='qv' out."
    )
    assert refusal(method="dora", rank="allocate") == (
        "method='dora' takes no other rank for single modules: rank='allocate' is for lora, rslora."
    )
    assert refusal(method="vera", rank_pattern={"a": 1}) == (
        "method='vera' takes no other rank for single modules: leave rank_pattern and rank='allocate' out, or give a "
        "method that does: lora, rslora"
    )
    assert refusal(method="oft", rank=5) == (
        "rank=5 is a block size with method='oft', and must divide what each of the 8 targets of query, dense reads: "
        "give one of 2, 4, 8, 16, 32."
    )
    assert refusal(method="lokr", rank=5) == (
        "rank=5 is above 4, the most that changes anything for the 8 targets of query, dense: give a rank from 1 to 4."
    )


def test_starts_are_for_loras_pairs():
    assert refusal(method="ia3", init_lora_weights="pissa") == (
        "init_lora_weights='pissa' starts LoRA's pairs: give method=lora, rslora, or leave it out"
    )
    assert refusal(init_lora_weights="svd") == (
        "init_lora_weights='svd' is not known: give one of gaussian, orthogonal, eva, pissa, olora, or none"
    )
    assert refusal(init_lora_weights="olora", rank="allocate") == (
        "init_lora_weights='olora' needs one rank for all modules: leave rank_pattern and rank='allocate' out"
    )
    assert refusal(init_lora_weights="orthogonal", rank=3) == (
        "rank=3: init_lora_weights='orthogonal' needs an even rank from 2 to 32 on the 8 targets of query, dense."
    )
    open_rank = make_plan(BertConfig(**TINY), 3, init_lora_weights="orthogonal", max_rank=5)
    assert open_rank.rank == 4


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("lorra", "lora"), ("prefix_tuning", "prompt_tuning"), ("P-tuning", "prompt_tuning"), ("beft", "bitfit"),
        ("hra", "boft"), ("fourierft", "vera"), ("LoKR", "lokr"), ("zzz", "lora"),
    ],
)  # fmt: skip
def test_an_unknown_method_is_told_the_nearest(asked, nearest):
    message = unknown_method(asked)
    assert message is not None
    assert f"the nearest is {nearest!r}" in message
    with pytest.raises(ConfigError) as caught:
        make_plans(BertConfig(**TINY), 3, method=asked)
    assert message in str(caught.value)


def test_a_method_without_rank_beyond_the_budget_shows_the_sum():
    with pytest.raises(BudgetError) as caught:
        make_plan(BertConfig(**TINY), 3, method="ln_tuning", pooling="mean", budget=300)
    assert str(caught.value) == (
        "budget=300 is too small: the head takes 99 and 5 layer norms take 320, so at least 419 is needed. Raise the "
        "budget, train less of the head, or adapt fewer targets."
    )


def test_open_targets_include_the_methods_own():
    plans = make_plans(RobertaConfig(**TINY), 3, method="ia3", pooling="mean").candidates
    assert ("key", "value", "output.dense") in {plan.target_modules for plan in plans}
    assert len(make_plans(RobertaConfig(**TINY), 3, method="ln_tuning", pooling="mean").candidates) == 1
    (prompt,) = make_plans(RobertaConfig(**TINY), 3, method="prompt_tuning", num_virtual_tokens=7).candidates
    assert (prompt.pooling, prompt.adapter_parameters) == ("mean", 7 * 32)


def test_what_stands_on_disk_is_said():
    bert = BertConfig(**TINY)
    lora = make_plan(bert, 3, rank=2, pooling="mean", target_modules="default")
    pissa = make_plan(bert, 3, rank=2, pooling="mean", target_modules="default", init_lora_weights="pissa")
    assert (lora.saved_parameters, pissa.saved_parameters) == (1280, 2560)
    assert pissa.trainable_parameters == lora.trainable_parameters
    assert pissa.warnings == (
        "init_lora_weights='pissa' starts from the encoder's own weights: so that the saved adapter loads on the "
        "unchanged encoder it is plain LoRA of rank 4, 2,560 numbers, of which the 1,280 held against the budget "
        "trained.",
    )
    vera = make_plan(bert, 3, method="vera", rank=16, pooling="mean", target_modules="default")
    assert vera.saved_parameters == vera.adapter_parameters + 16 * (64 + 64)


def test_usual_ranks_bound_an_open_rank():
    usual = {
        method: make_plan(BertConfig(), 3, method=method, pooling="mean", budget=10**8, max_rank="usual").rank
        for method in WITH_RANK
    }
    assert usual == {name: METHODS[name].usual_rank for name in WITH_RANK}
    assert (usual["lora"], usual["vera"], usual["oft"], usual["boft"]) == (8, 256, 32, 8)


def test_the_recipe_names_every_method_and_start():
    described = BudgetConfig.model_fields["method"].description
    assert described is not None
    assert described.removeprefix("How the encoder is adapted, by PEFT's name: ").rstrip(".").replace(
        " or ", ", "
    ).split(", ") == [*METHODS]
    starts = BudgetConfig.model_fields["init_lora_weights"].annotation
    assert all(repr(name) in str(starts) for name in INITIALISATIONS)
    assert set(FAST) <= set(METHODS)
    assert all(hasattr(peft, method.config) for method in METHODS.values())
