"""The candidates of a study, all drawn and planned before any is trained."""

import itertools
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from submillion.budget.plan import ALLOCATE, Plan, make_plan
from submillion.errors import BudgetError, ConfigError, one_line
from submillion.model.device import choose_numerics, why_slow
from submillion.recipe import Recipe, load_recipe
from submillion.study.recipe import FILL, Range, SearchRecipe


@dataclass(frozen=True)
class Candidate:
    """One way to spend the budget.

    Attributes:
        number: Its place in the list, from 0.
        varied: What it takes from the space: field -> value.
        recipe: The study's recipe with that laid over it.
        plan: What it would train, also where that is beyond the budget; None where it cannot be planned.
        refused: Why it is never started; empty where it may be.
    """

    number: int
    varied: Mapping[str, Any]
    recipe: Recipe
    plan: Plan | None
    refused: str = ""

    @property
    def name(self) -> str:
        """What tables call it, such as ``rank 8, learning_rate 0.001``."""
        return ", ".join(f"{field} {_shown(value)}" for field, value in self.varied.items())

    def to_json(self) -> dict[str, Any]:
        """Return it for `study.json`."""
        return {
            "number": self.number,
            "name": self.name,
            "varied": dict(self.varied),
            "trainable_parameters": self.plan.trainable_parameters if self.plan else None,
            "rank": self.plan.rank if self.plan else None,
            "target_modules": list(self.plan.target_modules) if self.plan else None,
            "refused": self.refused,
        }


def draw_candidates(recipe: SearchRecipe, encoder: str, n_labels: int) -> list[Candidate]:
    """Return all candidates of a space, each planned; the same ones for the same recipe.

    A drawn candidate that equals an earlier one is left out, also where they differ in fields but not in plan.

    Args:
        recipe: What may vary.
        encoder: Folder or hub id; only its config is read.
        n_labels: Labels of the classifier.

    Raises:
        ConfigError: If every candidate is refused, or a value is not allowed whatever stands beside it.
    """
    found: dict[str, Candidate] = {}
    for varied in draw(recipe):
        candidate = _planned(recipe.base, varied, encoder, n_labels)
        found.setdefault(_identity(candidate), candidate)
    candidates = [replace(candidate, number=number) for number, candidate in enumerate(found.values())]
    if all(candidate.refused for candidate in candidates):
        reasons = dict.fromkeys(candidate.refused for candidate in candidates)
        raise ConfigError(f"none of {len(candidates)} candidates can be trained: " + "; ".join(reasons))
    return candidates


def draw(recipe: SearchRecipe) -> list[dict[str, Any]]:
    """Return the points of the space: the whole grid, or as many as asked from Optuna's quasi-random sampler."""
    if recipe.search.candidates == "grid":
        names = list(recipe.space)
        values = [choices for choices in recipe.space.values() if not isinstance(choices, Range)]
        return [dict(zip(names, point, strict=True)) for point in itertools.product(*values)]
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.QMCSampler(scramble=True, seed=recipe.seed, warn_independent_sampling=False)
    distributions = {name: _distribution(choices) for name, choices in recipe.space.items()}
    points = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=sampler)
        # The sampler takes its space from the first trial of a study, which it would draw at random.
        first = {name: _lowest(choices) for name, choices in recipe.space.items()}
        study.add_trial(optuna.create_trial(params=first, distributions=distributions, value=0.0))
        for _ in range(recipe.search.candidates):
            drawn = study.ask(distributions).params
            points.append({name: _value(recipe.space[name], drawn[name]) for name in recipe.space})
    return points


def _distribution(choices: Range | tuple[Any, ...]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(choices, Range):
        return FloatDistribution(choices.low, choices.high, log=choices.log)
    return CategoricalDistribution(range(len(choices)))  # by place: a choice may be a list


def _lowest(choices: Range | tuple[Any, ...]) -> float | int:
    return choices.low if isinstance(choices, Range) else 0


def _value(choices: Range | tuple[Any, ...], drawn: Any) -> Any:
    return float(f"{drawn:.3g}") if isinstance(choices, Range) else choices[drawn]


def _planned(base: Recipe, varied: Mapping[str, Any], encoder: str, n_labels: int) -> Candidate:
    """Lay a point over the recipe and plan it; what cannot be had becomes the reason."""
    fields = dict(varied)
    if fields.get("rank") == FILL:
        fields |= {"rank": None, "max_rank": None}
    recipe = load_recipe(base, **fields)
    training, plan = recipe.training, None
    try:
        plan = make_plan(encoder, n_labels, **recipe.budget.model_dump(), must_fit=False)
        choose_numerics(
            training.numerics,
            recipe.model.base_dropout,
            plan.model_type,
            fp16=training.fp16,
            slow=why_slow(plan),
        )
    except (BudgetError, ConfigError) as error:
        return Candidate(0, varied, recipe, plan, one_line(error))
    return Candidate(0, varied, recipe, plan, "" if plan.within_budget else plan.warnings[0])


def _identity(candidate: Candidate) -> str:
    """Return what makes two candidates the same training."""
    recipe = candidate.recipe.model_dump(mode="json")
    if candidate.plan is not None:
        recipe["budget"] = [candidate.plan.to_json(), candidate.recipe.budget.rank == ALLOCATE]
    return json.dumps(recipe, sort_keys=True, default=str)


def _shown(value: Any) -> str:
    """Return a value as tables show it.

    >>> _shown(0.0003), _shown(("query", "dense")), _shown("fill")
    ('0.0003', 'query+dense', 'fill')
    """
    if isinstance(value, list | tuple):
        return "+".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
