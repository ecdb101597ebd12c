"""An evaluation's report: self-contained, escaped, and showing what was said, no more."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from submillion.evaluation.labelled import evaluate_labelled
from submillion.evaluation.report import write_report

LABELS = ("<b>sport</b>", "trade & co", "space", "$5 to $10")
TEXTS = {row: f"text <script>alert({row})</script> & 'more' of {row}" for row in range(600)}
OF_LABELLED = {"good", "sure", "fear", "figures", "baselines", "classes", "confusion", "reliability", "selective", "about"}  # fmt: skip
OF_UNLABELLED = {"good", "sure", "fear", "expected", "unlike", "shares", "agreement", "about"}


class Page(HTMLParser):
    """What a browser would make of the page: its tags, its attributes, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.source = text
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " " if tag in ("p", "li", "td", "th", "dt", "dd", "ul") else ""
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def sections(self) -> set[str]:
        return {each for each in self.ids if not re.match(r"[a-z][0-9a-f]{8,}|.*_", each)}


def labelled(n: int = 600, names: tuple[str, ...] = LABELS, **changes: Any) -> dict[str, Any]:
    """Return a report of simulated rows, as `evaluate` prints it."""
    rng = np.random.default_rng(0)
    labels = rng.integers(len(names), size=n)
    sources = np.where(rng.random(n) < 0.3, "<i>mail</i>", "web")
    logits = 3 * rng.normal(size=(n, len(names)))
    logits[np.arange(n), labels] += np.where(sources == "web", 6, 1)
    made = evaluate_labelled(
        labels,
        logits,
        names,
        {"majority": np.zeros(n), "tfidf_svm": np.where(rng.random(n) < 0.7, labels, 0)},
        **{"temperature": 1.7, "columns": {"source": sources}, "wanted_accuracy": 0.75} | changes,
    )
    head = {"run": "runs/news", "data": "<img src=x>.csv", "split": "test", "ordered_sha256": "ab12"}
    reads = [{"when": "2026-11-25T10:00:00+00:00", "purpose": "evaluate", "n": n}]
    report = head | {"test_reads": reads} | made.to_json()
    report["notes"] = ["<u>noted</u>"]
    return as_kept(report)


def unlabelled(**changes: Any) -> dict[str, Any]:
    """Return a report of rows without labels."""
    share = {"value": 0.31, "low": 0.27, "high": 0.35, "level": 0.95, "covers": "new rows", "at_least": 0.22, "separation": 0.81}  # fmt: skip
    estimate = {"value": 0.871, "low": 0.82, "high": 0.91}
    report = {
        "run": "runs/news",
        "data": "new.csv",
        "n": 600,
        "estimated_accuracy": estimate | {
            "level": 0.9, "assumption": "labels mean what they mean in training", "method": "average confidence",
            "refused": None, "if_unlike_are_wrong": 0.652,
        },
        "ood_share": share,
        "ood_note": None,
        "parts": [
            {"name": "familiar", "share": 0.69, "estimated_accuracy": {"value": 0.945, "low": 0.92, "high": 0.96}},
            {"name": "unlike", "share": 0.31, "estimated_accuracy": None},
        ],
        "predicted_shares": [
            {"label": name, "new": new, "training": old}
            for name, new, old in zip(LABELS, (0.7, 0.2, 0.1, 0.0), (0.4, 0.3, 0.2, 0.1), strict=True)
        ],
        "agreement": [{"with": "tfidf_svm", "here": 0.8, "on_known": 0.9}, {"with": "probe_mean", "here": 0.7, "on_known": None}],
        "most_unlike": [{"row": 7, "score": 0.98, "predicted": LABELS[0], "confidence": 0.61}],
        "groups": [{
            "n": 44, "share": 0.073, "words": ["hund", "<b>läuft</b>"], "unknown_words": ["hund"], "characters": "äß<",
            "striking": {"unknown words": {"here": 0.7, "in_training": 0.02}}, "examples": [7, 41, 9999],
            "predicted": [{"label": LABELS[1], "n": 40}],
        }],
        "notes": [],
    }  # fmt: skip
    return as_kept(report | changes)


