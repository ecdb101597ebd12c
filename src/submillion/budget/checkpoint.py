"""Which layers of a head are in a checkpoint, read from its safetensors header: no weight is read."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from submillion.budget.families import Family
from submillion.budget.on_layer import Shape

HEADER = "checkpoint header"
TABLE = "family table"

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_LARGEST_HEADER_BYTES = 100_000_000


def random_layers(model: str, family: Family, shapes: Mapping[str, Shape]) -> tuple[tuple[str, ...], str]:
    """Return the head layers that start at random, and where that is known from.

    A layer is in the checkpoint when its weight is, under its name with or without the family's prefix (an encoder
    saved by itself has none), in the same shape.

    Args:
        model: Hub id or folder; empty where only a config is at hand.
        family: Its row of the family table.
        shapes: Parameters of the sequence-classification model by name.

    Returns:
        The layers in the order of the forward pass, and "checkpoint header" or "family table".
    """
    held = read_header(model) if model else None
    if held is None:
        return tuple(layer for layer in family.head if layer not in family.pretrained_head), TABLE

    def is_held(layer: str) -> bool:
        weight = f"{layer}.weight"
        for name in (weight, weight.removeprefix(f"{family.base_prefix}.")):
            if name in held:
                return held[name] in (None, shapes[weight])
        return False

    return tuple(layer for layer in family.head if not is_held(layer)), HEADER


def read_header(model: str) -> dict[str, Shape | None] | None:
    """Return name and shape of every tensor in the safetensors checkpoint of ``model``.

    A shape is None where only the index of a sharded checkpoint is at hand. The whole is None where no safetensors
    checkpoint can be had: another format, no network, no such file.

    Args:
        model: Hub id or folder.
    """
    if Path(model).is_dir():
        return _read_files(Path(model) / _SINGLE, Path(model) / _INDEX)
    return _read_cache(model) or _read_hub(model)


def _read_files(single: Path | None, index: Path | None) -> dict[str, Shape | None] | None:
    """Return the tensors of a checkpoint on disk, whole or sharded."""
    try:
        if single is not None and single.is_file():
            return dict(_tensors(single))
        if index is None or not index.is_file():
            return None
        shard_of: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        held: dict[str, Shape | None] = dict.fromkeys(shard_of)
        for shard in sorted(set(shard_of.values())):
            if (index.parent / shard).is_file():
                held.update(_tensors(index.parent / shard))
        return held
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return None  # A damaged file is reported by whoever loads its weights.


def _tensors(path: Path) -> dict[str, Shape]:
    """Return the tensors named in the header of one safetensors file (8 bytes of length, then JSON)."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > _LARGEST_HEADER_BYTES:
            raise ValueError(f"{path}: a header of {length:,} bytes")
        header = json.loads(file.read(length))
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def _read_cache(model: str) -> dict[str, Shape | None] | None:
    """Return the tensors of a hub checkpoint that lies in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        paths = [try_to_load_from_cache(model, name) for name in (_SINGLE, _INDEX)]
    except HFValidationError:
        return None
    single, index = (Path(path) if isinstance(path, str) else None for path in paths)
    return _read_files(single, index)


def _read_hub(model: str) -> dict[str, Shape | None] | None:
    """Return the tensors of a checkpoint on the hub, from its header alone; None without a network."""
    from huggingface_hub import get_safetensors_metadata, is_offline_mode
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        NotASafetensorsRepoError,
        SafetensorsParsingError,
    )

    # Of httpx or of httpx2, by the version of huggingface_hub; not every network error is an OSError.
    http_error = cast("type[Exception]", HfHubHTTPError.__bases__[0])
    if is_offline_mode():
        return None
    try:
        metadata = get_safetensors_metadata(model)
    except (OSError, http_error, HFValidationError, NotASafetensorsRepoError, SafetensorsParsingError):
        return None
    return {
        name: tuple(tensor.shape)
        for file in metadata.files_metadata.values()
        for name, tensor in file.tensors.items()
    }
