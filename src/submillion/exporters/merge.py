"""The adapter folded into its base: stock transformers modules, no PEFT layer left, in fp32."""

from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from torch import nn

from submillion.budget.families import max_positions
from submillion.exporters.first_token import narrow_last_block
from submillion.exporters.smooth import smooth
from submillion.exporters.source import Source
from submillion.model.build import load_base, mean_of_tokens, quiet_transformers

SAMPLE_ROWS, SAMPLE_TOKENS = 3, 7
"""The shape that is traced; no size of 1, which a trace would take for a constant."""


def merged_model(source: Source) -> Any:
    """Return the base with the adapter folded in, in evaluation mode, its config holding the label names.

    It is built anew from the files, so that what it is compared with shares no weight with it.

    Args:
        source: With `pooling: first` the head is in the model, with `mean` it is ``source.saved.model.head``.
    """
    with quiet_transformers():
        base = load_base(source.saved.encoder, source.pooling, source.saved.label_names)
        adapted = PeftModel.from_pretrained(base, str(source.adapter), is_trainable=False)
        adapted.merge_adapter()
        model = _unloaded(adapted.get_base_model()).eval()
    source.put_labels_into(model.config)
    return model


def _unloaded(model: Any) -> Any:
    """Put the plain modules back in the place of PEFT's, whose own `merge_and_unload` fails on whole heads but for LoRA."""
    for name, module in list(model.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            model.set_submodule(name, module.modules_to_save["default"])
        elif isinstance(module, BaseTunerLayer):
            model.set_submodule(name, module.get_base_layer())
    return model


class LogitsGraph(nn.Module):
    """Token numbers in, logits out: encoder, pooling and head in one module.

    Args:
        model: What `merged_model` returned.
        head: The head of `pooling: mean`, else None.
    """

    def __init__(self, model: Any, head: nn.Linear | None):
        super().__init__()
        self.model = model
        self.head = head

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits `[n, n_labels]` of token numbers `[n, tokens]`."""
        output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        logits: torch.Tensor = (
            output.logits
            if self.head is None
            else self.head(mean_of_tokens(output.last_hidden_state, attention_mask))
        )
        return logits


def traced(source: Source, *, for_int8: bool = False) -> Any:
    """Return the graph of the merged model as a `torch.export.ExportedProgram`, batch and length left open.

    With `pooling: first` the last block computes the first token alone, where the family has a block that can.

    Args:
        source: What is exported.
        for_int8: Whether the graph will be quantised: its channels are then made of like size, see `smooth`.
    """
    model = merged_model(source)
    limit = max_positions(model.config)
    bare = model if source.pooling == "mean" else getattr(model, model.base_model_prefix)
    if for_int8:
        smooth(bare)
    if source.pooling == "first":
        narrow_last_block(bare)
    head = source.saved.model.head
    graph = LogitsGraph(model, None if head is None else head.float().cpu()).eval()
    ids = torch.full((SAMPLE_ROWS, SAMPLE_TOKENS), int(model.config.eos_token_id or 1))
    rows, tokens = torch.export.Dim("rows", min=1), torch.export.Dim("tokens", min=1, max=limit)
    dims = {0: rows, 1: tokens}
    with torch.no_grad():
        return torch.export.export(
            graph,
            (),
            {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
            dynamic_shapes={"input_ids": dims, "attention_mask": dims},
            strict=False,
        )
