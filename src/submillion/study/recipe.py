"""A search's recipe: an ordinary one, and what may vary, how many are tried, and for how long."""

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from submillion.errors import ConfigError
from submillion.recipe import (
    SEARCH_SECTIONS,
    Recipe,
    Section,
    checked_recipe,
    field_sections,
    lay_over,
    load_recipe,
    read_tree,
)

VARIABLE = (
    "method", "target_modules", "rank", "lora_alpha", "lora_dropout", "head", "pooling", "layers", "head_init",
    "base_dropout", "num_train_epochs", "learning_rate", "lr_scheduler_type", "warmup_ratio", "weight_decay",
    "label_smoothing_factor", "per_device_train_batch_size", "gradient_accumulation_steps", "init_lora_weights",
    "num_virtual_tokens",
)  # fmt: skip
"""The fields that a space may hold."""

FILL = "fill"
"""A rank: the largest that the budget allows."""


class SearchSection(Section):
    """A section of a search, in which yes and no are not taken for 1 and 0."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("input should be a number, not yes or no")
        return value


class Range(SearchSection):
    """Numbers from ``low`` to ``high``, both possible, evenly or evenly by their logarithm."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"low={self.low:g}, high={self.high:g}: need low < high, and low above 0 with log"
            )
        return self


class SearchConfig(SearchSection):
    """How many candidates there are, and how they are told apart."""

    candidates: Annotated[int, Field(ge=1)] | Literal["grid"] = Field(
        "grid", description="Every combination of the space, or so many drawn from it, spread evenly."
    )
    repeats: int = Field(1, ge=1, description="Seeds that each candidate of the last stage is trained with.")
    halving: int | None = Field(
        None,
        ge=2,
        description="In place of stages: keep one of so many, with so many times the rows, again and again.",
    )
    first_share: float = Field(
        0.1, gt=0, le=1, description="With halving: share of the train rows that the first stage trains on."
    )


class StageConfig(SearchSection):
    """One round of short trainings, and how many go on from it."""

    num_train_epochs: float | None = Field(
        None, gt=0, description="Passes over its rows. Default: the candidate's own, else the recipe's."
    )
    share: float = Field(1.0, gt=0, le=1, description="Share of the train rows, of every label alike.")
    keep: int = Field(
        1,
        ge=1,
        description="How many go on to the next stage, by validation log loss; of the last stage all are judged.",
    )


class FinalConfig(SearchSection):
    """The training in full of the candidate that the study recommends."""

    num_train_epochs: float | None = Field(
        None,
        gt=0,
        description="Passes over all train rows at most. Default: by the number of rows, as `train` has it.",
    )
    early_stopping_patience: int | None = Field(
        3, ge=1, description="Stop after this many epochs without a better one."
    )


class TableRow(SearchSection):
    """A row of a published table."""

    recipe: str = Field(description="What it is trained by: a recipe that comes with the package.")
    published: float = Field(gt=0, le=100, description="Its published accuracy, in points of 100.")
    published_parameters: int = Field(gt=0, description="The trainable parameters that were published.")


class TableConfig(SearchSection):
    """A published table, to be trained again; in place of a space."""

    train_rows: tuple[int, int] = Field(
        description="With fewer or more rows than these the published figures are left out."
    )
    test_rows: int = Field(gt=0, description="With another number of test rows too.")
    rows: tuple[TableRow, ...] = Field(min_length=1, description="What is trained, each in full.")


class SearchRecipe(Recipe):
    """A recipe with the sections of a search."""

    space: dict[str, Range | tuple[Any, ...]] = Field(default_factory=dict)
    search: SearchConfig = SearchConfig()
    stages: tuple[StageConfig, ...] = (StageConfig(num_train_epochs=3),)
    final: FinalConfig = FinalConfig()
    table: TableConfig | None = None

    SECTIONS: ClassVar[tuple[str, ...]] = (*Recipe.SECTIONS, *SEARCH_SECTIONS)

    @property
    def base(self) -> Recipe:
        """What all candidates share."""
        return Recipe(seed=self.seed, **{name: getattr(self, name) for name in Recipe.SECTIONS})

    def in_full(self, recipe: Recipe, varied: Mapping[str, Any]) -> Recipe:
        """Return the recipe by which a candidate is trained in full: for its own epochs only where these vary."""
        update: dict[str, Any] = {"early_stopping_patience": self.final.early_stopping_patience}
        if "num_train_epochs" not in varied:
            update["num_train_epochs"] = self.final.num_train_epochs
        return recipe.model_copy(update={"training": recipe.training.model_copy(update=update)})

    def stages_for(self, n_candidates: int) -> tuple[StageConfig, ...]:
        """Return the stages: those written down, or those of successive halving for so many candidates."""
        if self.search.halving is None:
            return self.stages
        epochs = self.stages[-1].num_train_epochs or 3.0
        return halving(n_candidates, self.search.halving, self.search.first_share, epochs)


