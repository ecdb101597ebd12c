"""An adapter weakened after training: between the encoder as it was and as it became.

The way of WiSE-FT (Wortsman et al. 2022, arXiv:2109.01903) for LoRA: what PEFT's `rescale_adapter_scale` does for the time
of a block is written into the matrices B, so that the saved adapter is stock and merges to the same logits.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from submillion.model.build import Classifier
from submillion.recipe import CHOOSE
from submillion.scoring import score
from submillion.training.fit import Labelled

SCALES = (0.5, 0.7, 0.85, 1.0)
"""What `choose` chooses from."""

ROWS_A_SPARE = 300
"""For each so many validation rows one may be lost to a smaller scale."""


def weaken_adapter(
    model: Classifier, scale: float | str, validation: Labelled | None, batch_size: int
) -> dict[str, Any]:
    """Multiply the adapter by ``scale``, for good, and return what was done, for `run.json`.

    Args:
        model: Trained.
        scale: Above 0 and at most 1; ``choose``: what `smallest_scale` takes by validation, 1 where there is none.
        validation: Rows to choose by.
        batch_size: Most rows a batch that is scored.

    Returns:
        ``scale``, and ``validation_accuracy`` of each scale that was tried.
    """
    if scale != CHOOSE or validation is None:
        chosen = 1.0 if isinstance(scale, str) else scale
        _write(_matrices(model), chosen)
        return {"scale": chosen, "validation_accuracy": {}}
    whole = _matrices(model)
    right: dict[float, int] = {}
    for each in SCALES:
        _write(whole, each)
        predictions = score(model, validation.input_ids, batch_size).predictions
        right[each] = int(np.sum(predictions == validation.labels))
    n_rows = len(validation.labels)
    chosen = smallest_scale(right, n_rows)
    _write(whole, chosen)
    return {
        "scale": chosen,
        "validation_accuracy": {f"{each:g}": n_right / n_rows for each, n_right in right.items()},
    }


def smallest_scale(right: Mapping[float, int], n_rows: int) -> float:
    """Return the smallest scale that has at most one row in 300 (rounded) less right than the best one.

    Args:
        right: Scale -> validation rows that are right with it.
        n_rows: Validation rows.

    >>> smallest_scale({0.5: 280, 0.7: 289, 1.0: 290}, n_rows=300)
    0.7
    >>> smallest_scale({0.5: 28, 0.7: 28, 1.0: 29}, n_rows=30)
    1.0
    """
    enough = max(right.values()) - round(n_rows / ROWS_A_SPARE)
    return min(scale for scale, n_right in right.items() if n_right >= enough)


Matrices = list[tuple[torch.nn.Parameter, torch.Tensor]]
"""Each matrix B, and a copy of what it holds."""


def _matrices(model: Classifier) -> Matrices:
    return [(value, value.detach().clone()) for name, value in model.named_parameters() if ".lora_B." in name]


@torch.no_grad()
def _write(matrices: Matrices, scale: float) -> None:
    for parameter, whole in matrices:
        parameter.copy_(whole * scale)
