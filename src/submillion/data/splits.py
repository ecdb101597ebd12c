"""Train, validation and calibration rows: checked, disjoint, and never touched by test labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.data.carve import Rows, carve, drawn
from submillion.data.duplicates import sha256_of_hashes, text_hashes
from submillion.data.labels import Encoded
from submillion.data.look_alike import said_of_look_alikes
from submillion.data.multi_label import LabelColumn, encode_rows, label_counts, row_keys, said_of_sets, strata
from submillion.data.opened import plural
from submillion.data.pairs import check_pairs, hold_pairs
from submillion.data.read import read_rows
from submillion.errors import ConfigError, DataError

__all__ = ["Rows", "Splits", "load_splits"]


@dataclass(frozen=True)
class Splits:
    """The rows of a training, and what was done to get them.

    Attributes:
        train: Rows that train.
        validation: Rows that pick the epoch, given or carved; None where there are none.
        calibration: Rows for the temperature and for estimates; None where there are none.
        label_names: Name of each class.
        label_values: What the data holds for each class: integers stay integers.
        notes: Everything left out, kept back or repaired, counted, one sentence each.
        test_sha256: By which the test split is known again; None where no test was named.
        n_left_out: Train rows left out because their text stands in test.
        fingerprints: Split -> sha256 over its normalised texts.
    """

    train: Rows
    validation: Rows | None
    calibration: Rows | None
    label_names: tuple[str, ...]
    label_values: tuple[int | str, ...]
    notes: tuple[str, ...]
    test_sha256: str | None
    n_left_out: int
    fingerprints: dict[str, str]

    @property
    def is_multi_label(self) -> bool:
        """Whether a row may have several labels."""
        return self.train.labels.ndim == 2

    @property
    def are_pairs(self) -> bool:
        """Whether each row holds two texts."""
        return hold_pairs(self.train.texts, self.train.source)

    def summary(self) -> dict[str, Any]:
        """Return each split's rows, rows a class, source and sha256, ready for JSON."""
        splits = {}
        for name in ("train", "validation", "calibration"):
            rows: Rows | None = getattr(self, name)
            if rows is not None:
                splits[name] = {
                    "n_rows": len(rows),
                    "rows_per_class": dict(zip(self.label_names, self._counts(rows), strict=True)),
                    "source": rows.source,
                    "sha256": self.fingerprints[name],
                }
        return {
            "splits": splits,
            "label_names": list(self.label_names),
            "label_values": list(self.label_values),
            "text_pairs": self.are_pairs,
            "test_sha256": self.test_sha256,
            "n_left_out": self.n_left_out,
            "notes": list(self.notes),
        }

    def _counts(self, rows: Rows) -> list[int]:
        return [int(n) for n in label_counts(rows.labels, len(self.label_names))]


def load_splits(
    train: Any,
    *,
    validation: Any = None,
    test: Any = None,
    text_columns: Sequence[str] | None = None,
    label_column: LabelColumn = None,
    validation_share: float = 0.1,
    calibration_share: float = 0.05,
    min_rows_to_split: int = 500,
    max_rows_per_class: int | None = None,
    label_names: Sequence[str] | None = None,
    seed: int = 42,
) -> Splits:
    """Read the rows of a training and divide them.

    The test lock: ``test`` is opened without its labels, only to hash its normalised texts, and train and
    validation rows that share one are left out. Rows are held back by class and by distinct text, so that
    duplicates never straddle splits; which ones depends on the seed and the texts, not on the order of rows.

    Args:
        train: Labelled rows; whatever `read_rows` reads.
        validation: Labelled rows; None carves them from train.
        test: Rows that train must not share.
        text_columns: As in `read_rows`, for every source.
        label_column: As in `read_rows`, for train and validation.
        validation_share: Share of each class's texts carved out for validation; 0 carves none.
        calibration_share: Share of each class's texts carved out for calibration; 0 carves none, nor is there any where
            rows may have several labels.
        min_rows_to_split: With fewer rows nothing is carved.
        max_rows_per_class: Train, before carving, keeps at most this many rows a class.
        label_names: Names for integer labels, in increasing order of the integers.
        seed: Decides which rows are drawn.

    Raises:
        ConfigError: If a share or a number is out of range.
        DataError: If the sources do not hold what they should.
    """
    _check_numbers(validation_share, calibration_share, min_rows_to_split, max_rows_per_class, seed)
    notes: list[str] = []
    rows, encoded = _read_train(train, text_columns, label_column, label_names, notes)
    are_pairs = hold_pairs(rows.texts, rows.source)
    given = _read_validation(validation, text_columns, label_column, encoded, notes)
    if given is not None:
        check_pairs(given.texts, are_pairs, given.source, "train")
    rows, given, test_sha256, n_left_out = _kept_apart(rows, given, test, (text_columns, label_column), notes)
    if max_rows_per_class is not None:
        rows = _subsampled(rows, max_rows_per_class, seed, notes)
    _check_rows(rows, encoded.names, notes)
    notes.extend(said_of_look_alikes(encoded.names, rows.source))
    carved_share = validation_share if given is None else 0.0
    shares = {"validation": carved_share, "calibration": calibration_share}
    if rows.labels.ndim == 2:  # a temperature and the estimates are for one label a row
        notes.extend(said_of_sets(rows.labels, rows.source))
        shares["calibration"] = 0.0
    parts = carve(rows, encoded.names, shares, min_rows_to_split, seed, notes)
    return _splits(parts, given, encoded, notes, test_sha256, n_left_out)


