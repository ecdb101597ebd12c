"""Rows read as a run was trained to read them, and their labels numbered as it numbers them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from submillion.data import RawRows, read_rows
from submillion.data.columns import LabelNeed
from submillion.data.label_form import labels_as_trained
from submillion.data.multi_label import encode_rows
from submillion.data.pairs import as_pair, check_pairs, text_columns_of
from submillion.data.read import columns_present, read_columns
from submillion.errors import ConfigError
from submillion.evaluation.options import Options
from submillion.multi_label import thresholds_of


def read_as_trained(
    data: Any,
    record: dict[str, Any],
    text_columns: Sequence[str] | None = None,
    label_column: str | None = None,
    unlabelled: bool = False,
) -> RawRows:
    """Read rows by the columns asked for, else by those the run was trained on, else by usual names.

    Where there are labels, rows with an empty text are left out.
    """
    trained, are_pairs = record["recipe"]["data"], record["data"].get("text_pairs", False)
    if are_pairs and isinstance(data, list):
        data = [as_pair(text) for text in data]
    named = text_columns_of(trained["text_columns"], trained.get("text_pair_column"))
    texts, label = columns_present(data, named, trained["label_column"])
    columns: dict[str, Any] = {"text_columns": text_columns or texts}
    need: LabelNeed = "never" if unlabelled else "optional"
    if not unlabelled:
        columns["label_column"] = label_column or label
        if thresholds_of(record) is not None:
            columns["label_column"] = labels_as_trained(data, trained, label_column)
        need = "optional" if label_column is None else "required"
    rows = read_rows(data, **columns, labels=need)
    check_pairs(rows.texts, are_pairs, rows.source, "the run")
    return (
        read_rows(data, **columns, labels="required")
        if need == "optional" and rows.labels is not None
        else rows
    )


def encoded(rows: RawRows, record: dict[str, Any]) -> np.ndarray:
    """Return the labels of rows as a run numbers them, `[n]`."""
    return encode_rows(
        rows.labels or [],
        record["data"]["label_names"],
        known_values=record["data"]["label_values"],
        declared=rows.label_names,
        source=rows.source,
        row_numbers=rows.row_numbers,
    ).codes


def columns_of(data: Any, names: Sequence[str], rows: RawRows) -> dict[str, np.ndarray]:
    """Return the columns to slice by, a value for each row that was read."""
    found = read_columns(data, names) if names else {}
    return {name: np.array([values[row] for row in rows.row_numbers]) for name, values in found.items()}


def check_unlabelled(rows: RawRows, options: Options) -> None:
    """Refuse what needs labels, of rows that are read without.

    Raises:
        ConfigError: If such a thing is asked for.
    """
    asked = ("against", "slices", "wanted_accuracy", "corrupt")
    if named := [name for name in asked if getattr(options, name)]:
        raise ConfigError(
            f"{', '.join(named)} needs labels, and {rows.source} is read without: name their column by --label-column, or "
            "leave it out"
        )
