"""What an audit finds, and in which order it is looked at."""

from collections.abc import Iterable
from dataclasses import dataclass

ISSUES = {
    "label conflict": "rows with the same text, or nearly, whose labels differ",
    "duplicate across splits": "the same text stands in another split: figures on that one are too good",
    "near duplicate across splits": "nearly the same text stands in another split",
    "label error": "rows like it have another label: its own is unlikely to a classifier that was not fitted on it",
    "nearly empty": "fewer than three letters or digits: there is nothing to learn from",
    "duplicate": "the same text stands in this split before",
    "near duplicate": "nearly the same text stands in this split before",
    "too long": "longer than the encoder reads: what is beyond is lost without windows",
}
"""Every issue and what it means, the one to look at first first."""


@dataclass(frozen=True)
class Finding:
    """An issue of a row.

    Attributes:
        place: Of the row among all rows of the audit.
        issue: One of `ISSUES`.
        score: How strongly, 0 to 1: how alike the texts are; how unlikely the label is; what share of the text is lost.
        suggested: The class number that the label should perhaps be; None where nothing is suggested.
        like: Place of the row that it is a duplicate of, or in conflict with; None for other issues.
    """

    place: int
    issue: str
    score: float
    suggested: int | None = None
    like: int | None = None


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by issue, in the order of `ISSUES`, then by score, the highest first, then by place.

    >>> found = ranked([Finding(0, "duplicate", 1.0), Finding(1, "label error", 0.6), Finding(2, "label error", 0.9)])
    >>> [each.place for each in found]
    [2, 1, 0]
    """
    order = {issue: place for place, issue in enumerate(ISSUES)}
    return sorted(findings, key=lambda each: (order[each.issue], -each.score, each.place))