def _check_numbers(
    validation_share: float,
    calibration_share: float,
    min_rows_to_split: int,
    max_rows_per_class: int | None,
    seed: int,
) -> None:
    problems = []
    for name, share in (("validation_share", validation_share), ("calibration_share", calibration_share)):
        if not 0 <= share < 1:
            problems.append(f"{name}={share} must be at least 0 and below 1")
    if not problems and validation_share + calibration_share >= 1:
        problems.append(
            f"validation_share={validation_share} and calibration_share={calibration_share} leave nothing to train "
            "on; together they must stay below 1"
        )
    if min_rows_to_split < 0:
        problems.append(f"min_rows_to_split={min_rows_to_split} must be at least 0")
    if max_rows_per_class is not None and max_rows_per_class < 1:
        problems.append(f"max_rows_per_class={max_rows_per_class} must be at least 1, or left out")
    if seed < 0:
        problems.append(f"seed={seed} must be at least 0")
    if problems:
        raise ConfigError("; ".join(problems))


def _splits(
    parts: dict[str, Rows],
    given: Rows | None,
    encoded: Encoded,
    notes: list[str],
    test_sha256: str | None,
    n_left_out: int,
) -> Splits:
    """Return the parts that hold rows, the given validation among them, with what was done to get them."""
    if given is not None:
        parts = parts | {"validation": given}
    parts = {name: part for name, part in parts.items() if len(part)}
    return Splits(
        train=parts["train"],
        validation=parts.get("validation"),
        calibration=parts.get("calibration"),
        label_names=encoded.names,
        label_values=encoded.values,
        notes=tuple(notes),
        test_sha256=test_sha256,
        n_left_out=n_left_out,
        fingerprints={name: sha256_of_hashes(part.hashes) for name, part in parts.items()},
    )


def _read_train(
    source: Any,
    text_columns: Sequence[str] | None,
    label_column: LabelColumn,
    label_names: Sequence[str] | None,
    notes: list[str],
) -> tuple[Rows, Encoded]:
    """Return the train rows, and the labels that they set for every other source."""
    raw = read_rows(source, text_columns=text_columns, label_column=label_column)
    encoded = encode_rows(
        raw.labels or [],
        declared=raw.label_names,
        declared_values=raw.label_values,
        names=label_names,
        source=raw.source,
        row_numbers=raw.row_numbers,
    )
    notes.extend(raw.notes)
    return Rows.of(raw, encoded.codes), encoded


def _read_validation(
    source: Any,
    text_columns: Sequence[str] | None,
    label_column: LabelColumn,
    encoded: Encoded,
    notes: list[str],
) -> Rows | None:
    if source is None:
        return None
    raw = read_rows(source, text_columns=text_columns, label_column=label_column)
    codes = encode_rows(
        raw.labels or [],
        encoded.names,
        known_values=encoded.values,
        declared=raw.label_names,
        source=raw.source,
        row_numbers=raw.row_numbers,
    ).codes
    notes.extend(raw.notes)
    return Rows.of(raw, codes)


