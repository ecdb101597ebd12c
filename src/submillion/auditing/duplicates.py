"""Rows that stand twice, or nearly, within a split and across them, and whether their labels agree."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from submillion.auditing.finding import Finding
from submillion.auditing.sources import UNREAD, AuditedRows
from submillion.data.duplicates import text_hashes
from submillion.data.near_duplicates import near_duplicates


@dataclass(frozen=True)
class Duplicates:
    """What is the same, or nearly.

    Attributes:
        findings: Of duplicates, and of labels that differ among them.
        groups: Number of the group that each row belongs to, `[n]` int64: rows that are alike share one.
    """

    findings: list[Finding]
    groups: np.ndarray


def find_duplicates(rows: AuditedRows, seed: int) -> Duplicates:
    """Return rows that are the same or nearly, and those among them whose labels differ.

    Of a group of equal texts one row stays: that of the most precious split, then the first. Every other one is found. Of two
    texts that are nearly the same the less precious, then the later one is found.

    Args:
        rows: The rows; empty texts are no duplicates of each other.
        seed: Seed of the signatures.
    """
    precedence = np.array([split.precedence for split in rows.splits])[rows.split_of]
    copies: dict[str, list[int]] = defaultdict(list)
    for place, (text, key) in enumerate(zip(rows.texts, text_hashes(rows.texts), strict=True)):
        copies[key if text.strip() else f"empty {place}"].append(place)
    groups = [sorted(group, key=lambda place: (-precedence[place], place)) for group in copies.values()]
    kept = [group[0] for group in groups]
    pairs = near_duplicates([rows.texts[place] for place in kept], seed=seed)
    together = _components(len(groups), pairs)
    findings = [
        _duplicate(rows, place, group[0], 1.0, "duplicate") for group in groups for place in group[1:]
    ]
    findings += _near(rows, kept, pairs, precedence)
    findings += _conflicts(rows, groups, pairs, together)
    number = np.empty(len(rows), dtype=np.int64)
    for group, component in zip(groups, together.tolist(), strict=True):
        number[group] = component
    return Duplicates(findings, number)


def _components(n_groups: int, pairs: Sequence[tuple[int, int, float]]) -> np.ndarray:
    """Return a number for each group that those share which pairs connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one = [pair[0] for pair in pairs]
    other = [pair[1] for pair in pairs]
    edges = coo_array((np.ones(len(pairs)), (one, other)), shape=(n_groups, n_groups))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def _duplicate(rows: AuditedRows, place: int, like: int, score: float, issue: str) -> Finding:
    crosses = rows.split_of[place] != rows.split_of[like]
    return Finding(place, f"{issue} across splits" if crosses else issue, score, like=like)


def _near(
    rows: AuditedRows, kept: Sequence[int], pairs: Sequence[tuple[int, int, float]], precedence: np.ndarray
) -> list[Finding]:
    """Return one finding a row that is nearly like another, by its worst pair: across splits first, then the most alike."""
    worst: dict[int, Finding] = {}
    for one, other, score in pairs:
        stays, found = sorted((kept[one], kept[other]), key=lambda place: (-precedence[place], place))
        finding = _duplicate(rows, found, stays, score, "near duplicate")
        before = worst.get(found)
        if before is None or _badness(finding) > _badness(before):
            worst[found] = finding
    return list(worst.values())


def _badness(finding: Finding) -> tuple[bool, float]:
    return finding.issue.endswith("splits"), finding.score


def _conflicts(
    rows: AuditedRows,
    groups: Sequence[Sequence[int]],
    pairs: Sequence[tuple[int, int, float]],
    together: np.ndarray,
) -> list[Finding]:
    """Return rows whose label differs from that of a row with the same text, or nearly, one finding each.

    What the strict majority of all that are alike says stays and is suggested; without one, all are found.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for group, component in zip(groups, together.tolist(), strict=True):
        members[component] += [place for place in group if rows.codes[place] != UNREAD]
    majority = {component: _majority(rows.codes[places].tolist()) for component, places in members.items()}
    found: dict[int, Finding] = {}

    def compare(one: int, other: int, score: float, suggested: int | None) -> None:
        for place, like in ((one, other), (other, one)):
            is_right = suggested is not None and rows.codes[place] == suggested
            if not is_right and (place not in found or found[place].score < score):
                found[place] = Finding(place, "label conflict", score, suggested, like)

    for group, component in zip(groups, together.tolist(), strict=True):
        labelled = [place for place in group if rows.codes[place] != UNREAD]
        first_of = {code: place for place in reversed(labelled) for code in [int(rows.codes[place])]}
        if len(first_of) > 1:
            for place in labelled:
                like = next(other for code, other in first_of.items() if code != rows.codes[place])
                compare(place, like, 1.0, majority[component])
    for one, other, score in pairs:
        places = groups[one][0], groups[other][0]
        codes = rows.codes[list(places)]
        if UNREAD not in codes and codes[0] != codes[1]:
            compare(*places, score, majority[int(together[one])])
    return list(found.values())


def _majority(codes: Sequence[int]) -> int | None:
    """Return what more than half of the rows are labelled; None where no label is.

    >>> _majority([1, 1, 0]), _majority([1, 0])
    (1, None)
    """
    counts = Counter(codes).most_common(1)
    return counts[0][0] if counts and 2 * counts[0][1] > len(codes) else None
