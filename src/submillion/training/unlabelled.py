"""Texts without labels that a training may learn from: none that stands in a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from submillion.data.duplicates import sha256_of_hashes, text_hashes
from submillion.data.opened import plural
from submillion.data.pairs import as_pair, check_pairs
from submillion.data.read import read_rows
from submillion.data.splits import Splits
from submillion.errors import DataError


@dataclass(frozen=True)
class Unlabelled:
    """Texts without labels, each once.

    Attributes:
        texts: At least one.
        hashes: The hash of each normalised text.
        source: Where they come from.
        notes: What was left out, counted, one sentence each.
    """

    texts: list[str]
    hashes: list[str]
    source: str
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return number, source and sha256, ready for JSON."""
        return {
            "n_rows": len(self.texts),
            "source": self.source,
            "sha256": sha256_of_hashes(self.hashes),
        }


def read_unlabelled(
    source: Any,
    test: Any,
    splits: Splits,
    text_columns: Sequence[str] | None,
    label_column: str | None,
) -> Unlabelled:
    """Read texts, their labels unread where they have any, and leave out those that stand in a split.

    Args:
        source: Whatever `read_rows` reads.
        test: The test rows, of which only the texts are hashed; None: there are none.
        splits: The rows of the training.
        text_columns: As in `read_rows`.
        label_column: As in `read_rows`, for the test rows.

    Raises:
        DataError: If none is left, or the source does not hold what it should.
    """
    if splits.are_pairs and isinstance(source, list):
        source = [as_pair(text) for text in source]
    rows = read_rows(source, text_columns=text_columns, labels="never")
    check_pairs(rows.texts, splits.are_pairs, rows.source, "train")
    known: dict[str, set[str]] = {}
    if test is not None:
        read = read_rows(test, text_columns=text_columns, label_column=label_column, labels="never")
        known["test"] = set(text_hashes(read.texts))
    for name in ("train", "validation", "calibration"):
        held = getattr(splits, name)
        known[name] = set() if held is None else set(held.hashes)
    texts, hashes, left_out = _kept(rows.texts, known)
    notes = list(rows.notes)
    for name, number in left_out.items():
        if number:
            notes.append(f"{rows.source}: {plural(number, 'text')} without a label left out: {name}.")
    if not texts:
        told = "; ".join(f"{number:,} {name}" for name, number in left_out.items() if number)
        raise DataError(f"{rows.source}: no unlabelled text is left ({told}): give others, or leave them out")
    return Unlabelled(texts, hashes, rows.source, tuple(notes))


def _kept(texts: Sequence[str], known: dict[str, set[str]]) -> tuple[list[str], list[str], dict[str, int]]:
    """Return the texts that are neither empty nor known nor a repetition, their hashes, and the others by reason.

    >>> _kept(["a", "A", " ", "b"], {"test": set(text_hashes(["b"]))})[0::2]
    (['a'], {'empty': 1, 'in test too': 1, 'repeated': 1})
    """
    kept: dict[str, str] = {}
    left_out = {"empty": 0, **{f"in {name} too": 0 for name in known}, "repeated": 0}
    for text, text_hash in zip(texts, text_hashes(texts), strict=True):
        inside = next((name for name, hashes in known.items() if text_hash in hashes), None)
        if not text.strip():
            left_out["empty"] += 1
        elif inside is not None:
            left_out[f"in {inside} too"] += 1
        elif text_hash in kept:
            left_out["repeated"] += 1
        else:
            kept[text_hash] = text
    return list(kept.values()), list(kept), left_out
