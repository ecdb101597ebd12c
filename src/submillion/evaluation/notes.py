"""What a reader of an evaluation must be told of the run and the rows, a sentence each."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from submillion.alternatives import what_answers
from submillion.data import RawRows
from submillion.data.duplicates import HASH_LETTERS
from submillion.run import RunFolder, read_json


def warn_of_no_labels(rows: RawRows, unlabelled: bool) -> list[str]:
    """Say how labels are found, to whom did not ask for them to be left unread."""
    if unlabelled:
        return []
    return [
        f"{rows.source} is taken for rows without labels: if it has some, name their column by --label-column"
    ]


def warn_of_weights(record: dict[str, Any]) -> list[str]:
    """Say that probabilities are not those of the train rows' shares, where labels were weighted."""
    training = record["recipe"]["training"]
    names = [name for name in ("class_weights", "balanced_sampling") if training.get(name)]
    if not names:
        return []
    return [
        f"trained with {names[0]}: probabilities, and what is foretold by them, lean towards rare labels; a temperature does "
        "not undo that"
    ]


def say_who_answers(record: dict[str, Any]) -> list[str]:
    """Say whose row to look at, where `predict` does not use the adapter."""
    name, reason = what_answers(record)
    return [] if name == "adapter" else [f"`predict` answers by {name}: {reason}"]


def rows_seen(folder: RunFolder, hashes: Sequence[str]) -> np.ndarray:
    """Return which rows, of these `text_hashes`, stand in the rows that the run was trained on, `[n]` of bool."""
    learnt = set(read_json(folder.train_hashes)) if folder.train_hashes.is_file() else set()
    return np.array([text_hash[:HASH_LETTERS] in learnt for text_hash in hashes], dtype=bool)


def warn_of_rows_seen(split: str | None, seen: np.ndarray) -> list[str]:
    """Say where the figures speak of rows that the run has learnt or chosen by."""
    if split == "validation":
        return ["these are the run's validation rows: figures on rows that it chose by are optimistic"]
    if split == "calibration":
        return [
            "these are the run's calibration rows: its temperature was fitted on them, so that the calibrated figures, and the "
            "accuracy to expect, are optimistic"
        ]
    n_seen = int(seen.sum())
    if not n_seen:
        return []
    return [
        f"{n_seen:,} of {len(seen):,} rows stand in the rows that the run was trained on: "
        "the figures are optimistic, for the baselines too"
    ]
