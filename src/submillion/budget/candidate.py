"""The values that the budget hands on: one plan, and a list of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from submillion.budget.on_layer import Shape
from submillion.budget.targets import Layers


@dataclass(frozen=True)
class Plan:
    """What will train, to the parameter.

    Attributes:
        model: Hub id or folder of the encoder.
        model_type: Its family.
        n_labels: Labels of the classifier.
        budget: Most parameters that may train, head included; inclusive.
        method: A name in `METHODS`.
        target_modules: Suffix patterns as PEFT's ``LoraConfig`` takes them; none where the method adapts no linear layer.
        exclude_modules: Suffixes of linear layers that are never adapted (they do no work with mean pooling).
        rank: LoRA's r, AdaLoRA's ``init_r``, the block size of OFT and BOFT; None where the method has none.
        lora_alpha: LoRA's numerator of the scale; None where the method has none.
        lora_dropout: Dropout before LoRA's first matrix; 0 where the method has none.
        head: "full" or "output"; always "full" with mean pooling, whose head is one layer.
        pooling: "first" or "mean".
        layers: Blocks that are adapted: "all", or their numbers from 0.
        modules_to_save: Modules that PEFT copies and saves; none with mean pooling.
        frozen_head: Head layers that are saved but do not train.
        random_layers: Head layers that start at random.
        random_layers_source: Where that is known from: "checkpoint header" or "family table".
        adapter_parameters: Trained in the adapter.
        head_parameters: Trained in the head.
        trainable_parameters: Both.
        total_parameters: All parameters as PEFT's ``get_nb_trainable_parameters()`` counts them, the saved head's
            copy included; with mean pooling the head is added.
        trainable_percent: Of the total, to four decimals as PEFT prints it.
        within_budget: Whether ``trainable_parameters <= budget``.
        matched_modules: Pattern -> names of the modules that it adapts.
        warnings: What the user should know before training.
        rank_pattern: Module -> rank, where that is another than ``rank``; 0: it is not adapted.
        init_lora_weights: How LoRA's matrices start; None: PEFT's default, B at zero.
        num_virtual_tokens: Of prompt tuning; None of any other method.
        saved_parameters: Numbers that the saved adapter holds besides the head.
        feedforward_modules: The adapted layers that close a feed-forward block.
        trainable_shapes: Name in the built model -> shape of each trained parameter. The built model holds the
            ``PeftModel`` as ``encoder`` and, with mean pooling, the linear layer as ``head``.
    """

    model: str
    model_type: str
    n_labels: int
    budget: int
    method: str
    target_modules: tuple[str, ...]
    exclude_modules: tuple[str, ...]
    rank: int | None
    lora_alpha: float | None
    lora_dropout: float
    head: str
    pooling: str
    layers: Layers
    modules_to_save: tuple[str, ...]
    frozen_head: tuple[str, ...]
    random_layers: tuple[str, ...]
    random_layers_source: str
    adapter_parameters: int
    head_parameters: int
    trainable_parameters: int
    total_parameters: int
    trainable_percent: float
    within_budget: bool
    matched_modules: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...]
    rank_pattern: Mapping[str, int]
    init_lora_weights: str | None
    num_virtual_tokens: int | None
    saved_parameters: int
    feedforward_modules: tuple[str, ...]
    trainable_shapes: Mapping[str, Shape]

    def to_json(self) -> dict[str, Any]:
        """Return the candidate of ``plan --json``: all fields but ``trainable_shapes`` and ``feedforward_modules``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["trainable_shapes"], values["feedforward_modules"]
        values["matched_modules"] = {pattern: list(names) for pattern, names in self.matched_modules.items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class PlanReport:
    """The plans for one encoder, the best use of the budget first.

    Attributes:
        model: Hub id or folder of the encoder.
        n_labels: Labels of the classifier.
        base_parameters: Parameters of ``AutoModelForSequenceClassification`` before anything is adapted.
        budget: Most parameters that may train, head included; inclusive.
        peft_version: The installed one, which builds what is planned here.
        candidates: At least one; those beyond the budget last.
    """

    model: str
    n_labels: int
    base_parameters: int
    budget: int
    peft_version: str
    candidates: tuple[Plan, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``plan --json`` prints."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"candidates": [plan.to_json() for plan in self.candidates]}
