"""Exact counts of what will train, from an encoder's config alone, and the best that fits a budget."""

from submillion.budget.candidate import Plan, PlanReport
from submillion.budget.count import solve_rank
from submillion.budget.families import FAMILIES, length_limit
from submillion.budget.methods import METHODS
from submillion.budget.plan import DEFAULT_BUDGET, make_plan, make_plans

__all__ = [
    "DEFAULT_BUDGET",
    "FAMILIES",
    "METHODS",
    "Plan",
    "PlanReport",
    "length_limit",
    "make_plan",
    "make_plans",
    "solve_rank",
]
