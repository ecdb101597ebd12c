"""Rows of text and label from files, folders, the hub and Python values."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from submillion.data.columns import LabelNeed, clean_labels, clean_texts, find_columns
from submillion.data.delimited import open_delimited
from submillion.data.files import open_json, open_parquet
from submillion.data.huggingface import open_folder, open_hub
from submillion.data.multi_label import LabelColumn, SeveralLabels
from submillion.data.opened import Columns, Opened, plural, rows_phrase
from submillion.data.pairs import PairColumns
from submillion.data.standard_input import NAME, STANDARD_INPUT, kept_file
from submillion.data.values import open_table, open_values
from submillion.data.whole_letters import is_whole, made_whole
from submillion.errors import DataError

_SUFFIXES = ".csv, .tsv, .tab, .jsonl, .ndjson, .json, .parquet, .pkl, .pickle"


@dataclass(frozen=True)
class RawRows:
    """Rows as read, labels not yet numbered.

    Attributes:
        texts: One text a row; all of them a `TextPair` where rows hold two.
        labels: One label a row, as strings or integers, or a `LabelSet`; None where there are none or none were asked for.
        label_names: Class names in declared order, where the source declares them; labels are then names.
        row_numbers: Zero-based position of each row among the source's data rows.
        source: How messages call the source.
        notes: What was repaired, counted, one sentence each.
        label_values: What the source stores for each of ``label_names``: integers for a Hugging Face
            ``ClassLabel``, the names themselves otherwise; None where no names are declared.
    """

    texts: list[str]
    labels: list[Any] | None
    label_names: tuple[str, ...] | None
    row_numbers: list[int]
    source: str
    notes: tuple[str, ...]
    label_values: tuple[str | int, ...] | None = None


@dataclass
class _Repairs:
    """What was repaired so far."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def add(self, sentence: str, row_numbers: Sequence[int]) -> None:
        if row_numbers:
            self.counts[sentence] += len(row_numbers)
            self.first.setdefault(sentence, row_numbers[0])

    def notes(self, source: str) -> tuple[str, ...]:
        repairs = []
        for sentence, count in self.counts.items():
            which = f"{'first ' if count > 1 else ''}row {self.first[sentence] + 1}"
            repairs.append(f"{source}: {plural(count, 'row')} {sentence} ({which}).")
        return (*self.remarks, *repairs)


def read_rows(
    source: Any,
    *,
    text_columns: Sequence[str] | None = None,
    label_column: LabelColumn = None,
    labels: LabelNeed = "required",
) -> RawRows:
    """Read all rows of a source.

    Args:
        source: A path (CSV, TSV, JSON Lines, Parquet, Orange ``.tab``, a saved Hugging Face data set as
            ``FOLDER`` or ``FOLDER:SPLIT``, a pickled one), ``-`` for standard input, ``hub:NAME[:CONFIG][:SPLIT]``,
            a DataFrame, a ``datasets.Dataset``, a dict of lists, a list of (text, label) pairs or a list of texts.
        text_columns: Columns joined by a space into the text; None finds them by their usual names. Of `PairColumns` the
            last is a second text, and each text read is a `TextPair`.
        label_column: Column of the label; None finds it by its usual names. Where rows may have several: `SeveralLabels`.
        labels: ``required``: every row has one, and rows with an empty text are left out and counted.
            ``optional``: every row is kept, and all have a label or none has. ``never``: every row is kept,
            and the label column is not parsed.

    Raises:
        DataError: If there are no rows, or they do not hold what they should.

    >>> rows = read_rows([("good film", "pos"), ("bad film", "neg")])
    >>> rows.texts, rows.labels
    (['good film', 'bad film'], ['pos', 'neg'])
    """
    parts = list(_parts(source, text_columns, label_column, labels, 65_536))
    last = parts[-1][0]
    all_labels = None if last.labels is None else [label for rows, _ in parts for label in rows.labels or ()]
    return RawRows(
        texts=[text for rows, _ in parts for text in rows.texts],
        labels=all_labels,
        label_names=last.label_names,
        row_numbers=[number for rows, _ in parts for number in rows.row_numbers],
        source=last.source,
        notes=parts[-1][1].notes(last.source),
        label_values=last.label_values,
    )


