"""Where the labels of a source stand, and whether a row may have several."""

from collections.abc import Mapping
from typing import Any

from submillion.data.columns import LabelNeed, find_label, is_missing
from submillion.data.multi_label import LabelColumn, SeveralLabels, first_cells, is_list, looked_at
from submillion.data.read import open_source
from submillion.errors import ConfigError
from submillion.multi_label import SINGLE_LABEL


def labels_in(
    source: Any,
    *,
    problem_type: str | None,
    label_column: str | None,
    label_columns: tuple[str, ...] | None,
    label_separator: str | None,
    labels: LabelNeed = "required",
) -> LabelColumn:
    """Return where the labels of train rows stand, as readers take it: `SeveralLabels` where rows may have several.

    Args:
        source: The train rows; looked at where ``problem_type`` is None.
        problem_type: transformers' name; None: what is given, or else the first rows, tell.
        label_column: Column of the label or of its lists.
        label_columns: Columns of 0 and 1.
        label_separator: Stands between labels.
        labels: ``optional``: there may be none.

    Raises:
        ConfigError: If what is given does not go together.
        DataError: If the source cannot be opened.
    """
    named = {"label_separator": label_separator, "label_columns": label_columns}
    given = [name for name, value in named.items() if value is not None]
    if problem_type == SINGLE_LABEL and given:
        raise ConfigError(
            f"{given[0]} is for several labels a row, and problem_type={problem_type}: leave one of them out"
        )
    if label_columns is not None and (label_column is not None or label_separator is not None):
        raise ConfigError(
            "label_columns takes the place of label_column and label_separator: give the columns, or the others"
        )
    if problem_type == SINGLE_LABEL:
        return label_column
    opened = open_source(source, labels)
    several = looked_at(opened, SeveralLabels(label_column, label_separator, label_columns))
    if problem_type is not None or given:
        return several
    column = label_column or opened.label_hint or find_label(list(opened.columns), None, None, "optional", [])
    cells = first_cells(opened, column) if column in opened.columns else []
    return several if any(map(is_list, cells)) and all(map(_may_be_list, cells)) else label_column


def labels_as_trained(source: Any, trained: Mapping[str, Any], label_column: str | None) -> SeveralLabels:
    """Return where the labels of further rows stand, for a run whose rows may have several.

    Args:
        source: The rows.
        trained: The ``data`` section of the run's recipe.
        label_column: What is asked for; None: where they stood in training.
    """
    opened = open_source(source, "optional")
    separator, columns = trained["label_separator"], trained["label_columns"]
    if label_column is not None or not any(name in opened.columns for name in columns or ()):
        columns = None
    column = label_column or (trained["label_column"] if trained["label_column"] in opened.columns else None)
    return looked_at(opened, SeveralLabels(None if columns else column, separator, columns))


def _may_be_list(cell: Any) -> bool:
    return is_list(cell) or is_missing(cell) or (isinstance(cell, str) and not cell.strip())