def halving(n_candidates: int, factor: int, first_share: float, epochs: float) -> tuple[StageConfig, ...]:
    """Return the stages of successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943, figure 1).

    Each stage keeps one candidate of ``factor`` and gives it ``factor`` times the rows: a larger share for one epoch,
    and once that is all of them, more epochs, never beyond ``epochs``. The rule is the synchronous one: what is kept
    does not depend on which of several workers is done first. With so few candidates that nothing is left to halve, the
    one stage trains them all on all rows for ``epochs``.

    Args:
        n_candidates: Candidates of the first stage; at least 1.
        factor: At least 2.
        first_share: Share of the rows that the first stage trains on for one epoch.
        epochs: Most epochs of a stage.

    >>> [(stage.share, stage.num_train_epochs, stage.keep) for stage in halving(24, 4, 0.1, 3)]
    [(0.1, 1.0, 6), (0.4, 1.0, 2), (1.0, 1.6, 1)]
    >>> [(stage.share, stage.num_train_epochs, stage.keep) for stage in halving(4, 4, 0.1, 3)]
    [(1.0, 3.0, 1)]
    """
    if n_candidates <= factor:
        return (StageConfig(num_train_epochs=epochs),)
    sizes = [n_candidates]
    while sizes[-1] > factor:
        sizes.append(math.ceil(sizes[-1] / factor))
    passes = [round(first_share * factor**stage, 6) for stage in range(len(sizes))]
    return tuple(
        StageConfig(share=min(1.0, each), num_train_epochs=min(epochs, max(1.0, each)), keep=kept)
        for each, kept in zip(passes, [*sizes[1:], 1], strict=True)
    )


def load_search_recipe(source: str | Path, **overrides: Any) -> SearchRecipe:
    """Return the search recipe that ``source`` names, with ``overrides`` laid over it.

    Args:
        source: A YAML file, or the name of a recipe that comes with the package.
        overrides: Fields of the ordinary sections, or ``seed``.

    Raises:
        ConfigError: If a key is unknown or a value is not allowed, or a field stands in the space that cannot vary or is
            among the overrides.
    """
    tree = read_tree(source)
    lay_over(tree, overrides)
    recipe = checked_recipe(tree, str(source), SearchRecipe)
    check_space(recipe, str(source), {"rank" if name == "r" else name for name in overrides})
    return recipe


def check_space(recipe: SearchRecipe, where: str, given: Collection[str] = ()) -> None:
    """Refuse a space that holds nothing, or what cannot vary, and stages that say what is not done.

    Args:
        recipe: To be checked.
        where: What messages call its source.
        given: Fields that were laid over it, as flags are.

    Raises:
        ConfigError: Every problem in one message.
    """
    problems = []
    if recipe.table is not None:
        if recipe.space:
            problems.append("[space] and [table] do not go together: a table chooses nothing")
    elif not recipe.space:
        problems.append(
            "[space] is empty: give choices for at least one field, such as learning_rate: [3e-4, 1e-3]"
        )
    for name, choices in recipe.space.items():
        if name not in VARIABLE:
            kind = "cannot vary in a search" if name in field_sections() else "is no recipe field"
            problems.append(f"[space] {name!r} {kind}: {', '.join(VARIABLE)} can")
        elif isinstance(choices, Range) and recipe.search.candidates == "grid":
            problems.append(
                f"[space] {name} is a range, of which a grid has no end: list its values, or set search.candidates"
            )
        elif not isinstance(choices, Range) and not choices:
            problems.append(f"[space] {name} has no value: list at least one")
        else:
            problems += _value_problems(name, choices)
        if name in given:
            problems.append(f"{name} is given, and [space] says what it may be: leave one of the two out")
    problems += _stage_problems(recipe)
    if problems:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in problems))


def _value_problems(name: str, choices: Range | tuple[Any, ...]) -> Iterator[str]:
    """Say which values of a field of the space are not allowed, whatever stands beside them."""
    values = (choices.low, choices.high) if isinstance(choices, Range) else choices
    for value in values:
        if isinstance(value, bool):
            yield f"[space] {name}={value}: no field that varies is a yes or no"
        elif (name, value) != ("rank", FILL):
            yield from _refusals(name, value)
    if isinstance(choices, Range) and any(_refusals(name, math.nextafter(choices.low, choices.high))):
        yield f"[space] {name} is a range, which a field of whole numbers or words cannot be: list its values"


def _refusals(name: str, value: Any) -> list[str]:
    """Return what the field's own section says against a value, in the name of the space."""
    try:
        load_recipe(**{name: value})
    except ConfigError as error:
        section = f"arguments: [{field_sections()[name]}] "
        return [f"[space] {line.removeprefix(section)}" for line in str(error).splitlines()]
    return []


def _stage_problems(recipe: SearchRecipe) -> Iterator[str]:
    stages_leave_epochs = recipe.search.halving is None and any(
        stage.num_train_epochs is None for stage in recipe.stages
    )
    if "num_train_epochs" in recipe.space and not stages_leave_epochs:
        yield (
            "[space] num_train_epochs has no effect, for the stages say how long: give a stage num_train_epochs: null"
        )
    if not recipe.stages:
        yield "[stages] is empty: give at least one, such as - {num_train_epochs: 3}"
    elif recipe.search.halving is not None:
        most = recipe.stages[0].num_train_epochs
        if most is None or recipe.stages != (StageConfig(num_train_epochs=most),):
            yield (
                f"[search] halving={recipe.search.halving} makes the stages itself: leave stages out, or give one with "
                "num_train_epochs alone, the most epochs of a stage"
            )
