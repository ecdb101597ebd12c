"""Hugging Face datasets: objects, saved folders, and the hub."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from submillion.data.opened import Columns, Opened, columns_of
from submillion.errors import DataError, one_line

_SAVE_AGAIN = "Save it again with save_to_disk, or give CSV, JSON Lines or Parquet"


def open_dataset(dataset: Any, name: str) -> Opened:
    """Open a ``datasets.Dataset``; its formatting is ignored, its order of rows is kept."""
    from datasets import ClassLabel

    def read(columns: Sequence[str], chunk_rows: int) -> Iterator[Columns]:
        rows = dataset.select_columns(list(columns)).with_format("arrow")
        for piece in rows.iter(batch_size=chunk_rows):
            yield columns_of(piece, name)

    names = {
        column: tuple(one.names)
        for column, feature in dataset.features.items()
        if isinstance(one := getattr(feature, "feature", feature), ClassLabel)  # of a list: of each item
    }
    return Opened(name, tuple(dataset.column_names), read, label_names=names, is_indexed=True)


def one_split(loaded: Any, split: str | None, name: str) -> Any:
    """Return the one split that is meant, of what ``datasets`` loaded.

    Raises:
        DataError: If there are several splits and none is named, or no such split.
    """
    if not isinstance(loaded, Mapping):
        if split is not None:
            raise DataError(f"{name} holds one data set, no splits: leave ':{split}' out")
        return loaded
    splits = list(loaded)
    if split is None and len(splits) == 1:
        return loaded[splits[0]]
    if split not in splits:
        asked = "name one" if split is None else f"there is no split {split!r}"
        raise DataError(f"{name} holds the splits {', '.join(splits)}; {asked}: {name}:{splits[0]}")
    return loaded[split]


def open_folder(path: Path, split: str | None) -> Opened:
    """Open a folder that ``save_to_disk`` wrote.

    Raises:
        DataError: If the folder is none, or the split is not plain.
    """
    is_dict = (path / "dataset_dict.json").is_file()
    if not is_dict and not (path / "state.json").is_file():
        held = sorted(entry.name for entry in path.iterdir())
        raise DataError(
            f"{path}: a folder, but not one that datasets' save_to_disk wrote (no dataset_dict.json, no state.json); "
            + (f"it holds {', '.join(held[:10])}. Name a file in it" if held else "it is empty")
        )
    _refuse_files_outside(path)
    from datasets import load_from_disk

    try:
        loaded = load_from_disk(str(path), keep_in_memory=False)
    except Exception as error:  # whatever datasets raises on a broken folder is the user's to mend
        raise DataError(
            f"{path}: the saved data set cannot be loaded: {_line(error)}. {_SAVE_AGAIN}"
        ) from None
    return open_dataset(one_split(loaded, split, str(path)), f"{path}:{split}" if split else str(path))


def _refuse_files_outside(path: Path) -> None:
    """Refuse a saved data set whose list of files leads out of its folder.

    Raises:
        DataError: If it does, or cannot be read.
    """
    for state in (path / "state.json", *path.glob("*/state.json")):
        if not state.is_file():
            continue
        try:
            names = [
                file["filename"] for file in json.loads(state.read_text(encoding="utf-8"))["_data_files"]
            ]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{state}: its list of files cannot be read: {_line(error)}. {_SAVE_AGAIN}"
            ) from None
        if outside := [name for name in names if name in (".", "..") or Path(str(name)).name != name]:
            raise DataError(
                f"{state} names {outside[0]!r}, which is not a file of its own folder: nothing was read. {_SAVE_AGAIN}"
            )


def open_hub(source: str) -> Opened:
    """Open ``hub:NAME[:CONFIG][:SPLIT]``; code from the hub is never run.

    A single part after the name is the configuration if there is one of that name, else the split.

    Raises:
        DataError: If the hub does not answer, or knows no such data set, configuration or split.
    """
    from datasets import get_dataset_config_names, load_dataset

    name, *parts = source.removeprefix("hub:").split(":")
    if not name or len(parts) > 2 or not all(parts):
        raise DataError(f"{source}: write hub:NAME, hub:NAME:SPLIT, hub:NAME:CONFIG or hub:NAME:CONFIG:SPLIT")
    try:
        if len(parts) == 1:
            parts = [parts[0], ""] if parts[0] in get_dataset_config_names(name) else ["", parts[0]]
        config, split = parts or ["", ""]
        loaded = load_dataset(name, config or None)
    except Exception as error:  # network, hub and configuration errors have no common base
        raise DataError(
            f"{source}: cannot be fetched from the hub: {_line(error)}. Check the name and the connection, or save "
            "the data set to a file and name that"
        ) from None
    return open_dataset(one_split(loaded, split or None, source), source)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error, 300)}"