def stream_rows(
    source: Any,
    *,
    text_columns: Sequence[str] | None = None,
    label_column: LabelColumn = None,
    labels: LabelNeed = "required",
    chunk_rows: int = 8192,
) -> Iterator[RawRows]:
    """Yield the rows of a source in pieces of at most ``chunk_rows``.

    Memory stays constant for CSV, TSV, ``.tab``, JSON Lines, Parquet and Hugging Face folders. The notes
    stand with the last piece, which may hold no rows. Otherwise as `read_rows`.
    """
    held: RawRows | None = None
    repairs = _Repairs()
    for rows, repairs in _parts(source, text_columns, label_column, labels, chunk_rows):  # noqa: B007
        if held is not None:
            yield held
        held = rows
    if held is not None:
        yield RawRows(
            held.texts,
            held.labels,
            held.label_names,
            held.row_numbers,
            held.source,
            repairs.notes(held.source),
            held.label_values,
        )


def _parts(
    source: Any,
    text_columns: Sequence[str] | None,
    label_column: LabelColumn,
    labels: LabelNeed,
    chunk_rows: int,
) -> Iterator[tuple[RawRows, _Repairs]]:
    """Yield pieces without notes, and the repairs so far."""
    opened = open_source(source, labels)
    several = label_column if isinstance(label_column, SeveralLabels) else None
    if isinstance(label_column, SeveralLabels):
        opened, label_column = label_column.laid_over(opened, labels)
    texts_from, label_from = _chosen(opened, text_columns, label_column, labels)
    repairs = _Repairs(remarks=[f"{opened.name}: {remark}" for remark in opened.remarks])
    if text_columns is None and len(texts_from) > 1:
        repairs.remarks.append(f"{opened.name}: the text is {' + '.join(map(repr, texts_from))}.")
    n_read = n_kept = 0
    has_labels: bool | None = None
    columns = list(dict.fromkeys((*texts_from, *((label_from,) if label_from else ()))))
    for piece in opened.read(columns, chunk_rows):
        n_piece = len(piece[texts_from[0]])
        numbers = list(range(n_read, n_read + n_piece))
        n_read += n_piece
        rows = _clean(opened, piece, numbers, texts_from, label_from, labels, repairs, several)
        if has_labels is not None and has_labels != (rows.labels is not None):
            raise DataError(
                f"{opened.name}: label column {label_from!r} is filled in only some of the rows (it changes near "
                f"row {numbers[0] + 1:,}); give every row a label, or none"
            )
        has_labels = rows.labels is not None
        n_kept += len(rows.texts)
        yield rows, repairs
    if n_kept == 0:
        why = "every text is empty" if n_read else "there are no rows"
        raise DataError(
            f"{opened.name}: {why}; text is read from {', '.join(map(repr, texts_from))}: give rows with a text, or name "
            "another column with --text-columns"
        )


def _chosen(
    opened: Opened, text_columns: Sequence[str] | None, label_column: str | None, labels: LabelNeed
) -> tuple[tuple[str, ...], str | None]:
    hinted = opened.label_hint if labels != "never" else None
    return find_columns(
        opened.columns,
        text_columns=opened.text_hint if text_columns is None else text_columns,
        label_column=label_column or hinted,
        labels=labels,
        source=opened.name,
    )


def _clean(
    opened: Opened,
    piece: dict[str, list[Any]],
    numbers: list[int],
    texts_from: tuple[str, ...],
    label_from: str | None,
    need: LabelNeed,
    repairs: _Repairs,
    several: SeveralLabels | None,
) -> RawRows:
    texts = clean_texts(
        {column: piece[column] for column in texts_from},
        numbers,
        opened.name,
        are_pairs=isinstance(texts_from, PairColumns),
    )
    if halved := [number for number, text in zip(numbers, texts, strict=True) if not is_whole(text)]:
        repairs.add("with half a character, read as U+FFFD", halved)
        texts = [made_whole(text) for text in texts]
    names = opened.label_names.get(label_from) if label_from else None
    labels: list[Any] | None = None
    if label_from is not None:
        cells = piece[label_from]
        if need == "required":
            # An empty text needs no label: its row is left out in any case.
            kept = [i for i, text in enumerate(texts) if text]
            repairs.add(
                "with an empty text left out", [numbers[i] for i, text in enumerate(texts) if not text]
            )
            texts, cells, numbers = (
                [texts[i] for i in kept],
                [cells[i] for i in kept],
                [numbers[i] for i in kept],
            )
        clean: Callable[..., list[Any] | None] = clean_labels if several is None else several.clean
        labels = clean(
            cells,
            numbers,
            column=label_from,
            source=opened.name,
            names=names,
            is_indexed=opened.is_indexed,
            missing=opened.missing_labels,
            is_optional=need == "optional",
        )
        if opened.has_integer_labels and labels is not None:
            labels = _as_integers(labels, numbers, opened.name)
        padded = [
            n
            for n, cell in zip(numbers, cells, strict=True)
            if isinstance(cell, str) and cell != cell.strip()
        ]
        repairs.add("with white space around the label, which was taken off", padded)
    else:
        repairs.add(
            "with an empty text kept", [n for n, text in zip(numbers, texts, strict=True) if not text]
        )
    values = None if names is None else tuple(range(len(names))) if opened.is_indexed else names
    return RawRows(texts, labels, names, numbers, opened.name, (), values)


