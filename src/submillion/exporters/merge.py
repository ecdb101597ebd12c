"""The adapter folded into its base: stock transformers modules, no PEFT layer left, in fp32."""

from typing import Any

import torch
from peft import PeftModel
from torch import nn

from submillion.budget.families import max_positions
from submillion.exporters.first_token import narrow_last_block
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
    names = source.saved.label_names
    with quiet_transformers():
        base = load_base(source.saved.encoder, source.pooling, names)
        adapted = PeftModel.from_pretrained(base, str(source.adapter), is_trainable=False)
        model = adapted.merge_and_unload().eval()
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
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
        if self.head is None:
            return output.logits
        logits: torch.Tensor = self.head(mean_of_tokens(output.last_hidden_state, attention_mask))
        return logits


def traced(source: Source) -> Any:
    """Return the graph of the merged model as a `torch.export.ExportedProgram`, batch and length left open.

    With `pooling: first` the last block computes the first token alone, where the family has a block that can.
    """
    model = merged_model(source)
    limit = max_positions(model.config)
    if source.pooling == "first":
        narrow_last_block(getattr(model, model.base_model_prefix))
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
