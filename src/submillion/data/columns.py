"""Which columns hold the text and the label, and what their values may be."""

from collections.abc import Sequence
from typing import Any, Literal

from submillion.data.labels import REGRESSION
from submillion.data.opened import rows_phrase
from submillion.data.pairs import PairColumns, TextPair
from submillion.data.whole_letters import is_whole
from submillion.errors import ConfigError, DataError

LabelNeed = Literal["required", "optional", "never"]

TEXT_NAMES = frozenset(
    [
        "text",
        "texts",
        "sentence",
        "content",
        "contents",
        "body",
        "review",
        "review_text",
        "review_body",
        "reviewtext",
        "document",
        "doc",
        "message",
        "tweet",
        "tweet_text",
        "comment",
        "comment_text",
        "post",
        "utterance",
        "query",
        "description",
        "short_description",
        "abstract",
        "article",
        "passage",
        "paragraph",
        "sms",
        "email",
        "question",
        "statement",
        "phrase",
    ]
)
TITLE_NAMES = frozenset(["title", "headline", "subject", "heading", "review_title"])
LABEL_NAMES = frozenset(
    [
        "label",
        "labels",
        "category",
        "categories",
        "class",
        "classes",
        "target",
        "targets",
        "topic",
        "topics",
        "sentiment",
        "intent",
        "emotion",
        "class_index",
        "class_label",
        "class_id",
        "label_id",
        "labelid",
        "category_id",
        "y",
    ]
)

_ROWS_FROM_ONE = "(rows are counted from 1, below any header)"


def find_columns(
    columns: Sequence[str],
    *,
    text_columns: Sequence[str] | None,
    label_column: str | None,
    labels: LabelNeed,
    source: str,
) -> tuple[tuple[str, ...], str | None]:
    """Return the text columns, in the order they are joined, and the label column.

    Args:
        columns: The columns that the source has.
        text_columns: The user's choice; None finds them by their usual names.
        label_column: The user's choice; None finds it by its usual names.
        labels: ``never`` returns no label column; ``optional`` returns None where there is none.
        source: How the message calls the source.

    Raises:
        DataError: If a named column is missing, or no single answer is plain; lists what was found.

    >>> find_columns(["id", "Title", "Description", "Class"], text_columns=None, label_column=None,
    ...              labels="required", source="news.csv")
    (('Title', 'Description'), 'Class')
    """
    columns = list(columns)
    problems = []
    if repeated := sorted({c for c in columns if columns.count(c) > 1}):
        problems.append(f"column {_listed(repeated)} stands more than once; give every column its own name")
        raise DataError(f"{source}: {problems[0]}. Columns found: {_listed(columns)}.")
    label = None
    if labels != "never":
        label = find_label(columns, text_columns, label_column, labels, problems)
    texts = _find_pair(columns, text_columns, label or label_column, problems)
    if label is not None and label in texts:
        problems.append(
            f"column {label!r} cannot be both text and label: name another by --text-columns or --label-column"
        )
    if problems:
        raise DataError(f"{source}: {'; '.join(problems)}. Columns found: {_listed(columns)}.")
    return texts, label


def find_label(
    columns: list[str],
    text_columns: Sequence[str] | None,
    label_column: str | None,
    labels: LabelNeed,
    problems: list[str],
) -> str | None:
    """Return the label column, None where there is none or no single answer is plain, which goes into ``problems``."""
    if label_column is not None:
        if label_column in columns:
            return label_column
        if labels == "required":
            problems.append(
                f"there is no label column {label_column!r}: name one that is there by --label-column"
            )
        return None
    found = [c for c in columns if _key(c) in LABEL_NAMES and c not in (text_columns or ())]
    if len(found) > 1:
        problems.append(f"the label may be {_listed(found, 'or')}; name it with --label-column")
    elif not found and labels == "required":
        problems.append("no column has a usual name for the label; name it with --label-column COLUMN")
    return found[0] if len(found) == 1 else None


def _find_pair(
    columns: list[str], text_columns: Sequence[str] | None, label: str | None, problems: list[str]
) -> tuple[str, ...]:
    """Return the text columns; of a pair, the second text's column last."""
    if not isinstance(text_columns, PairColumns):
        return _find_texts(columns, text_columns, label, problems)
    *firsts, second = text_columns
    if second in firsts:
        problems.append(
            f"column {second!r} cannot be both texts of a pair: name another by --text-columns or --text-pair-column"
        )
        return text_columns
    others = [column for column in columns if column != second]
    found = _find_texts(others, firsts or None, label, problems)
    if second not in columns:
        problems.append(f"there is no text column {second!r}: name one that is there by --text-pair-column")
    return PairColumns((*found, second))


