"""An evaluation as one page to look at, made from the report that `submillion evaluate` prints."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from markupsafe import Markup

from submillion.alternatives import TOGETHER
from submillion.evaluation import charts
from submillion.multi_label import MULTI_LABEL
from submillion.page.render import write_page

MOST_LABELS = 20
"""Up to so many labels are all shown; of more, those that matter most, and no confusion matrix."""

MOST_SLICES = 30

MOST_LETTERS = 300
"""A text is cut after so many."""

_NO_BREAK = "\N{NO-BREAK SPACE}"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def write_report(path: Path, report: Mapping[str, Any], texts: Mapping[int, str] | None = None) -> Path:
    """Write `report.html`: one file, without scripts, that loads nothing.

    Args:
        path: The file to write.
        report: What `evaluate --json` prints, of labelled rows or of others; what it lacks is not shown.
        texts: Row, counted from 0 -> its text, shown beside the row's number; None shows no text.

    Raises:
        RunError: If the file cannot be written.
    """
    found = _Evaluation(report, texts or {})
    if report.get("problem_type") == MULTI_LABEL:
        return write_page(
            path, "evaluation/multi_label.html.j2", report=report, title=found.title, notes=found.notes
        )
    return write_page(path, "evaluation/report.html.j2", found=found)


@dataclass(frozen=True)
class _Tile:
    """One question of the first screen: the figure that answers it, where there is one, and what to know of it."""

    question: str
    figure: str
    sentences: Sequence[str]


@dataclass(frozen=True)
class _Line:
    """A row that is shown: its number counted from 1, and its text, where texts are shown."""

    number: int
    text: str | None


@dataclass(frozen=True)
class _Evaluation:
    """What the page shows of a report; the template asks for it by name."""

    report: Mapping[str, Any]
    texts: Mapping[int, str]

    def get(self, key: str) -> Any:
        """Return what the report says under a key; None where it says nothing."""
        return self.report.get(key)

    @property
    def is_labelled(self) -> bool:
        """Whether accuracy was measured."""
        return self.get("accuracy") is not None

    @property
    def title(self) -> str:
        """What was evaluated, by its last names."""
        names = [Path(str(self.get(key))).name for key in ("run", "data") if self.get(key)]
        return " on ".join(names)

    @property
    def estimate(self) -> Mapping[str, Any] | None:
        """The accuracy to expect, where one is given."""
        estimate = self.get("estimated_accuracy")
        return estimate if estimate and estimate["value"] is not None else None

    @property
    def refused(self) -> str | None:
        """Why no accuracy is to be expected; None where one is, or none was asked for."""
        estimate = self.get("estimated_accuracy")
        return None if estimate is None or self.estimate else estimate.get("refused") or "no reason given"

    @property
    def notes(self) -> list[str]:
        """What is to be known besides, as sentences; one that begins with the file's name leaves that as it is."""
        source = str(self.get("data"))
        return [
            f"{note.rstrip('.')}." if note.startswith(source) else _sentence(note)
            for note in self.get("notes") or ()
        ]

    @property
    def worst(self) -> float | None:
        """The accuracy where no unlike row is labelled rightly; None where there may be no such row, or nothing is known."""
        is_any = (self.get("ood_share") or {}).get("at_least", 0) > 0
        return (self.get("estimated_accuracy") or {}).get("if_unlike_are_wrong") if is_any else None

    @property
    def tiles(self) -> list[_Tile]:
        """The first screen: how good, how sure, what to fear."""
        return [
            _Tile("How good", *self._how_good()),
            _Tile("How sure", *self._how_sure()),
            _Tile("What to fear", *self._what_to_fear()),
        ]

    def _how_good(self) -> tuple[str, list[str]]:
        if self.is_labelled:
            said = [f"of {self.report['n']:,} rows are labelled rightly."]
            accuracy = {each["name"]: each["accuracy"]["value"] for each in self.get("baselines") or ()}
            together = accuracy.pop(TOGETHER, None)
            if accuracy:
                best = max(accuracy, key=accuracy.__getitem__)
                said.append(f"The best baseline, {best}: {_share(accuracy[best])}.")
            if together is not None:
                said.append(
                    f"The adapter and TF-IDF together, by which `predict` answers: {_share(together)}."
                )
            return _share(self.report["accuracy"]["value"]), said
        if self.estimate:
            said = [
                "of the rows are to be expected to be labelled rightly: an estimate, for no label was read."
            ]
            return f"about {_share(self.estimate['value'])}", said
        return "no estimate", [_sentence(self.refused or "nothing is said of the accuracy")]

    def _how_sure(self) -> tuple[str, list[str]]:
        if self.is_labelled:
            return _ends(self.report["accuracy"]), [
                f"is the {_level(self.report['accuracy'])} interval, measured on {self.report['n']:,} rows.",
                f"It covers {self.report['accuracy']['covers']}.",
            ]
        rows = f"{self.report['n']:,} rows, none with a label that was read"
        if self.estimate:
            return _ends(self.estimate), [
                f"is the {_level(self.estimate)} interval, from {rows}.",
                f"It assumes that {self.estimate['assumption']}.",
            ]
        return "unknown", [f"{rows}.", "Label some of them, and evaluate again."]

    def _what_to_fear(self) -> tuple[str, list[str]]:
        figure, said = "", list[str]()
        if share := self.get("ood_share"):
            figure, told = _tell_unlike(share)
            said.append(told)
            if self.worst is not None and not self.is_labelled:
                said.append(f"Were all of those labelled wrongly, {_share(self.worst)} would be right.")
        elif note := self.get("ood_note"):
            said.append(f"What share of the rows is unlike training is not known: {note}.")
        if self.is_labelled and self.estimate:
            said.append(self._held())
        if slices := self.get("slices"):
            worst = _worst_slice(slices["found"])
            if worst is None:
                said.append(f"Of {len(slices['found'])} slices none is worse by more than chance.")
            else:
                share, told = _share(worst["accuracy"]["value"]), _told_slice(worst)
                said.append(f"{share} {told}" if figure else told)
                figure = figure or share
        if advice := self.get("advice"):
            said.append(advice)
        return figure, said or ["Nothing that these rows show."]

    def _held(self) -> str:
        """Return whether the accuracy to expect without labels is what was measured."""
        measured, expected = self.report["accuracy"]["value"], self.report["estimated_accuracy"]
        told = f"Without labels {_share(expected['value'])} ({_ends(expected)}) were to be expected"
        if measured < expected["low"]:
            return f"{told}: more than was measured."
        return f"{told}: less than was measured." if measured > expected["high"] else f"{told}, as measured."

    def line(self, row: int) -> _Line:
        """Return what is shown of a row, counted from 0."""
        text = self.texts.get(row)
        return _Line(row + 1, None if text is None else _cut(text))

    @property
    def classes(self) -> list[Mapping[str, Any]]:
        """The labels' figures; of many labels those of the lowest F1 among those with rows."""
        classes = list(self.report["per_class"])
        if len(classes) <= MOST_LABELS:
            return classes
        return sorted(classes, key=lambda each: (not each["support"], each["f1"]))[:MOST_LABELS]

    @property
    def matrix(self) -> list[tuple[str, list[tuple[int, float]]]] | None:
        """Each label with its counts and how strongly each is coloured, 0 to 1; None of many labels."""
        confusion = self.get("confusion")
        if not confusion or len(confusion["label_names"]) > MOST_LABELS:
            return None
        # On a square-root scale, as in `confusion.png`: one row of a hundred still shows.
        return [
            (name, [(count, sqrt(count / max(sum(counts), 1))) for count in counts])
            for name, counts in zip(confusion["label_names"], confusion["matrix"], strict=True)
        ]

    @property
    def sides(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The adapter's reliability as the logits give it, and at the run's temperature where there is one."""
        both = self.report["reliability"]
        if both["after"] is None:
            return [("as the adapter gives them", both["before"])]
        at = f"at the run's temperature of {both['temperature']:.3g}"
        return [("without a temperature", both["before"]), (at, both["after"])]

    @property
    def reliability(self) -> Markup:
        """The reliability diagram."""
        both = self.report["reliability"]
        after = None if both["after"] is None else both["after"]["bins"]
        return Markup(charts.plot_reliability(both["before"]["bins"], after))

    @property
    def coverage(self) -> Markup:
        """Accuracy against coverage."""
        selective = self.report["selective"]
        threshold = selective["threshold"]
        kept = None
        if threshold and threshold["threshold"] is not None:
            kept = threshold["coverage"], threshold["accuracy"]
        return Markup(charts.plot_coverage(selective["curve"], kept))

    @property
    def corruptions(self) -> list[tuple[Mapping[str, Any], Markup]]:
        """Each kind of noise with its chart."""
        corrupt = self.report["corrupt"]
        curves = {
            kind["name"]: {
                name: [clean, *(cell["accuracy"][name] for cell in kind["cells"])]
                for name, clean in corrupt["clean"].items()
            }
            for kind in corrupt["kinds"]
        }
        figures = [each for of_kind in curves.values() for curve in of_kind.values() for each in curve]
        ends = min(each["low"] for each in figures), max(each["high"] for each in figures)
        return [
            (kind, Markup(charts.plot_corruption(kind["name"], curves[kind["name"]], ends)))
            for kind in corrupt["kinds"]
        ]

    @property
    def shares(self) -> list[Mapping[str, Any]]:
        """How often each label is predicted; of many labels those whose share changed most."""
        shares = list(self.report["predicted_shares"])
        if len(shares) <= MOST_LABELS:
            return shares
        return sorted(shares, key=lambda each: -abs(each["new"] - each["training"]))[:MOST_LABELS]

    @property
    def largest_share(self) -> float:
        """The share at which a bar is full."""
        return max((max(each["new"], each["training"]) for each in self.shares), default=0.0) or 1.0

    @property
    def slices(self) -> list[Mapping[str, Any]]:
        """The slices to show, the worst first."""
        return list(self.report["slices"]["found"][:MOST_SLICES])


def _worst_slice(slices: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the worst slice of those that are worse than the other rows by more than chance; None where none is."""
    worse = (
        each for each in slices if each["differs"] and each["accuracy"]["value"] < each["accuracy_of_rest"]
    )
    return min(worse, key=lambda each: each["accuracy"]["value"], default=None)


def _told_slice(found: Mapping[str, Any]) -> str:
    """Return what stands behind the accuracy of a slice."""
    return (
        f"of the {found['n']:,} rows whose {found['column']} is {found['value']} are labelled rightly, "
        f"{_share(found['accuracy_of_rest'])} of the others."
    )


def _share(value: float) -> str:
    r"""Return a share in percent, never broken before its sign.

    >>> _share(0.1234)
    '12.3\xa0%'
    """
    return f"{100 * value:.1f}{_NO_BREAK}%"


def _ends(figure: Mapping[str, float]) -> str:
    r"""Return the ends of an interval, in percent.

    >>> _ends({"low": 0.931, "high": 0.951})
    '93.1 to 95.1\xa0%'
    """
    return f"{100 * figure['low']:.1f} to {_share(figure['high'])}"


def _tell_unlike(share: Mapping[str, float]) -> tuple[str, str]:
    r"""Return the figure of the rows unlike training, and its sentence; an interval where the surer bound allows none.

    >>> _tell_unlike({"value": 0.03, "low": 0.01, "high": 0.06, "level": 0.95, "at_least": 0.0})[0]
    '1.0 to 6.0\xa0%'
    """
    value, ends = _share(share["value"]), _ends(share)
    if share["at_least"] > 0:
        at_least = f"at least {_share(share['at_least'])}, whatever they are"
        return value, f"of the rows are unlike training ({ends}; {at_least})."
    bound = "the bound that holds whatever they are allows none"
    return ends, f"of the rows are unlike training (the {_level(share)} interval; estimate {value}); {bound}."


def _level(figure: Mapping[str, float]) -> str:
    """Return the level of an interval, in percent."""
    return f"{100 * figure['level']:g}{_NO_BREAK}%"


def _sentence(words: str) -> str:
    """Return words as a sentence.

    >>> _sentence("too few rows")
    'Too few rows.'
    """
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _cut(text: str) -> str:
    r"""Return a text on one line, without control characters, cut after `MOST_LETTERS`.

    >>> _cut("one\n\0two"), len(_cut("long " * 100))
    ('one two', 300)
    """
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if len(line) <= MOST_LETTERS else f"{line[: MOST_LETTERS - 1].rstrip()}…"
