"""The stock PEFT adapter of a plan, and the assertion that nothing else trains."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from submillion.budget.count import size
from submillion.budget.families import SAVED_BY_PEFT, family_of
from submillion.budget.methods import METHODS, is_of_adapter
from submillion.budget.on_layer import Shape
from submillion.budget.plan import Plan
from submillion.errors import BudgetError

if TYPE_CHECKING:
    from torch import nn

_WRAPPER = "encoder."
"""Prefix of a ``PeftModel``'s names inside the built model; see `Plan.trainable_shapes`."""

_SAVED_COPY = ".modules_to_save.default."
"""What PEFT puts into the name of a parameter of a saved copy."""

_SHOWN = 6
"""Names shown in a message, of each kind."""


def peft_config(plan: Plan) -> Any:
    """Return PEFT's config of ``plan``; PEFT changes it when it wraps a model, so each call makes a new one."""
    import peft

    method, is_mean = METHODS[plan.method], plan.pooling == "mean"
    common: dict[str, Any] = {
        "task_type": peft.TaskType.FEATURE_EXTRACTION if is_mean else peft.TaskType.SEQ_CLS,
        "inference_mode": False,
    }
    if method.adapts != "prompt":
        saved = [name for name in plan.modules_to_save if name not in SAVED_BY_PEFT] or None
        # PEFT adds its own to whatever is named here, whether they are named already or not.
        common |= {"modules_to_save": saved, **_targets(plan)}
    return getattr(peft, method.config)(**common, **method.arguments(plan))


def _targets(plan: Plan) -> dict[str, Any]:
    """Return what says which modules are adapted: by pattern where PEFT knows how to leave some out, else each by name."""
    if not METHODS[plan.method].is_low_rank_pair:
        return {"target_modules": sorted({name for names in plan.matched_modules.values() for name in names})}
    chosen: dict[str, Any] = {}
    if not isinstance(plan.layers, str):
        chosen = {
            "layers_to_transform": list(plan.layers),
            "layers_pattern": family_of(plan.model_type, plan.model).layers_pattern,
        }
    return {
        "target_modules": list(plan.target_modules),
        "exclude_modules": [*plan.exclude_modules, *_without_rank(plan)] or None,
        "rank_pattern": {name: rank for name, rank in plan.rank_pattern.items() if rank},
        "alpha_pattern": _alphas(plan),
        **chosen,
    }


def _without_rank(plan: Plan) -> list[str]:
    return [name for name, rank in plan.rank_pattern.items() if rank == 0]


def _alphas(plan: Plan) -> dict[str, float]:
    """Return what keeps LoRA's scale ``alpha / rank`` the same in all modules; rsLoRA's is made for any rank."""
    if plan.method == "rslora":
        return {}
    alpha, uniform = plan.lora_alpha or 0, plan.rank or 1
    return {name: alpha * rank / uniform for name, rank in plan.rank_pattern.items() if rank}


def attach(base: Any, plan: Plan) -> Any:
    """Wrap a stock transformers model in the adapter of ``plan``.

    Args:
        base: ``AutoModelForSequenceClassification`` with ``plan.n_labels``, or ``AutoModel`` for mean pooling.
        plan: What shall train.

    Returns:
        The ``PeftModel``, the head layers that shall not train frozen; see `assert_planned` for all else.
    """
    from peft import get_peft_model

    with quiet_peft():
        model = get_peft_model(base, peft_config(plan))
    for name, parameter in _named_parameters(model):
        if _is_frozen_head(name, plan):
            parameter.requires_grad_(False)
    return model


_OF_PEFTS_OWN_CODE = (
    "`is_gradient_checkpointing` is deprecated",
    "Unsupported layer type .*Norm",  # LN_TUNING wraps them
    "The following rank_pattern keys did not match",  # AdaLoRA's mean something else
)


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Silence what PEFT 0.21 makes transformers 5.23 say of PEFT's own code whenever a model is wrapped or loaded."""
    from peft.tuners.boft import layer as boft

    boft._FBD_CUDA = boft._FBD_CUDA or False  # else it compiles CUDA code, wherever it is
    with warnings.catch_warnings():
        for message in _OF_PEFTS_OWN_CODE:
            warnings.filterwarnings("ignore", message)
        yield


