"""CSV, TSV, Orange's ``.tab`` and the official headerless AG News form, parsed by pyarrow."""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from submillion.data.columns import LABEL_NAMES, TEXT_NAMES, TITLE_NAMES, LabelNeed
from submillion.data.opened import Columns, Opened, plural
from submillion.errors import DataError, one_line

AG_NEWS_COLUMNS = ("class", "title", "description")

# One row must fit into a block; a text of more than 4 MiB is refused with a message.
_BLOCK_BYTES = 1 << 22
_PACKED = {b"PK": "a zip archive", b"\x1f\x8b": "a gzip archive"}
_PLAIN_QUOTES = "quotes are read as plain characters, since {n} hold one that is never closed."
_ORANGE_TYPES = frozenset(
    ["continuous", "c", "numeric", "n", "discrete", "d", "string", "s", "text", "time", "t", "basket"]
)
_ORANGE_FLAG = re.compile(r"(class|c|meta|m|ignore|i|weight|w|[A-Za-z_]+=\S+)", re.IGNORECASE)
_RAGGED = re.compile(r"CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+)")
_ORANGE_MISSING = frozenset({"", "?", "~"})


@dataclass(frozen=True)
class _Form:
    """How the first lines of a delimited file are to be read.

    Attributes:
        names: The columns.
        has_header: The first line holds the names; otherwise it is a row.
        n_skipped: Lines between the names and the first row.
        has_quotes: A double quote encloses a field; otherwise it is a character like any other.
    """

    names: tuple[str, ...]
    has_header: bool = True
    n_skipped: int = 0
    has_quotes: bool = True
    text_hint: tuple[str, ...] | None = None
    label_hint: str | None = None
    label_names: tuple[str, ...] | None = None
    has_integer_labels: bool = False
    missing_labels: frozenset[str] = frozenset({""})


def open_delimited(path: Path, delimiter: str, *, labels: LabelNeed, is_orange: bool = False) -> Opened:
    """Open a delimited text file; only its first lines are read now.

    Args:
        path: The file, in UTF-8.
        delimiter: What stands between two fields.
        labels: With ``never`` the AG News form is known without looking at its class field.
        is_orange: The file may have Orange's second and third header lines.

    Raises:
        DataError: If the file is empty or no UTF-8.
    """
    n_odd = 0 if delimiter == "," or is_orange else _lines_with_odd_quotes(path)
    records = _first_records(path, delimiter, has_quotes=not n_odd)
    if not records or not any(field.strip() for field in records[0]):
        raise DataError(f"{path}: the file is empty; it needs a header line with column names, then rows")
    if any("\udc80" <= char <= "\udcff" for name in records[0] for char in name):
        raise DataError(undecodable(path))
    if any("\0" in name for name in records[0]):
        raise DataError(f"{path}: not UTF-8: zero bytes in the first line, as in UTF-16. Save it as UTF-8")
    if is_orange:
        form = _orange_form(records)
    elif _is_ag_news(path, records[0], labels):
        form = _Form(
            AG_NEWS_COLUMNS,
            has_header=False,
            text_hint=("title", "description"),
            label_hint="class",
            has_integer_labels=True,
        )
    else:
        form = _Form(tuple(name.strip() for name in records[0]), has_quotes=not n_odd)
        _check_delimiter(path, form.names)

    def read(columns: Sequence[str], chunk_rows: int) -> Iterator[Columns]:
        has_rows = len(records) > form.n_skipped + form.has_header
        return _read(path, delimiter, form, columns, chunk_rows) if has_rows else iter(())

    declared = {form.label_hint: form.label_names} if form.label_hint and form.label_names else {}
    return Opened(
        str(path),
        form.names,
        read,
        label_names=declared,
        text_hint=form.text_hint,
        label_hint=form.label_hint,
        missing_labels=form.missing_labels,
        has_integer_labels=form.has_integer_labels,
        remarks=() if form.has_quotes else (_PLAIN_QUOTES.format(n=plural(n_odd, "line")),),
    )


