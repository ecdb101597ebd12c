"""Other starts of LoRA's matrices, and an adapter that loads on the encoder as it was.

PiSSA (Meng et al. 2024, arXiv:2404.02948) and OLoRA (Büyükakyüz 2024, arXiv:2406.01775) take their start out of the
encoder: with W the weight, A0 and B0 the start and s the scale, what is frozen is ``W - s B0 A0``. What training comes to is
``W + s (B A - B0 A0)``, which is LoRA of twice the rank on W itself; so it is saved.

PEFT 0.21.2 has the same conversion (``path_initial_model_for_weight_conversion``), but what it writes holds the matrices
alone, and the trained head is lost (``peft.tuners.lora.model.LoraModel.subtract_mutated_init``).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from submillion.budget.methods import MOVING_BASE
from submillion.budget.plan import Plan

Start = tuple[torch.Tensor, torch.Tensor]


@dataclass
class MovedBase:
    """What a start took out of the encoder.

    Attributes:
        weights: Module, as the ``PeftModel`` names it -> the weight as it was loaded, `[d_out, d_in]`.
        starts: The same -> A0 `[r, d_in]` and B0 `[d_out, r]`.
    """

    weights: dict[str, torch.Tensor]
    starts: dict[str, Start]

    @contextmanager
    def put_back(self, model: Any) -> Iterator[None]:
        """Let the encoder have its own weights for the time of a block; its adapters are for the caller to disable."""
        layers = {name: model.get_submodule(name).get_base_layer() for name in self.weights}
        moved = {name: layer.weight.data for name, layer in layers.items()}
        try:
            for name, layer in layers.items():
                layer.weight.data = self.weights[name].to(layer.weight.device)
            yield
        finally:
            for name, layer in layers.items():
                layer.weight.data = moved[name]


def initialise(model: Any, plan: Plan) -> MovedBase | None:
    """Start LoRA's matrices as ``plan.init_lora_weights`` says, but for EVA, which needs rows.

    Args:
        model: A fresh ``PeftModel``, in fp32; its base may change.
        plan: What it was built by.

    Returns:
        What was taken out of the encoder; None where nothing was.
    """
    start = plan.init_lora_weights
    if start in (None, "eva"):
        return None
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, LoraLayer)}
    moved = MovedBase({}, {})
    for name, layer in layers.items():
        before = layer.get_base_layer().weight.detach().clone() if start in MOVING_BASE else None
        _start_layer(layer, str(start))
        if before is not None:
            moved.weights[name] = before
            moved.starts[name] = (
                layer.lora_A["default"].weight.detach().clone(),
                layer.lora_B["default"].weight.detach().clone(),
            )
    return moved if moved.weights else None


def _start_layer(layer: Any, start: str) -> None:
    """Start one layer by PEFT's own code."""
    with torch.no_grad():
        if start == "pissa":
            layer.pissa_init("default", start)
        elif start == "olora":
            layer.olora_init("default")
        elif start == "orthogonal":
            layer.orthogonal_init("default")
        else:
            layer.reset_lora_parameters("default", start)


def start_from_components(model: Any, components: dict[str, torch.Tensor]) -> None:
    """Start each A from the principal components of what its layer reads (EVA, arXiv:2410.07170); B stays zero.

    Args:
        model: A ``PeftModel``.
        components: Module, as the ``PeftModel`` names it -> components `[at least its rank, d_in]`, the largest first.
    """
    for name, rows in components.items():
        weight = model.get_submodule(name).lora_A["default"].weight
        with torch.no_grad():
            weight.copy_(rows[: len(weight)])


def save_on_whole_base(folder: Path, moved: MovedBase) -> None:
    """Turn a saved adapter, in place, into one that loads on the encoder as it was: plain LoRA of twice the rank.

    Args:
        folder: Written by ``PeftModel.save_pretrained``; holds safetensors.
        moved: What the start took out of the encoder.
    """
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    for name, (a, b) in moved.starts.items():
        key_a, key_b = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
        tensors[key_a] = torch.cat([tensors[key_a], a.to(tensors[key_a])], dim=0).contiguous()
        tensors[key_b] = torch.cat([tensors[key_b], -b.to(tensors[key_b])], dim=1).contiguous()
    save_file(tensors, file, metadata={"format": "pt"})
    config_file = folder / "adapter_config.json"
    config = json.loads(config_file.read_text(encoding="utf-8"))
    config["r"] *= 2
    config["lora_alpha"] *= 2**0.5 if config["use_rslora"] else 2  # the scale stays
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