def as_kept(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report as it is read from `report.json`."""
    return json.loads(json.dumps(report))


@pytest.fixture
def page(tmp_path):
    """Return a function that writes a report, checks what holds for all of them, and returns the page."""

    def make(report: dict[str, Any], texts: dict[int, str] | None = None) -> Page:
        path = tmp_path / "evaluation" / "report.html"
        assert write_report(path, report, texts) == path
        found = Page(path.read_text(encoding="utf-8"))
        assert [each.name for each in path.parent.iterdir()] == ["report.html"]
        assert len(found.ids) == len(set(found.ids))
        assert not {"script", "link", "img", "iframe", "object", "image", "i", "u"} & set(found.tags)
        for name, value in found.attributes:
            assert name.startswith("xmlns") or name == "content" or "//" not in (value or ""), (name, value)
            assert not name.startswith("on")
        resources = re.sub(r'xmlns[:a-z]*="[^"]*"', "", found.source)
        assert not re.search(r"https?:|url\((?!#)|@import|<script", resources)
        assert not re.search(r"#0101[0-9a-f]{2}", found.source)  # every colour has become the page's own
        return found

    return make


def test_a_labelled_report(page):
    report = labelled()
    found = page(report, TEXTS)
    assert found.sections == OF_LABELLED | {"slices"}
    accuracy = report["accuracy"]
    for words in (
        f"How good {100 * accuracy['value']:.1f} % of 600 rows are labelled rightly.",
        f"How sure {100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f} % is the 95 % interval, measured on 600 rows.",
        "It covers rows drawn anew from the same source", "The best baseline, tfidf_svm:", "rows whose source is <i>mail</i> are labelled rightly,",
        "temperature of 1.7", "more than chance", "With a confidence above", "with 95 % confidence over the draw",
        "The labels of the test split were read 1 time:", "<u>noted</u>.", "news on <img src=x>.csv", "<b>sport</b>", "$5 to $10",
    ):  # fmt: skip
        assert words in found.text, words
    assert found.tags.count("svg") == 2 + len(LABELS)
    pair = report["confusions"][0]
    assert f"row {pair['rows'][0] + 1} {TEXTS[pair['rows'][0]]}" in found.text


def test_an_unlabelled_report(page):
    found = page(unlabelled(), TEXTS)
    assert found.sections == OF_UNLABELLED
    for words in (
        "How good about 87.1 % of the rows are to be expected to be labelled rightly",
        "How sure 82.0 to 91.0 % is the 90 % interval, from 600 rows, none with a label that was read.",
        "It assumes that labels mean what they mean in training.",
        "What to fear 31.0 % of the rows are unlike training (27.0 to 35.0 %; at least 22.0 %, whatever they are).",
        "Were all of those labelled wrongly, 65.2 % would be right.", "like training 69.0 94.5 (92.0 to 96.0)", "unlike training 31.0 -",
        "<b>sport</b> 70.0 40.0 +30.0", "tfidf_svm 80.0 90.0", "probe_mean 70.0 -", "Group 1: 44 rows, 7.3 % of all", "hund, <b>läuft</b>",
        "ä ß <", "unknown words 0.7, in training 0.02", "trade & co (40)", f"row 8 {TEXTS[7]}", "row 10,000",
    ):  # fmt: skip
        assert words in found.text, words
    assert "<strong>hund</strong>" in found.source


def test_rows_that_may_all_be_like_training_show_no_large_share(page):
    share = unlabelled()["ood_share"] | {"value": 0.03, "low": 0.01, "high": 0.06, "at_least": 0.0}
    found = page(unlabelled(ood_share=share))
    assert (
        "What to fear 1.0 to 6.0 % of the rows are unlike training (the 95 % interval; estimate 3.0 %); the bound that holds "
        "whatever they are allows none." in found.text
    )
    assert "Were all of those" not in found.text
    assert "Were no unlike row" not in found.text


def test_notes_are_sentences_and_file_names_stand(page):
    report = unlabelled(
        data="rows.csv", notes=["rows.csv: 2 rows with an empty text kept.", "no label was read"]
    )
    found = page(report)
    assert "rows.csv: 2 rows with an empty text kept. No label was read." in found.text
    assert ".." not in found.text


def test_both_say_whether_what_was_expected_was_measured(page):
    report = labelled()
    both = unlabelled() | report
    measured = report["accuracy"]["value"]
    for low, high, told in (
        (measured - 0.05, measured + 0.05, "were to be expected, as measured."),
        (measured + 0.01, measured + 0.05, "were to be expected: more than was measured."),
        (measured - 0.05, measured - 0.01, "were to be expected: less than was measured."),
    ):
        estimate = unlabelled()["estimated_accuracy"] | {"value": (low + high) / 2, "low": low, "high": high}
        found = page(both | {"estimated_accuracy": estimate})
        assert told in found.text
        assert "all, measured" in found.text
        assert found.sections == OF_LABELLED | OF_UNLABELLED | {"slices"}


def test_without_texts_rows_have_numbers_alone(page):
    for report in (labelled(), unlabelled()):
        with_texts, without = page(report, TEXTS), page(report)
        assert "alert(" in with_texts.text
        assert "alert(" not in without.source
        for row in (report.get("confusions") or [{"rows": [7, 41]}])[0]["rows"]:
            assert re.search(rf"\b{row + 1}\b", without.text)
        assert "<q" not in without.source


def test_long_texts_are_cut_and_odd_ones_do_not_stop_it(page):
    found = page(unlabelled(), {7: "long " * 200, 41: "half a pair \ud800, a\x00zero and\n\na line"})
    assert f"row 8 {('long ' * 60)[:299]}… " in found.text
    assert "half a pair ?, a zero and a line" in found.text


def test_a_refused_estimate_says_why(page):
    why = "40 labelled rows were held back: at least 100 are needed"
    none = {"value": None, "low": None, "high": None, "refused": why, "assumption": "as ever"}
    report = unlabelled(estimated_accuracy=none, parts=[], ood_share=None, ood_note="the run remembers no rows", groups=[], most_unlike=[])  # fmt: skip
    found = page(report)
    for words in (
        f"How good no estimate {why}.", "How sure unknown 600 rows", "No estimate is given: 40 labelled rows",
        "What share of the rows is unlike training is not known: the run remembers no rows.",
    ):  # fmt: skip
        assert words in found.text, words
    assert found.sections == OF_UNLABELLED


def test_what_is_not_there_is_not_shown(page):
    assert page({"n": 3, "run": "a", "data": "b"}).sections == {"good", "sure", "fear", "about"}
    plain = labelled(temperature=None, columns=None, wanted_accuracy=None)
    found = page(plain | {"baselines": [], "test_reads": None})
    assert found.sections == OF_LABELLED - {"baselines"}
    assert "temperature" not in found.text
    assert "test split" not in found.text
    keys = [key for key in unlabelled() if key not in ("run", "data", "n")]
    assert page({"n": 3} | dict.fromkeys(keys)).sections == {"good", "sure", "fear", "about"}
    for section, keys in (("expected", ["estimated_accuracy"]), ("shares", ["predicted_shares"]), ("agreement", ["agreement"]),
                          ("unlike", ["ood_share", "ood_note", "most_unlike", "groups"])):  # fmt: skip
        assert page(unlabelled() | dict.fromkeys(keys)).sections == OF_UNLABELLED - {section}


def test_a_threshold_that_is_not_shown_says_why(page):
    assert (
        "No confidence is given from which 99.9 % are right: 600 rows"
        in page(labelled(wanted_accuracy=0.999)).text
    )


def test_many_labels(page):
    report = labelled(names=tuple(f"label {number}" for number in range(50)))
    report["predicted_shares"] = [{"label": f"l{n}", "new": 0.02, "training": 0.02} for n in range(50)]
    found = page(report)
    assert "matrix" not in dict(found.attributes).values()
    assert "The 20 of 50 labels with the lowest F1" in found.text
    assert "The 20 of 50 labels that changed most." in found.text
    assert len(found.source) < 300_000


def test_another_run(page):
    found = page(labelled() | {"against": {"run": "runs/<other>", "verdict": {"sentence": "Equivalent."}}})
    assert "Against runs/<other> Equivalent." in found.text


def test_one_row(page):
    assert "100.0 %" in page(labelled(1)).text or "0.0 %" in page(labelled(1)).text


def test_the_same_report_gives_the_same_page(page):
    assert page(labelled(), TEXTS).source == page(labelled(), TEXTS).source


def test_long_labels_and_those_of_two_lines_leave_the_page_readable(page):
    names = ("two\nlines", "x" * 500, "sport")
    found = page(as_kept(labelled(names=names)))
    assert "two\\nlines" in found.source
    assert found.source.count("x" * 500) == 2  # what the pointer tells of a column and of a row of the matrix
    assert "x" * 100 not in found.text
