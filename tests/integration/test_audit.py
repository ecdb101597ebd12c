"""`submillion audit` on rows with planted errors."""

import json

import pandas as pd
import pytest

import submillion
from conftest import learnable_rows, write_csv
from submillion.cli.main import main

FORMULA = '=HYPERLINK("http://x.y")\x1b[0m <i>'
NASTY = "<script>alert(1)</script> \x1b[31mred"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Train rows with planted errors, test rows with labels that are no labels, and an audit of both without an encoder."""
    folder = tmp_path_factory.mktemp("audit")
    rows = learnable_rows(300)
    wrong = {"sport": "trade", "trade": "space", "space": "sport"}
    turned = list(range(0, 300, 20))
    for row in turned:
        rows[row] = rows[row][0], wrong[rows[row][1]]
    long = "the goal of the team after its match " * 4
    rows += [
        (long, "sport"),
        (long + "now", "sport"),
        (long, "trade"),
        ("--", FORMULA),
        (NASTY, "sport"),
        (NASTY, "trade"),
    ]
    test = [(rows[7][0], "no such label"), ("a rocket that nobody has seen", "nor this")]
    frame = pd.DataFrame(rows, columns=["text", "label"])
    frame.to_csv(folder / "train.csv", index=False)
    write_csv(folder / "test.csv", test)
    report = submillion.audit(
        folder / "train.csv",
        test=folder / "test.csv",
        output=folder / "out",
        without_encoder=True,
        quiet=True,
    )
    return folder, turned, report


def issues_of(folder):
    return pd.read_csv(folder / "out" / "issues.csv", keep_default_na=False)


def test_planted_errors_are_found(planted):
    folder, turned, report = planted
    issues = issues_of(folder)
    errors = issues[issues["issue"] == "label error"]
    assert len(set(errors["row"] - 1) & set(turned)) >= 12
    assert len(set(errors["row"] - 1) - set(turned)) <= 6
    assert errors["score"].is_monotonic_decreasing
    by_row = {
        (row, issue): (like, like_row)
        for row, issue, like, like_row in zip(
            issues["row"], issues["issue"], issues["like_split"], issues["like_row"], strict=True
        )
    }
    assert by_row[8, "duplicate across splits"] == ("test", "1")
    assert by_row[302, "near duplicate"] == ("train", "301")
    assert by_row[303, "duplicate"] == ("train", "301")
    assert (303, "label conflict") in by_row
    assert (304, "nearly empty") in by_row
    counts = {each["issue"]: each["n"] for each in report["issues"]}
    assert counts == issues["issue"].value_counts().reindex(counts, fill_value=0).to_dict()
    assert report["balance"][0]["by_split"].keys() == {"train"}
    assert any("fewer than 10 rows" in note for note in report["notes"])


def test_labels_of_the_test_split_are_not_read(planted):
    folder, _, report = planted
    everything = "".join(
        (folder / "out" / name).read_text() for name in ("issues.csv", "audit.html", "audit.json")
    )
    assert "no such label" not in everything
    assert [split["labels_read"] for split in report["splits"]] == [True, False]
    assert json.loads((folder / "out" / "audit.json").read_text()) == report


def test_nothing_runs_where_it_is_shown(planted):
    folder, _, _ = planted
    issues = issues_of(folder)
    assert '\'=HYPERLINK("http://x.y")\\u001b[0m <i>' in set(issues["label"])
    cells = {cell for column in issues.columns for cell in issues[column].astype(str)}
    assert not any(cell[:1] in "=+@" for cell in cells if cell)
    page = (folder / "out" / "audit.html").read_text()
    assert "<script>" not in page
    assert "[0m &lt;i&gt;" in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page + (folder / "out" / "issues.csv").read_text()


def test_the_encoder_counts_tokens_and_finds_errors(planted, tiny_encoder, tmp_path, capsys):
    folder, _, _ = planted
    files = [str(folder / "train.csv"), str(folder / "test.csv")]
    main(
        [
            "audit",
            *files,
            "--model",
            tiny_encoder("bert"),
            "--no-texts",
            "--output",
            str(tmp_path / "out"),
            "--json",
        ]
    )
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert [split["name"] for split in report["splits"]] == ["train", "test"]
    assert report["label_errors"]["by"].startswith("a linear probe on the frozen")
    assert report["lengths"]["limit"] == 66
    assert "embedding 306 rows" in shown.err
    csv = (tmp_path / "out" / "issues.csv").read_text()
    assert "rocket" not in csv + (tmp_path / "out" / "audit.html").read_text()


def test_what_is_shown_in_the_terminal_is_harmless(tmp_path, capsys):
    rows = [(f"text number {row} [red]", f"a\x1b[31m{row % 2}") for row in range(12)]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "rows.csv", index=False)
    main(["audit", str(tmp_path / "rows.csv"), "--without-encoder", "--output", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    assert "12 rows in 1 split" in shown
    assert "\x1b[31m" not in shown


def test_rows_without_labels_are_audited_for_the_rest(tmp_path):
    texts = ["the same text stands here twice"] * 2 + ["another one"]
    report = submillion.audit(texts, output=tmp_path / "out", without_encoder=True, quiet=True)
    assert {each["issue"]: each["n"] for each in report["issues"]}["duplicate"] == 1
    assert report["label_errors"] is None
    assert report["balance"] == []


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(submillion.ConfigError) as caught:
        submillion.audit([("a", "b")], output=tmp_path / "out")
    assert str(caught.value) == "audit needs cleanlab and rensa: pip install 'submillion[audit]'"


def test_labels_that_cannot_be_told_apart_are_not_called_errors(tmp_path):
    rows = [(f"the same few words {row // 2} here", "yes" if row % 2 else "no") for row in range(60)]
    report = submillion.audit(rows, output=tmp_path / "out", without_encoder=True, quiet=True)
    assert {each["issue"]: each["n"] for each in report["issues"]}["label error"] == 0
    assert report["label_errors"]["agrees"] <= 0.5
    (note,) = [note for note in report["notes"] if "chance" in note]
    assert note.startswith(
        "no label errors are listed: TF-IDF and a linear SVM cannot tell these labels apart (it finds "
    )
    assert note.endswith(" chance 50.0 %); try another encoder by --model.")


def test_rows_with_several_labels_are_audited_for_the_rest(tmp_path):
    rows = {"text": ["one text", "one text", "another text"], "labels": [["a", "b"], [], ["b"]]}
    report = submillion.audit(rows, output=tmp_path / "out", without_encoder=True, quiet=True)
    assert {each["issue"]: each["n"] for each in report["issues"]}["duplicate"] == 1
    assert report["label_errors"] is None
    assert report["notes"] == [
        "dict: rows may have several labels, which an audit does not look at; the rest is looked at."
    ]


def test_the_rows_that_are_read_are_not_written_over(tmp_path):
    file = tmp_path / "issues.csv"
    file.write_text("text,label\none,a\ntwo,b\n", encoding="utf-8")
    with pytest.raises(submillion.RunError) as caught:
        submillion.audit(str(file), output=tmp_path, without_encoder=True, quiet=True)
    assert str(caught.value) == (
        f"{file} is a file that is read, and would be written over: name another folder by --output"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["issues.csv"]
