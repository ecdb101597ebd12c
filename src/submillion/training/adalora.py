"""AdaLoRA's part in training: triplets pruned by their importance, and singular vectors kept orthogonal.

PEFT counts importance and prunes (Zhang et al. 2023, arXiv:2303.10512, section 3); it is told when. What it remembers from
step to step is kept with each checkpoint, so that a resumed training comes to the same adapter.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback

MEMORY = "adalora.safetensors"
"""In a checkpoint: the running means of importance and of its spread."""

FIRST_SHARE, LAST_SHARE = 0.1, 0.3
"""Shares of the steps before pruning begins, and after it is done."""


class RankSchedule(TrainerCallback):
    """Prune after each optimiser step, all of it within the steps of this training.

    Args:
        encoder: The ``PeftModel`` of an AdaLoRA plan.
    """

    def __init__(self, encoder: Any):
        self.tuner = encoder.base_model
        self.config = encoder.active_peft_config

    @property
    def prunes(self) -> bool:
        """Whether there is anything to prune, and steps to do it in."""
        steps = self.config.total_step - self.config.tfinal
        return bool(self.config.target_r < self.config.init_r and steps > self.config.tinit + 1)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Lay the schedule over the steps that there will be."""
        self.config.total_step = state.max_steps
        self.config.tinit = round(FIRST_SHARE * state.max_steps)
        self.config.tfinal = round(LAST_SHARE * state.max_steps)
        if state.global_step == 0:
            self.tuner.rankallocator.reset_ipt()
            self.config.rank_pattern = None

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count importance by the gradients of this step, which are still there, and prune."""
        if self.prunes:
            self.tuner.update_and_allocate(state.global_step + 1)

    def penalty(self) -> torch.Tensor:
        """Return how far the singular vectors are from orthogonal, as ``AdaLoraModel.forward`` adds it to a loss."""
        distances = [
            torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device))
            for gram in self._grams()
        ]
        return float(self.config.orth_reg_weight) * torch.stack(distances).mean()

    def _grams(self) -> Iterator[torch.Tensor]:
        for name, value in self._vectors():
            yield value @ value.T if ".lora_A." in name else value.T @ value

    def _vectors(self) -> Iterator[tuple[str, nn.Parameter]]:
        for name, value in self.tuner.model.named_parameters():
            if (".lora_A." in name or ".lora_B." in name) and value.numel():
                yield name, value

    def write(self, folder: Path) -> None:
        """Keep what was counted so far, and which triplets are pruned."""
        allocator = self.tuner.rankallocator
        tensors = {f"ipt:{name}": value.contiguous() for name, value in allocator.exp_avg_ipt.items()}
        tensors |= {f"unc:{name}": value.contiguous() for name, value in allocator.exp_avg_unc.items()}
        pattern = self.config.rank_pattern or {}
        tensors |= {f"kept:{name}": torch.tensor(kept) for name, kept in pattern.items()}
        save_file(tensors, folder / MEMORY, metadata={"format": "pt"})

    def read(self, folder: Path) -> None:
        """Take up what was kept."""
        allocator, kept = self.tuner.rankallocator, {}
        allocator.reset_ipt()
        for key, value in load_file(folder / MEMORY).items():
            kind, _, name = key.partition(":")
            if kind == "kept":
                kept[name] = value.tolist()
            else:
                here = value.to(next(self.tuner.model.parameters()).device)
                allocator.ipt[name] = torch.zeros_like(here)
                (allocator.exp_avg_ipt if kind == "ipt" else allocator.exp_avg_unc)[name] = here
        self.config.rank_pattern = kept or None
