"""Rank by evidence: more where the inputs of a layer vary in more directions (EVA)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from submillion.budget.allocation import adapted_shapes, round_ranks, with_ranks
from submillion.budget.candidate import Plan
from submillion.model.adapter import attach, peft_config
from submillion.model.build import load_base, quiet_transformers
from submillion.model.device import choose_device
from submillion.scoring import pad

ROWS = 2048
"""Rows at most whose activations are looked at."""

_BATCH = 16
_RHO = 2.0  # a module has at most so many times the uniform rank: PEFT's default


def allocate_ranks(
    plan: Plan, encoder: str, label_names: Sequence[str], input_ids: Sequence[Sequence[int]], seed: int
) -> Plan:
    """Return ``plan`` with its uniform rank given out anew by PEFT's EVA, at the same count or just below it.

    EVA (Paischer et al. 2024, arXiv:2410.07170, section 3.2) takes the principal components of what each adapted layer
    reads, and gives the ranks to the components that explain most of their layer's variance. Only its ranks are taken, not
    its start of A; they are rounded by `submillion.budget.allocation.round_ranks`.

    Args:
        plan: Of a uniform rank; within its budget.
        encoder: A folder or hub id.
        label_names: One name a label, in order.
        input_ids: Train rows, at least one; at most `ROWS` of them are looked at.
        seed: Which ones.

    Raises:
        ConfigError: If the encoder's weights are not here.
    """
    smallest = min(min(shape) for shape in adapted_shapes(plan).values())
    rank = plan.rank or 1
    rho = max(1.0, min(_RHO, smallest / rank))
    found = _components(plan, encoder, label_names, input_ids, seed, rank, rho)
    wished = {name.removeprefix("base_model.model."): len(components) for name, components in found.items()}
    return with_ranks(plan, round_ranks(plan, wished))


def principal_components(
    plan: Plan, encoder: str, label_names: Sequence[str], input_ids: Sequence[Sequence[int]], seed: int
) -> dict[str, torch.Tensor]:
    """Return what EVA starts LoRA's A from: for each adapted layer the principal components of what it reads.

    Args are those of `allocate_ranks`, but the ranks may differ.

    Returns:
        Module, as the ``PeftModel`` names it -> components `[largest rank of the plan, d_in]`, the largest first.
    """
    rank = max([plan.rank or 1, *plan.rank_pattern.values()])
    return _components(plan, encoder, label_names, input_ids, seed, rank, 1.0)


def _components(
    plan: Plan,
    encoder: str,
    label_names: Sequence[str],
    input_ids: Sequence[Sequence[int]],
    seed: int,
    rank: int,
    rho: float,
) -> dict[str, torch.Tensor]:
    """Return the components that EVA takes of each layer; with ``rho`` above 1 more of some than of others."""
    from peft import EvaConfig
    from peft.tuners.lora import get_eva_state_dict

    config = peft_config(plan)
    config.r, config.init_lora_weights, config.eva_config = rank, "eva", EvaConfig(rho=rho)
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        model = attach(load_base(encoder, plan.pooling, label_names), plan).to(choose_device())
        found: dict[str, torch.Tensor] = get_eva_state_dict(
            model,
            _batches(input_ids, seed, model.config.pad_token_id),
            config,
            prepare_model_inputs_fn=_tokens,
            prepare_layer_inputs_fn=_inputs_of_tokens,
            show_progress_bar=False,
        )
    return found


def _batches(input_ids: Sequence[Sequence[int]], seed: int, padding: int) -> list[dict[str, torch.Tensor]]:
    rows = np.random.default_rng(seed).permutation(len(input_ids))[:ROWS]
    batches = []
    for start in range(0, len(rows), _BATCH):
        texts = [input_ids[row] for row in rows[start : start + _BATCH]]
        ids, mask = pad(texts, padding)
        batches.append({"input_ids": ids, "attention_mask": mask})
    return batches


def _tokens(inputs: dict[str, torch.Tensor], _config: Any) -> torch.Tensor:
    """Return where the tokens are that are no padding, `[tokens, 2]`."""
    return inputs["attention_mask"].nonzero()


def _inputs_of_tokens(given: Any, tokens: torch.Tensor, _name: str) -> torch.Tensor:
    """Return what a layer reads, `[tokens, width]`: of a pooler, which reads one token a text, all of it."""
    hidden: torch.Tensor = given[0] if isinstance(given, tuple) else given
    return hidden if hidden.ndim == 2 else hidden[tokens.T.unbind()]
