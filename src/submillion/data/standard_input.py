"""Standard input as a file: a pipe can be read once only, and rows are read several times."""

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

from submillion.errors import DataError

STANDARD_INPUT = "-"
"""How a user names it."""

NAME = "<stdin>"
"""How messages call it."""

ONE_SET = "standard input holds one set of rows; name files for the others"
"""Ends the message that refuses it for several sources."""

_ORANGE_TYPES = {b"c", b"continuous", b"d", b"discrete", b"m", b"meta", b"s", b"string", b"text"}

_kept: tuple[object, Path] | None = None


def is_standard_input(source: object) -> bool:
    """Whether a source of rows is standard input.

    >>> is_standard_input("-"), is_standard_input(["-"])
    (True, False)
    """
    return isinstance(source, str) and source == STANDARD_INPUT


def kept_file() -> Path:
    """Return a file that holds all of standard input, its name ending in what it holds.

    It is read to its end at the first call; later calls return the same file, which goes when the process ends.

    Raises:
        DataError: If nothing is piped in.
    """
    global _kept
    if _kept is not None and _kept[0] is sys.stdin and _kept[1].exists():
        return _kept[1]
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError(f"{NAME}: nothing is piped in; give rows by `cat rows.csv | ...`, or name a file")
    with tempfile.NamedTemporaryFile(prefix="submillion-", delete=False) as file:
        path = Path(file.name)
        atexit.register(path.unlink, missing_ok=True)
        shutil.copyfileobj(sys.stdin.buffer, file)
    named = path.with_suffix(suffix_of(path))
    atexit.register(named.unlink, missing_ok=True)
    path.rename(named)
    _kept = (sys.stdin, named)
    return named


def suffix_of(path: Path) -> str:
    """Return the ending that a file's first bytes deserve: Parquet, pickle, JSON, tab- or comma-separated."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    return sniffed(start)


def sniffed(start: bytes) -> str:
    r"""Return the ending of a file that starts so.

    >>> [sniffed(start) for start in (b"PAR1", b"\x80\x04", b' {"text": 1}', b"text\tlabel\n", b"text,label\n")]
    ['.parquet', '.pkl', '.jsonl', '.tsv', '.csv']
    """
    if start.startswith(b"PAR1"):
        return ".parquet"
    if start.startswith(b"\x80"):
        return ".pkl"
    text = start.removeprefix(b"\xef\xbb\xbf")
    if text.lstrip().startswith((b"{", b"[")):
        return ".jsonl"
    first, _, rest = text.partition(b"\n")
    second = rest.partition(b"\n")[0].strip(b"\r").split(b"\t")
    if b"\t" not in first:
        return ".csv"
    types = {cell.strip() for cell in second}  # on the second line of Orange's form
    return ".tab" if types & _ORANGE_TYPES and types <= _ORANGE_TYPES | {b""} else ".tsv"