def _kept_apart(
    rows: Rows,
    given: Rows | None,
    test: Any,
    columns: tuple[Sequence[str] | None, LabelColumn],
    notes: list[str],
) -> tuple[Rows, Rows | None, str | None, int]:
    """Leave out rows shared with test, and train rows shared with validation.

    Returns:
        Train, validation, the sha256 of test and how many train rows it cost.
    """
    test_sha256, n_left_out = None, 0
    if test is not None:
        read = read_rows(test, text_columns=columns[0], label_column=columns[1], labels="never")
        check_pairs(read.texts, hold_pairs(rows.texts), read.source, "train")
        hashes = text_hashes(read.texts)
        test_sha256 = sha256_of_hashes(hashes)
        rows, given, n_left_out = _decontaminated(rows, given, set(hashes), notes)
    if given is not None:
        rows, _ = _without(rows, set(given.hashes), "validation", notes)
    return rows, given, test_sha256, n_left_out


def _decontaminated(
    rows: Rows, given: Rows | None, test_hashes: set[str], notes: list[str]
) -> tuple[Rows, Rows | None, int]:
    rows, n_left_out = _without(rows, test_hashes, "test", notes)
    if given is not None:
        source = given.source
        given, _ = _without(given, test_hashes, "test", notes)
        if not len(given):
            raise DataError(
                f"{source}: every validation row stands in test; give other rows, or leave validation out to carve "
                "them from train"
            )
    return rows, given, n_left_out


def _without(rows: Rows, hashes: set[str], other: str, notes: list[str]) -> tuple[Rows, int]:
    kept = np.array([i for i, key in enumerate(rows.hashes) if key not in hashes], dtype=np.int64)
    n_left_out = len(rows) - len(kept)
    if n_left_out:
        notes.append(f"{rows.source}: {plural(n_left_out, 'row')} left out whose text stands in {other}.")
    else:
        notes.append(f"{rows.source}: no row's text stands in {other}.")
    return rows.take(kept), n_left_out


def _subsampled(rows: Rows, most: int, seed: int, notes: list[str]) -> Rows:
    """Keep at most so many rows a class: distinct texts first, in an order drawn from seed and text."""
    seen: Counter[str] = Counter()
    repeat = []
    for key in rows.hashes:
        repeat.append(seen[key])
        seen[key] += 1
    draw = drawn(rows.hashes, seed, "subsample")
    order = sorted(range(len(draw)), key=lambda i: (repeat[i], draw[i]))
    labels = strata(rows.labels).tolist()
    taken: Counter[int] = Counter()
    kept = []
    for i in order:
        label = labels[i]
        if taken[label] < most:
            taken[label] += 1
            kept.append(i)
    notes.append(
        f"{rows.source}: {len(kept):,} of {plural(len(rows), 'row')} kept, at most {most:,} a class."
    )
    return rows.take(np.array(sorted(kept), dtype=np.int64))


def _check_rows(rows: Rows, names: tuple[str, ...], notes: list[str]) -> None:
    """Count duplicates and classes without rows; fewer than two classes cannot train."""
    source = rows.source
    present = set(np.flatnonzero(label_counts(rows.labels, len(names))).tolist())
    if len(present) < 2:
        left = ", ".join(repr(names[label]) for label in present) or "none"
        raise DataError(
            f"{source}: after leaving out rows shared with test or validation fewer than two classes are left "
            f"({left}); give train other rows"
        )
    if absent := [name for label, name in enumerate(names) if label not in present]:
        listed = ", ".join(absent[:10]) + (", ..." if len(absent) > 10 else "")
        notes.append(f"{source}: {len(absent)} of {len(names)} classes have no row to train on: {listed}.")
    n_repeated = len(rows) - len(set(rows.hashes))
    if not n_repeated:
        return
    notes.append(f"{source}: {plural(n_repeated, 'row')} repeat an earlier row's text and are kept.")
    n_labels_of = Counter(key for key, _ in set(zip(rows.hashes, row_keys(rows.labels), strict=True)))
    if n_conflicting := sum(n > 1 for n in n_labels_of.values()):
        what = "more than one label" if rows.labels.ndim == 1 else "other labels in another row"
        notes.append(f"{source}: {plural(n_conflicting, 'text')} with {what}, kept as they are.")
