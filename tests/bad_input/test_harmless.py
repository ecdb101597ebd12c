"""Texts, labels and names that would steer a terminal, run a script or climb out of a folder are data, nothing more."""

import shutil

from made import OLD

from submillion.cli.main import main

LABELS = ("../../../climbs", "\x1b[2J\x1b]0;title\x07", "<script>alert(1)</script>", "\u202eback\x9b31m")


def test_hostile_labels_and_texts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OLD / "encoder", tmp_path / "deep" / "encoder")
    rows = [f'"goal {LABELS[i % 4]} match {i}","{LABELS[i % 4]}"' for i in range(80)]
    (tmp_path / "deep" / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "deep")
    short = ["--num-train-epochs", "1", "--max-length", "16", "--min-rows-to-split", "20"]
    main(["train", "--train", "rows.csv", "--model", "encoder", "--output", "run", *short])
    main(["evaluate", "run", "--data", "rows.csv"])
    main(["evaluate", "run", "--data", "rows.csv", "--json"])
    main(["predict", "run", "--text", "goal \x1b[31mred\x9b31m", "--text", "<script>"])
    said = capsys.readouterr()
    assert "\\u001b[2J" in said.out
    for steering in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert steering not in said.out + said.err
    report = (tmp_path / "deep" / "run" / "evaluation" / "rows" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in report
    assert "&lt;script&gt;" in report
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["encoder", "rows.csv", "run"]