def freeze_unplanned(model: "nn.Module", plan: Plan) -> tuple[str, ...]:
    """Set exactly the planned parameters to train, and no other.

    PEFT's ``set_adapter()``, and so every load, lets a saved head train that was frozen; a load for inference lets
    nothing train. `assert_planned` still refuses what is missing, has another shape, or is adapted beyond the plan.

    Args:
        model: The built model, or its ``PeftModel``.
        plan: What shall train.

    Returns:
        The names of the parameters that were changed.
    """
    changed = []
    for name, parameter in _named_parameters(model):
        if parameter.requires_grad != (name in plan.trainable_shapes):
            parameter.requires_grad_(name in plan.trainable_shapes)
            changed.append(name)
    return tuple(changed)


def assert_planned(model: "nn.Module", plan: Plan, when: str) -> None:
    """Refuse a model whose trained parameters are not those of ``plan``, by name and shape.

    What PEFT put on a module outside the plan is refused also when it is frozen, for it changes the logits.

    Args:
        model: The built model, whose ``encoder`` is the ``PeftModel``.
        plan: What shall train.
        when: For the message: "after build", "after load", ...

    Raises:
        BudgetError: If they differ, naming the modules, or exceed the budget.
    """
    built: dict[str, Shape] = {}
    trained: dict[str, Shape] = {}
    for name, parameter in _named_parameters(model):
        built[name] = tuple(parameter.shape)
        if parameter.requires_grad:
            trained[name] = tuple(parameter.shape)
    planned = plan.trainable_shapes
    differences = {
        "missing": [name for name in planned if name not in built],
        "frozen": [name for name in planned if name in built and name not in trained],
        "unexpected": [
            name for name in built if name not in planned and (name in trained or _changes_logits(name))
        ],
        "of another shape": [
            f"{name} {built[name]} for {shape}"
            for name, shape in planned.items()
            if built.get(name, shape) != shape
        ],
    }
    if any(differences.values()):
        found = "; ".join(f"{kind}: {_shorten(names)}" for kind, names in differences.items() if names)
        raise BudgetError(
            f"{when}: the model is not the planned one: {found}. It trains {size(trained):,} parameters, planned are "
            f"{plan.trainable_parameters:,} of budget={plan.budget:,}. Build it from this plan, or plan it anew."
        )
    if size(trained) > plan.budget:
        raise BudgetError(
            f"{when}: the model trains {size(trained):,} parameters, above budget={plan.budget:,}. Lower the rank, "
            "train less of the head, or adapt fewer targets."
        )


def _changes_logits(name: str) -> bool:
    """Whether a parameter is an adapter's, but for the number of a layer's triplets, which AdaLoRA keeps as one."""
    return is_of_adapter(name) and ".ranknum." not in name


def _named_parameters(model: "nn.Module") -> Iterable[tuple[str, "nn.Parameter"]]:
    """Yield the parameters under the plan's names, also for a bare ``PeftModel``."""
    from peft import PeftModel

    prefix = _WRAPPER if isinstance(model, PeftModel) else ""
    for name, parameter in model.named_parameters():
        yield prefix + name, parameter


def _is_frozen_head(name: str, plan: Plan) -> bool:
    """Return whether a parameter is of a saved head layer that the plan keeps from training."""
    stock = name.replace(_SAVED_COPY, ".")
    return stock != name and any(f".{layer}." in stock for layer in plan.frozen_head)


def _shorten(names: list[str]) -> str:
    """Return the first names, and how many there are beyond them.

    >>> _shorten(["a", "b"])
    'a, b'
    >>> _shorten(list("abcdefgh"))
    'a, b, c, d, e, f and 2 more'
    """
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
