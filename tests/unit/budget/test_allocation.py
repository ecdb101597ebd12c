"""Other ranks for single modules: counts to the parameter, wishes rounded into what a uniform rank costs."""

import numpy as np
import pytest
from transformers import BertConfig

from conftest import TINY
from submillion.budget import make_plan
from submillion.budget.allocation import adapted_shapes, round_ranks, with_ranks
from submillion.errors import BudgetError, ConfigError

CONFIG = BertConfig(**TINY | {"num_hidden_layers": 3})
QUERY = "encoder.layer.0.attention.self.query"
WIDE = "encoder.layer.1.intermediate.dense"


def plan(**fields):
    return make_plan(CONFIG, 4, **{"target_modules": "query,dense", "rank": 3, "pooling": "mean"} | fields)


def test_counts_change_by_what_the_modules_cost():
    uniform = plan()
    other = with_ranks(uniform, {QUERY: 5, WIDE: 0})
    assert adapted_shapes(uniform)[WIDE] == (64, 32)
    change = 2 * (32 + 32) - 3 * (64 + 32)
    assert other.trainable_parameters == uniform.trainable_parameters + change
    assert other.adapter_parameters == uniform.adapter_parameters + change
    assert other.total_parameters == uniform.total_parameters + change
    assert WIDE not in adapted_shapes(other)
    assert other.rank_pattern == {QUERY: 5, WIDE: 0}
    assert plan(rank_pattern={QUERY: 5, WIDE: 0}) == other


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ({"encoder.layer.7.query": 2}, "encoder.layer.7.query is not adapted by this plan"),
        ({QUERY: 33}, f"{QUERY}=33 is outside 0 to 32"),
        ({QUERY: -1}, "is outside 0 to 32"),
    ],
)
def test_what_cannot_be_is_refused(ranks, message):
    with pytest.raises(ConfigError, match=message):
        with_ranks(plan(), ranks)


def test_no_rank_at_all_is_refused():
    with pytest.raises(ConfigError, match="every module has rank 0"):
        with_ranks(plan(), dict.fromkeys(adapted_shapes(plan()), 0))


def test_a_pattern_beyond_the_budget_is_refused():
    uniform = plan()
    with pytest.raises(BudgetError, match=f"budget={uniform.trainable_parameters:,} is too small"):
        plan(budget=uniform.trainable_parameters, rank_pattern={QUERY: 4})


def test_rounding_never_costs_more_and_leaves_less_than_one_rank():
    uniform = plan()
    shapes = adapted_shapes(uniform)
    draw = np.random.default_rng(0)
    for _ in range(200):
        wished = {name: int(draw.integers(0, 7)) for name in shapes}
        if not any(wished.values()):
            continue
        ranks = round_ranks(uniform, wished)
        found = with_ranks(uniform, ranks)
        left = uniform.adapter_parameters - found.adapter_parameters
        room = [sum(shape) for name, shape in shapes.items() if wished[name] and ranks[name] < min(shape)]
        assert left >= 0
        assert not room or left < min(room)
        assert all(ranks[name] == 0 for name in shapes if wished[name] == 0)


def test_a_uniform_wish_is_the_uniform_plan():
    uniform = plan()
    assert with_ranks(uniform, round_ranks(uniform, dict.fromkeys(adapted_shapes(uniform), 2))) == uniform
