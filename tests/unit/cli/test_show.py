"""Tables on the terminal: one row a line, whatever labels and texts hold."""

from submillion.cli import show
from submillion.cli.show.measured import print_measured
from submillion.cli.show.tables import new_console
from submillion.shortened import MOST_LETTERS


def answer(label: str, text: str) -> dict:
    return {"text": text, "label": label, "probabilities": {label: 0.5}}


def test_a_label_and_a_text_stand_on_one_line(capsys):
    show.answers([answer("two\nlines\t\x1b[2J[red]", "a text\nof two")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["label", "probability", "text"],
        ["two\\nlines\\t\\u001b[2J[red]", "0.500", "a", "text\\nof", "two"],
    ]


def test_a_long_label_is_shown_by_its_ends(capsys):
    show.answers([answer(f"first{'x' * 500}{end}", "a text") for end in ("one", "two")])
    _, one, two = capsys.readouterr().out.splitlines()
    assert one.startswith("firstxxx")
    assert one.split()[0].endswith("xxxone")
    assert two.split()[0].endswith("xxxtwo")
    assert len(one.split()[0]) == MOST_LETTERS


def test_several_labels_and_none(capsys):
    rows = [{"text": "a text", "labels": ["a\nb", "c"], "probabilities": {"a\nb": 0.9, "c": 0.8}}]
    show.answers([*rows, {"text": "", "labels": [], "probabilities": {"a\nb": 0.1, "c": 0.2}}])
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["a\\nb,", "c", "0.900,", "0.800", "a", "text"],
        ["-", "-"],
    ]


def test_of_many_labels_those_that_are_found_worst_are_shown(capsys):
    def figure(value):
        return {"value": value, "low": value, "high": value, "covers": "rows", "level": 0.95}

    labels = [
        {"label": f"label {n}", "precision": 0.5, "recall": 0.5, "f1": n / 200, "support": 3}
        for n in range(200)
    ]
    figures = {
        **{key: figure(0.5) for key in ("accuracy", "macro_f1")},
        **{"data": "rows.csv", "n": 600, "baselines": [], "test_reads": None, "per_class": labels[::-1]},
    }
    print_measured(new_console(), figures)
    lines = capsys.readouterr().out.splitlines()
    assert "by label, %, the 60 of 200 with the lowest F1" in lines
    assert [line.split()[1] for line in lines if line.startswith("label ")][1:] == list(map(str, range(60)))
    print_measured(new_console(), figures | {"per_class": labels[:60]})
    assert "by label, %" in capsys.readouterr().out.splitlines()
