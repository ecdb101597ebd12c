"""What an audit leaves: a ranked list for a spreadsheet, a page to look at, and its figures."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submillion.auditing.finding import ISSUES, Finding
from submillion.auditing.sources import UNREAD, AuditedRows
from submillion.page.render import write_page
from submillion.run import write_json, written_together

MOST_SHOWN = 100
"""Rows of each issue that the page shows, the first in rank."""

MOST_LETTERS = 300
"""A text on the page is cut after so many."""

WRITTEN = ("issues.csv", "audit.html", "audit.json")
"""What an audit leaves in its folder."""

COLUMNS = ("row", "file", "split", "issue", "score", "label", "suggested_label", "like_split", "like_row")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?")
_LINE = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True)
class Line:
    """A row to look at, as it is shown; numbers count from 1.

    Attributes:
        row: Number of the row in its file.
        file: The file.
        split: The split.
        issue: What is wrong with it.
        score: How strongly, 0 to 1.
        label: Its label; empty where it was not read.
        suggested_label: What it should perhaps be; empty where nothing is suggested.
        like_split: Where the row stands that it is like; empty where there is none.
        like_row: Number of that row.
        text: Its text; None where texts are not shown.
        like_text: The other row's text.
    """

    row: int
    file: str
    split: str
    issue: str
    score: float
    label: str
    suggested_label: str
    like_split: str
    like_row: int | str
    text: str | None
    like_text: str | None


def write_audit(
    folder: Path, report: Mapping[str, Any], rows: AuditedRows, found: Sequence[Finding], has_texts: bool
) -> None:
    """Write `issues.csv`, `audit.html` and, last, `audit.json`.

    Raises:
        RunError: If the folder cannot be written.
    """
    lines = [_line(rows, each, has_texts) for each in found]
    with written_together(folder, "audit.json") as place:
        _write_csv(place / "issues.csv", lines, has_texts)
        write_page(place / "audit.html", "auditing/audit.html.j2", found=_Page(report, lines))
        write_json(place / "audit.json", dict(report))


def _line(rows: AuditedRows, finding: Finding, has_texts: bool) -> Line:
    def label_of(code: int | None) -> str:
        return "" if code is None or code == UNREAD else rows.names[code]

    place, like = finding.place, finding.like
    split = rows.splits[rows.split_of[place]]
    return Line(
        row=int(rows.row_numbers[place]) + 1,
        file=split.source,
        split=split.name,
        issue=finding.issue,
        score=round(finding.score, 4),
        label=label_of(int(rows.codes[place])),
        suggested_label=label_of(finding.suggested),
        like_split="" if like is None else rows.splits[rows.split_of[like]].name,
        like_row="" if like is None else int(rows.row_numbers[like]) + 1,
        text=rows.texts[place] if has_texts else None,
        like_text=rows.texts[like] if has_texts and like is not None else None,
    )


def _write_csv(path: Path, lines: Sequence[Line], has_texts: bool) -> None:
    columns = (*COLUMNS, "text") if has_texts else COLUMNS
    # A spreadsheet knows UTF-8 by its mark alone; half a surrogate pair has no bytes.
    with path.open("w", encoding="utf-8-sig", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([harmless(str(getattr(line, column))) for column in columns] for line in lines)


def harmless(cell: str) -> str:
    r"""Return a cell that no spreadsheet takes for a formula and no terminal for a command, on one line.

    One that starts with ``= + - @`` gets an apostrophe before it (OWASP, CSV Injection), but for a plain number.

    >>> harmless("=1+1"), harmless("-3"), harmless("-3+cmd"), harmless(" @x"), harmless("a\x1b[31m\nb")
    ("'=1+1", '-3', "'-3+cmd", "' @x", 'a [31m b')
    """
    line = _printable(cell)
    return f"'{line}" if line.lstrip()[:1] in ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20") and not _NUMBER.fullmatch(line) else line  # fmt: skip


def one_line(text: str) -> str:
    r"""Return a text on one line, control characters made spaces, cut after `MOST_LETTERS`.

    >>> one_line("one\n\x1b[0mtwo"), len(one_line("long " * 100))
    ('one [0mtwo', 300)
    """
    line = " ".join(_printable(text).split())
    return line if len(line) <= MOST_LETTERS else f"{line[: MOST_LETTERS - 1].rstrip()}{_LINE}"


def _printable(text: str) -> str:
    """Return a text with control characters made spaces."""
    return _CONTROL.sub(" ", text)


@dataclass(frozen=True)
class _Page:
    """What the page shows; the template asks for it by name."""

    report: Mapping[str, Any]
    lines: Sequence[Line]

    def of(self, issue: str) -> Sequence[Line]:
        """Return the rows of an issue that are shown, the first in rank."""
        return [line for line in self.lines if line.issue == issue][:MOST_SHOWN]

    @property
    def issues(self) -> list[Mapping[str, Any]]:
        """The issues that some row has."""
        return [each for each in self.report["issues"] if each["n"]]

    @property
    def absent(self) -> list[str]:
        """The issues that no row has."""
        there = {each["issue"] for each in self.issues}
        return [issue for issue in ISSUES if issue not in there]

    @staticmethod
    def cut(text: str) -> str:
        """Return a text as it is shown."""
        return one_line(text)