def _find_texts(
    columns: list[str], text_columns: Sequence[str] | None, label: str | None, problems: list[str]
) -> tuple[str, ...]:
    if text_columns is not None:
        if isinstance(text_columns, str):
            raise ConfigError(f"text_columns={text_columns!r} must be a list of columns: [{text_columns!r}]")
        if not text_columns:
            raise ConfigError("text_columns=[] is empty: name at least one column, or leave it out")
        if missing := [c for c in text_columns if c not in columns]:
            problems.append(
                f"there is no text column {_listed(missing)}: name one that is there by --text-columns"
            )
        return tuple(text_columns)
    bodies = [c for c in columns if _key(c) in TEXT_NAMES and c != label]
    titles = [c for c in columns if _key(c) in TITLE_NAMES and c != label]
    if len(bodies) > 1 or len(titles) > 1:
        problems.append(
            f"the text may be {_listed(titles + bodies, 'or')}; name one, or several to join, with --text-columns"
        )
    elif not bodies and not titles:
        problems.append(
            "no column has a usual name for the text; name it with --text-columns COLUMN[,COLUMN] "
            "(if the first line is no header, add one)"
        )
    return tuple(titles[:1] + bodies[:1])


def clean_texts(
    values: dict[str, list[Any]], row_numbers: Sequence[int], source: str, *, are_pairs: bool = False
) -> list[str]:
    """Join each row's text columns by a space; null and white space alone become the empty text.

    Args:
        values: The cells of each text column.
        row_numbers: Zero-based number of each row, for messages.
        source: How messages call the source.
        are_pairs: The last column holds the second text of a `TextPair`.

    Raises:
        DataError: If a column holds lists, mappings or bytes.

    >>> clean_texts({"title": ["a", " "], "body": ["b", None]}, [0, 1], "x.csv")
    ['a b', '']
    """
    if are_pairs:
        *firsts, second = values
        first_texts = clean_texts({column: values[column] for column in firsts}, row_numbers, source)
        second_texts = clean_texts({second: values[second]}, row_numbers, source)
        return [TextPair(*pair) for pair in zip(first_texts, second_texts, strict=True)]
    columns = [_strings(column, cells, row_numbers, source) for column, cells in values.items()]
    if len(columns) == 1:
        return [cell if cell.strip() else "" for cell in columns[0]]
    return [" ".join(part for part in parts if part.strip()) for parts in zip(*columns, strict=True)]


def _strings(column: str, cells: list[Any], row_numbers: Sequence[int], source: str) -> list[str]:
    kinds = {type(cell) for cell in cells}
    if kinds <= {str, TextPair}:
        return cells
    if odd := sorted(k.__name__ for k in kinds if not _is_scalar(k)):
        rows = [r for r, cell in zip(row_numbers, cells, strict=True) if not _is_scalar(type(cell))]
        raise DataError(
            f"{source}: column {column!r} holds {_listed(odd)} in {rows_phrase(rows)} {_ROWS_FROM_ONE}; "
            "a text is one string: join the parts, or name another column with --text-columns"
        )
    return ["" if is_missing(cell) else str(cell) for cell in cells]


