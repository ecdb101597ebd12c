"""Another rank for each module, at no more parameters than a uniform one."""

from collections.abc import Mapping
from dataclasses import replace

from submillion.budget.candidate import Plan
from submillion.budget.count import count_adapter, largest_rank, size
from submillion.budget.draft import WRAPPED
from submillion.budget.methods import METHODS
from submillion.budget.on_layer import Shape
from submillion.errors import BudgetError, ConfigError


def with_ranks(plan: Plan, ranks: Mapping[str, int]) -> Plan:
    """Return ``plan`` with another rank on some of its modules, counts and shapes with it.

    Args:
        plan: Of a uniform rank.
        ranks: Name in the stock model -> rank; 0: the module is not adapted; modules that are not named keep the plan's.

    Raises:
        ConfigError: If a name is not adapted by the plan, a rank is negative or above what the module allows, or none is
            left.
        BudgetError: If the plan then is beyond its budget.
    """
    if not METHODS[plan.method].is_low_rank_pair or plan.rank is None:
        able = ", ".join(name for name, method in METHODS.items() if method.is_low_rank_pair)
        raise ConfigError(
            f"method={plan.method!r} takes no other rank for single modules: leave rank_pattern and rank='allocate' out, or "
            f"give a method that does: {able}"
        )
    uniform, shapes = plan.rank, adapted_shapes(plan)
    problems = [f"{name} is not adapted by this plan" for name in ranks if name not in shapes]
    problems += [
        f"{name}={rank} is outside 0 to {largest_rank([shapes[name]])}"
        for name, rank in ranks.items()
        if name in shapes and not 0 <= rank <= largest_rank([shapes[name]])
    ]
    if not problems and not any(ranks.get(name, uniform) for name in shapes):
        problems.append("every module has rank 0")
    if problems:
        raise ConfigError(
            f"rank_pattern: {'; '.join(problems)}. Give names such as {next(iter(shapes))!r} and their ranks"
        )
    trained = METHODS[plan.method].trained
    adapter: dict[str, Shape] = {
        f"{WRAPPED}{module}.{name}": shape
        for module, (d_out, d_in) in shapes.items()
        if (rank := ranks.get(module, uniform))
        for name, shape in trained(rank, d_out, d_in).items()
    }
    head = {name: shape for name, shape in plan.trainable_shapes.items() if ".lora_" not in name}
    trainable = size(adapter) + size(head)
    if trainable > plan.budget:
        raise BudgetError(
            f"budget={plan.budget:,} is too small: with this rank_pattern {trainable:,} parameters would train. Lower ranks, "
            "or raise the budget"
        )
    total = plan.total_parameters - plan.adapter_parameters + size(adapter)
    return replace(
        plan,
        saved_parameters=size(adapter) * plan.saved_parameters // plan.adapter_parameters,
        rank_pattern={name: rank for name, rank in ranks.items() if rank != uniform},
        adapter_parameters=size(adapter),
        trainable_parameters=trainable,
        total_parameters=total,
        trainable_percent=round(100 * trainable / total, 4),
        within_budget=True,
        trainable_shapes=adapter | head,
    )


def round_ranks(plan: Plan, wished: Mapping[str, int]) -> dict[str, int]:
    """Return ranks in the proportions of ``wished`` whose adapter has as many parameters as the plan's, or just fewer.

    By the largest remainder: each wish is scaled until all of them together cost what the uniform rank costs, and cut to
    a whole number; what that leaves goes, one rank at a time, to the modules that lost most, as long as one of them can
    be paid for.

    Args:
        plan: Of a uniform rank.
        wished: Module -> rank, at least 0; one of them above 0. What is 0 stays 0.
    """
    shapes = adapted_shapes(plan)
    costs = {name: count_adapter(1, [shape], plan.method) for name, shape in shapes.items()}
    scale = plan.adapter_parameters / sum(costs[name] * wished[name] for name in shapes)
    exact = {name: min(scale * wished[name], largest_rank([shapes[name]])) for name in shapes}
    ranks = {name: int(value) for name, value in exact.items()}
    left = plan.adapter_parameters - sum(costs[name] * rank for name, rank in ranks.items())
    while True:
        affordable = [
            name
            for name in shapes
            if wished[name] and costs[name] <= left and ranks[name] < largest_rank([shapes[name]])
        ]
        if not affordable:
            return ranks
        most = max(affordable, key=lambda name: exact[name] - ranks[name])  # the first of equals
        ranks[most] += 1
        left -= costs[most]


def adapted_shapes(plan: Plan) -> dict[str, tuple[int, int]]:
    """Return each adapted module and its ``(d_out, d_in)``, in the model's order."""
    found: dict[str, tuple[int, int]] = {}
    for name, shape in plan.trainable_shapes.items():
        if name.endswith(".lora_A.default.weight"):
            module = name.removesuffix(".lora_A.default.weight")
            d_out = plan.trainable_shapes[f"{module}.lora_B.default.weight"][0]
            found[module.removeprefix(WRAPPED)] = (d_out, shape[1])
    return found
