"""Tables on the terminal: one row a line, whatever labels and texts hold."""

from submillion.cli import show


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
    assert len(one.split()[0]) == show.MOST_LETTERS


def test_several_labels_and_none(capsys):
    rows = [{"text": "a text", "labels": ["a\nb", "c"], "probabilities": {"a\nb": 0.9, "c": 0.8}}]
    show.answers([*rows, {"text": "", "labels": [], "probabilities": {"a\nb": 0.1, "c": 0.2}}])
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["a\\nb,", "c", "0.900,", "0.800", "a", "text"],
        ["-", "-"],
    ]