def clean_labels(
    cells: list[Any],
    row_numbers: Sequence[int],
    *,
    column: str,
    source: str,
    names: tuple[str, ...] | None = None,
    is_indexed: bool = False,
    missing: frozenset[str] = frozenset({""}),
    is_optional: bool = False,
) -> list[str | int] | None:
    """Return each row's label as a string or an integer, or None where ``is_optional`` and all are missing.

    Args:
        cells: The values as the source holds them.
        row_numbers: Zero-based number of each row, for messages.
        column: The label column.
        source: How messages call the source.
        names: Declared class names; integers are positions in them if ``is_indexed``.
        is_indexed: See ``names``; -1 then means that there is no label.
        missing: Strings that mean that there is no label.
        is_optional: Rows may all be without a label.

    Raises:
        DataError: If a label is missing, a list (multi-label), a number that is no integer (regression),
            outside the declared names, or half a character.

    >>> clean_labels([1.0, 0], [0, 1], column="y", source="x.csv")
    [1, 0]
    """
    where = f"{source}: label column {column!r}"
    bad = _sorted_out(cells, row_numbers, names if is_indexed else None)
    if rows := bad["list"]:
        raise DataError(
            f"{where} holds several labels a row ({rows_phrase(rows)} {_ROWS_FROM_ONE}): a multi-label task, and one label "
            "a row is read. Train with problem_type=multi_label_classification, or name a column with one label by "
            "--label-column"
        )
    if rows := bad["float"]:
        raise DataError(
            f"{where} holds numbers that are no integers ({rows_phrase(rows)} {_ROWS_FROM_ONE}): {REGRESSION}"
        )
    if rows := bad["other"]:
        kind = type(cells[list(row_numbers).index(rows[0])]).__name__
        raise DataError(
            f"{where} holds a {kind} in {rows_phrase(rows)} {_ROWS_FROM_ONE}; labels must be strings or integers"
        )
    cleaned = [_label(cell, names if is_indexed else None, missing) for cell in cells]
    lacking = [r for r, label in zip(row_numbers, cleaned, strict=True) if label is None]
    if lacking and is_optional and len(lacking) == len(cleaned):
        return None
    if lacking:
        raise DataError(
            f"{where} is empty in {rows_phrase(lacking)} {_ROWS_FROM_ONE}; give every row a label, "
            "or leave these rows out of the file"
        )
    halved = [
        r
        for r, label in zip(row_numbers, cleaned, strict=True)
        if isinstance(label, str) and not is_whole(label)
    ]
    if halved:
        raise DataError(
            f"{where} holds half a character in {rows_phrase(halved)} {_ROWS_FROM_ONE}, which no file can hold: write these "
            "labels without it"
        )
    kept = [label for label in cleaned if label is not None]
    if names is not None and (rows := _outside(kept, row_numbers, names)):
        worst = cells[list(row_numbers).index(rows[0])]
        raise DataError(
            f"{where} holds {worst!r} in {rows_phrase(rows)} {_ROWS_FROM_ONE}, which is none of the declared "
            f"classes: {_listed(names)}"
        )
    return kept


def _sorted_out(
    cells: list[Any], row_numbers: Sequence[int], names: tuple[str, ...] | None
) -> dict[str, list[int]]:
    """Find the rows whose label has a type that no label may have."""
    bad: dict[str, list[int]] = {"list": [], "float": [], "other": []}
    if {type(cell) for cell in cells} <= {str}:
        if cells and all(cell[:1] == "[" and cell[-1:] == "]" for cell in cells):
            bad["list"] = list(row_numbers)
        return bad
    for row, cell in zip(row_numbers, cells, strict=True):
        if hasattr(cell, "__len__") and not isinstance(cell, str | bytes):
            bad["list"].append(row)
        elif isinstance(cell, str) or is_missing(cell):
            continue
        elif not _is_scalar(type(cell)) or not hasattr(cell, "__index__"):
            try:
                integral = float(cell) == int(cell)
            except (TypeError, ValueError, OverflowError):
                bad["other"].append(row)
            else:
                if not integral:
                    bad["float"].append(row)
    return bad


def _label(cell: Any, names: tuple[str, ...] | None, missing: frozenset[str]) -> str | int | None:
    if isinstance(cell, str):
        label = cell.strip()
        return None if label in missing else label
    if is_missing(cell):
        return None
    if type(cell).__name__ in ("bool", "bool_"):  # Python's and numpy's
        return str(cell)
    number = int(cell)
    if names is None:
        return number
    if number == -1:
        return None
    return names[number] if 0 <= number < len(names) else number


def _outside(labels: Sequence[str | int], row_numbers: Sequence[int], names: tuple[str, ...]) -> list[int]:
    known = set(names)
    return [r for r, label in zip(row_numbers, labels, strict=True) if label not in known]


def is_missing(cell: Any) -> bool:
    """Whether a cell is null: None, NaN, NaT or pandas' NA (the only ones unequal to themselves)."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, float) and cell != cell


def _is_scalar(kind: type) -> bool:
    return not hasattr(kind, "__len__") or issubclass(kind, str)


def _key(column: str) -> str:
    return "_".join(column.strip().casefold().replace("-", " ").replace("_", " ").split())


def _listed(items: Sequence[Any], last: str = "") -> str:
    words = [repr(item) for item in items[:30]] + (["..."] if len(items) > 30 else [])
    if last and len(words) > 1:
        return f"{', '.join(words[:-1])} {last} {words[-1]}"
    return ", ".join(words)
