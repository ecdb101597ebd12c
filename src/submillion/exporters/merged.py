"""Format `merged`: a stock transformers model; with `pooling: mean` the encoder, and the head beside it."""

from pathlib import Path

from safetensors.torch import save_file

from submillion.exporters.merge import merged_model
from submillion.exporters.source import Source
from submillion.model.build import quiet_transformers
from submillion.model.files import HEAD


def write_merged(source: Source, folder: Path) -> None:
    """Write the merged model, and the head of `pooling: mean`, into ``folder``."""
    model = merged_model(source)
    with quiet_transformers():
        model.save_pretrained(str(folder))
    head = source.saved.model.head
    if head is not None:
        tensors = {name: value.detach().float().cpu() for name, value in head.state_dict().items()}
        save_file(tensors, folder / HEAD, metadata={"format": "pt"})