def _lines_with_odd_quotes(path: Path) -> int:
    """Count the lines with a quote that nothing closes, where each line is a whole row by its tabs alone.

    Many TSV files (GLUE's among them) quote nothing, and taking their quotes for enclosing ones would merge
    rows in silence.
    """
    n_odd = 0
    with path.open("rb") as file:
        n_tabs = file.readline().count(b"\t")
        for line in file:
            if not n_tabs or (line.strip(b"\r\n") and line.count(b"\t") != n_tabs):
                return 0
            n_odd += line.count(b'"') % 2
    return n_odd


def _check_delimiter(path: Path, names: tuple[str, ...]) -> None:
    """Refuse a file whose one column holds the names of several."""
    usual = TEXT_NAMES | TITLE_NAMES | LABEL_NAMES
    for other in (";", "\t", ",", "|"):
        parts = [part.strip(' "').casefold() for part in names[0].split(other)]
        if len(names) == 1 and len(parts) > 1 and usual.intersection(parts):
            raise DataError(
                f"{path}: the first line {names[0]!r} seems to be split by {other!r}; a .csv file is split by "
                "commas, a .tsv file by tabs. Convert or rename the file"
            )


def _first_records(path: Path, delimiter: str, has_quotes: bool, most: int = 6) -> list[list[str]]:
    """Return the fields of the first lines, blank ones as an empty list.

    Bytes that are no UTF-8 pass here: they may stand in a column that is never read.
    """
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE
    records: list[list[str]] = []
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        try:
            for record in itertools.islice(csv.reader(lines, delimiter=delimiter, quoting=quoting), most):
                records.append(record)
        except csv.Error as error:
            # The csv module refuses a field of more than 128 KiB; in a row that is no error here.
            if not records:
                raise DataError(
                    f"{path}: the first line cannot be split into columns ({error}): shorten it, and close every quote"
                ) from None
            records.append(["a row"])
    return records


def _is_ag_news(path: Path, first: list[str], labels: LabelNeed) -> bool:
    """Whether the first line is a row of the official form: three quoted fields, the first a class 1-4."""
    if len(first) != 3 or not first[2].strip():
        return False
    usual = TEXT_NAMES | TITLE_NAMES | LABEL_NAMES
    if any(field.strip().casefold() in usual for field in first):
        return False
    with path.open("rb") as file:
        start = file.read(1 << 12).removeprefix(b"\xef\xbb\xbf")
    if not start.startswith(b'"') or b'","' not in start:
        return False
    # The test lock: where labels are never read, whatever stands in their place must change nothing.
    if labels == "never":
        return " " in first[2].strip() and len(first[2]) > 20
    return first[0] in ("1", "2", "3", "4")


def _orange_form(records: list[list[str]]) -> _Form:
    """Read Orange's header: names, then perhaps types, then perhaps flags; then perhaps a blank line."""
    raw = [name.strip() for name in records[0]]
    types, flags, n_skipped = [""] * len(raw), [""] * len(raw), 0
    if len(records) > 1 and _are_types(records[1], len(raw)):
        types, n_skipped = [field.strip() for field in records[1]], 1
        if len(records) > 2 and _are_flags(records[2], len(raw)):
            flags, n_skipped = [field.strip() for field in records[2]], 2
            flags += [""] * (len(raw) - len(flags))
    names = []
    for i, name in enumerate(raw):
        prefix, mark, rest = name.partition("#")
        if n_skipped == 0 and mark and re.fullmatch(r"[mcCwi]?[CDSTN]?", prefix) and prefix:
            names.append(rest)
            types[i] = "string" if prefix.endswith("S") else "d" if prefix.endswith("D") else ""
            flags[i] = "class" if prefix.startswith("c") else ""
        else:
            names.append(name)
    if n_skipped and len(records) > n_skipped + 1 and not any(f.strip() for f in records[n_skipped + 1]):
        n_skipped += 1
    included = [n for n, flag in zip(names, flags, strict=True) if "include=true" in flag.casefold()]
    strings = [n for n, t in zip(names, types, strict=True) if t in ("string", "s", "text")]
    classes = [i for i, flag in enumerate(flags) if flag.split()[:1] in (["class"], ["c"])]
    label = classes[0] if len(classes) == 1 else None
    values = () if label is None else tuple(types[label].split())
    text_hint = tuple(included or (strings if len(strings) == 1 else ()))
    return _Form(
        tuple(names),
        n_skipped=n_skipped,
        text_hint=text_hint or None,
        label_hint=None if label is None else names[label],
        label_names=values if len(values) > 1 else None,
        missing_labels=_ORANGE_MISSING,
    )


