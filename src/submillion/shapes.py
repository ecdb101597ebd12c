"""What the JSON files of a run hold, as far as later commands rely on it: a file changed by hand is told by its key.

Keys that are not named here may come and go between versions.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from submillion.alternatives import PARTS
from submillion.errors import RunError


class Shape(BaseModel):
    """Some of the keys of a JSON object; kinds are not converted into each other."""

    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Names(Shape):
    label_names: list[str] | None = None
    label_values: list[int | str] | None = None
    max_length: int | None = Field(None, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _each_name_once(self) -> "_Names":
        if self.label_names is not None and len(set(self.label_names)) != len(self.label_names):
            raise ValueError("label_names holds a name twice")
        return self


class AdapterNames(_Names):
    """`submillion.json` beside an adapter; an adapter that other tools saved has none."""

    model: str | None = None
    base_fingerprint: str | None = None
    text_pairs: bool | None = None
    stride: int | None = Field(None, ge=0)
    problem_type: str | None = None
    threshold: float | None = Field(None, ge=0, le=1)
    temperature: Positive | None = None


class _Data(_Names):
    label_names: list[str] = Field(min_length=2)
    label_values: list[int | str] = Field(min_length=2)
    sources: dict[str, str | None]
    splits: dict[str, dict[str, Any]]
    text_pairs: bool = False

    @model_validator(mode="after")
    def _one_value_a_name(self) -> "_Data":
        if len(self.label_values) != len(self.label_names):
            raise ValueError("label_values holds not one value a name")
        return self


class _With(Shape):
    numerics: Literal["exact", "fast", "int8"]


class _Plan(Shape):
    trainable_parameters: int


class _Recommended(Shape):
    name: str
    reason: str


class _CrossValidation(Shape):
    recommended: _Recommended | None = None


class FinishedRun(Shape):
    """`run.json` of a run that came to its end."""

    recipe: dict[str, Any]
    plan: _Plan
    with_: _With = Field(alias="with")
    data: _Data
    cross_validation: _CrossValidation | None
    bf16_shift: float | None = Field(None, ge=0)
    thresholds: dict[str, float] | None = None
    temperatures: dict[str, Positive] | None = None
    pool_weights: dict[str, Positive] = {}
    seconds: dict[str, float]
    figures: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _weights_of_both_or_none(self) -> "FinishedRun":
        if self.pool_weights and set(self.pool_weights) != set(PARTS):
            raise ValueError(f"pool_weights holds not one for each of {' and '.join(PARTS)}")
        return self


def check_shape(tree: Any, shape: type[Shape], path: Path) -> None:
    """Check that a file holds what is relied on.

    Args:
        tree: What the file holds.
        shape: What it should hold.
        path: The file, for messages.

    Raises:
        RunError: Naming the first key that is missing or of another kind.

    >>> check_shape({"label_names": ["a", "a"]}, AdapterNames, Path("submillion.json"))
    Traceback (most recent call last):
      ...
    submillion.errors.RunError: submillion.json is damaged: label_names holds a name twice; put a whole copy of it back
    """
    try:
        shape.model_validate(tree)
    except ValidationError as error:
        problem = error.errors()[0]
        message = problem["msg"].removeprefix("Value error, ")
        place = ".".join(map(str, problem["loc"]))
        what = f"{place}: {message[0].lower()}{message[1:]}" if place and place not in message else message
        raise RunError(f"{path} is damaged: {what}; put a whole copy of it back") from None