def _as_integers(labels: Sequence[str | int], numbers: Sequence[int], source: str) -> list[str | int]:
    odd = [n for n, label in zip(numbers, labels, strict=True) if str(label) not in ("1", "2", "3", "4")]
    if odd:
        raise DataError(
            f"{source}: the class of {rows_phrase(odd)} (rows are counted from 1) is not 1, 2, 3 or 4, as the "
            "first row's form class,title,description says; if the file has another form, add a header line"
        )
    return [int(label) for label in labels]


def read_columns(source: Any, columns: Sequence[str]) -> dict[str, list[Any]]:
    """Return whole columns of a source as they stand there, one value a row; empty cells too.

    Raises:
        DataError: If the source cannot be opened, or lacks a column.
    """
    opened = open_source(source, "optional")
    if missing := [column for column in columns if column not in opened.columns]:
        raise DataError(
            f"{opened.name} has no column {', '.join(map(repr, missing))}: it has {', '.join(map(repr, opened.columns))}"
        )
    values: dict[str, list[Any]] = {column: [] for column in columns}
    for piece in opened.read(columns, 65_536):
        for column in columns:
            values[column].extend(piece[column])
    return values


def columns_present(
    source: Any, text_columns: Sequence[str] | None, label_column: LabelColumn
) -> tuple[Sequence[str] | None, LabelColumn]:
    """Return the columns of earlier rows that a source has too: the text's only where all of them are there.

    Args:
        source: A file, a folder, `hub:NAME`, or rows in memory.
        text_columns: Where the text stood; None: found by its usual names.
        label_column: Where the label stood; None: found by its usual names.

    Raises:
        DataError: If the source cannot be opened.
    """
    if text_columns is None and label_column is None:
        return None, None
    columns = open_source(source, "optional").columns
    has_texts = text_columns is not None and all(column in columns for column in text_columns)
    named = label_column if isinstance(label_column, SeveralLabels) else SeveralLabels(label_column)
    return text_columns if has_texts else None, label_column if named.stand_in(columns) else None


def open_source(source: Any, labels: LabelNeed = "required") -> Opened:
    """Find out what a source is, and open it.

    Raises:
        DataError: If it is missing, or none of the kinds that are read.
    """
    if not isinstance(source, str | PathLike):
        return open_values(source, labels)
    name = fspath(source)
    if isinstance(name, bytes):
        name = name.decode()
    if name.startswith("hub:"):
        return open_hub(name)
    if name == STANDARD_INPUT:
        return _open_standard_input(labels)
    path = Path(name).expanduser()
    if path.is_dir():
        return open_folder(path, None)
    folder, colon, split = name.rpartition(":")
    if colon and not path.exists() and Path(folder).expanduser().is_dir():
        return open_folder(Path(folder).expanduser(), split)
    if not path.exists():
        raise DataError(f"{name}: no such file or folder (for a data set on the hub write hub:{name})")
    return _open_file(path, labels)


def _open_standard_input(labels: LabelNeed) -> Opened:
    """Open what is piped in, read once into a file of which no message speaks."""
    path = kept_file()

    def renamed(error: DataError) -> DataError:
        return DataError(str(error).replace(str(path), NAME))

    try:
        opened = _open_file(path, labels)
    except DataError as error:
        raise renamed(error) from None

    def read(columns: Sequence[str], chunk_rows: int) -> Iterator[Columns]:
        try:
            yield from opened.read(columns, chunk_rows)
        except DataError as error:
            raise renamed(error) from None

    return replace(opened, name=NAME, read=read)


def _open_file(path: Path, labels: LabelNeed) -> Opened:
    suffix = path.suffix.casefold()
    try:
        if suffix in (".csv", ".tsv", ".tab"):
            delimiter = "," if suffix == ".csv" else "\t"
            return open_delimited(path, delimiter, labels=labels, is_orange=suffix == ".tab")
        if suffix in (".jsonl", ".ndjson", ".json"):
            return open_json(path)
        if suffix == ".parquet":
            return open_parquet(path)
        if suffix in (".pkl", ".pickle"):
            from submillion.data.unpickle import read_pickled_dataset

            table, names = read_pickled_dataset(path)
            return open_table(table, str(path), names)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}): check its name and who may read it"
        ) from None
    raise DataError(f"{path}: files ending in {suffix!r} are not read; give one ending in {_SUFFIXES}")