def _are_types(fields: list[str], n_columns: int) -> bool:
    """Whether a line holds Orange's types: a type name, nothing, or a list of discrete values."""
    known = [field.strip() in _ORANGE_TYPES or not field.strip() for field in fields]
    listed = [ok or len(field.split()) > 1 for ok, field in zip(known, fields, strict=True)]
    return len(fields) == n_columns and all(listed) and any(f.strip() in _ORANGE_TYPES for f in fields)


def _are_flags(fields: list[str], n_columns: int) -> bool:
    marks = [mark for field in fields for mark in field.split()]
    return len(fields) <= n_columns and all(_ORANGE_FLAG.fullmatch(mark) for mark in marks)


def _read(
    path: Path, delimiter: str, form: _Form, columns: Sequence[str], chunk_rows: int
) -> Iterator[Columns]:
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    try:
        reader = pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK_BYTES,
                column_names=list(form.names),
                skip_rows_after_names=form.n_skipped + form.has_header,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if form.has_quotes else False,
                newlines_in_values=form.has_quotes,
                # In a file of one column a blank line is a row with an empty text.
                ignore_empty_lines=len(form.names) > 1,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in columns},
                include_columns=list(columns),
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            for start in range(0, batch.num_rows, chunk_rows):
                yield batch.slice(start, chunk_rows).to_pydict()
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return
        raise DataError(_explained(path, delimiter, form, str(error))) from None


def _explained(path: Path, delimiter: str, form: _Form, message: str) -> str:
    if ragged := _RAGGED.match(message):
        number, n_expected, n_found = map(int, ragged.groups())
        return (
            f"{path}: row {number - form.n_skipped - form.has_header} (rows are counted from 1, below any header) "
            f"has {plural(n_found, 'field')} where the first line has {n_expected}; quote fields that hold "
            f"{delimiter!r} or a line end, and close every quote"
        )
    if "invalid UTF8" in message:
        return undecodable(path)
    if "straddl" in message:
        return (
            f"{path}: one row takes more than {_BLOCK_BYTES >> 20} MiB; a quote that is never closed makes such "
            "rows. Close every quote, or shorten the text"
        )
    return f"{path}: cannot be parsed ({one_line(message)}): write it again as CSV, or as JSON Lines"


def undecodable(path: Path) -> str:
    """Say where a file stops being UTF-8: byte and line.

    Args:
        path: A file that could not be decoded.
    """
    n_bytes = n_lines = 0
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        for line in file:
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                at = n_bytes + error.start
                if start in _PACKED:
                    return f"{path}: {_PACKED[start]}, not text: unpack it, and name the file in it"
                guess = "UTF-16" if start in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
                return (
                    f"{path}: not UTF-8: byte {at:,} (0x{line[error.start]:02x}, line {n_lines + 1:,}) cannot be "
                    f"decoded; the file is in {guess}. Save it as UTF-8, for example with iconv"
                )
            n_bytes += len(line)
            n_lines += 1
    return f"{path}: not UTF-8; save it as UTF-8"
