"""An encoder's config read into names and shapes, without a weight: the models are built on the meta device."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submillion.budget.checkpoint import random_layers
from submillion.budget.families import Family, family_of
from submillion.budget.on_layer import Shape
from submillion.encoders import load_config
from submillion.errors import ConfigError, one_line


@dataclass(frozen=True)
class Skeleton:
    """Names and shapes of one model.

    Attributes:
        modules: Every module by name; ``(d_out, d_in)`` of a linear layer, None of any other.
        parameters: Every parameter by name and its shape.
    """

    modules: Mapping[str, tuple[int, int] | None]
    parameters: Mapping[str, Shape]

    def linear(self) -> dict[str, tuple[int, int]]:
        """Return ``(d_out, d_in)`` of every linear layer, by name."""
        return {name: shape for name, shape in self.modules.items() if shape is not None}

    def below(self, module: str) -> dict[str, Shape]:
        """Return the parameters inside ``module``, by their names in the model."""
        return {name: shape for name, shape in self.parameters.items() if name.startswith(f"{module}.")}


@dataclass(frozen=True)
class Encoder:
    """What the budget needs to know of an encoder.

    Attributes:
        model: Hub id or folder.
        family: Its row of the family table.
        n_labels: Labels of the classifier.
        n_layers: Number of blocks.
        hidden_size: Width.
        classifier: ``AutoModelForSequenceClassification`` with ``n_labels``.
        bare: ``AutoModel``.
        random_layers: Head layers of ``classifier`` that start at random.
        random_layers_source: Where that is known from: "checkpoint header" or "family table".
    """

    model: str
    family: Family
    n_labels: int
    n_layers: int
    hidden_size: int
    classifier: Skeleton
    bare: Skeleton
    random_layers: tuple[str, ...]
    random_layers_source: str


def read_encoder(model: Any, n_labels: int) -> Encoder:
    """Return names and shapes of the encoder of ``model``, from its config alone.

    Args:
        model: Hub id, folder, or a transformers ``PretrainedConfig``.
        n_labels: Labels of the classifier.

    Raises:
        ConfigError: If no config can be had, or the family is not supported.
    """
    config = deepcopy(load_config(str(model)) if isinstance(model, (str, Path)) else model)
    source = str(model) if isinstance(model, (str, Path)) else config.name_or_path
    family = family_of(config.model_type, source or "a config")
    config.num_labels = n_labels
    from transformers import AutoModel, AutoModelForSequenceClassification

    classifier = _skeleton(AutoModelForSequenceClassification, config)
    random, known_from = random_layers(source, family, classifier.parameters)
    return Encoder(
        model=source or family.model_type,
        family=family,
        n_labels=n_labels,
        n_layers=1 if family.has_shared_blocks else config.num_hidden_layers,
        hidden_size=config.hidden_size,
        classifier=classifier,
        bare=_skeleton(AutoModel, config),
        random_layers=random,
        random_layers_source=known_from,
    )


def _skeleton(auto_class: Any, config: Any) -> Skeleton:
    """Return names and shapes of what ``auto_class`` makes of ``config``."""
    import torch

    try:
        with torch.device("meta"):
            model = auto_class.from_config(config)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, AttributeError) as error:
        raise ConfigError(
            f"model={config.name_or_path!r}: no encoder can be built from its config.json ({one_line(error, 200)}): "
            "put back the one that its weights came with"
        ) from None
    return Skeleton(
        modules={
            name: (module.out_features, module.in_features) if isinstance(module, torch.nn.Linear) else None
            for name, module in model.named_modules()
            if name
        },
        parameters={name: tuple(parameter.shape) for name, parameter in model.named_parameters()},
    )
