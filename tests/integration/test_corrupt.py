"""`evaluate --corrupt` on a run."""

import json

import pytest

import submillion
from conftest import learnable_rows, write_csv
from submillion.cli.main import main


@pytest.fixture(scope="module")
def ground(tmp_path_factory, tiny_encoder):
    """A folder with a finished run and its test rows."""
    folder = tmp_path_factory.mktemp("corrupt")
    test = write_csv(folder / "test.csv", learnable_rows(45, seed=9))
    submillion.train(
        learnable_rows(90),
        output=folder / "run",
        test=test,
        model=tiny_encoder("bert"),
        num_train_epochs=1,
        quiet=True,
    )
    return folder


def test_worse_texts_are_measured_beside_the_rows_as_they_are(ground, capsys):
    main(
        [
            "evaluate",
            str(ground / "run"),
            "--data",
            str(ground / "test.csv"),
            "--corrupt",
            "--output",
            str(ground / "out"),
        ]
    )
    shown = capsys.readouterr()
    assert "corrupt: 40 cells of 45 rows and those as they are, 1,845 texts to score: about" in shown.err
    assert "homoglyphs" in shown.out
    report = json.loads((ground / "out" / "report.json").read_text())
    corrupt = report["corrupt"]
    assert corrupt["clean"]["adapter"]["value"] == report["accuracy"]["value"]
    (svm,) = (each for each in report["baselines"] if each["name"] == "tfidf_svm")
    assert corrupt["clean"]["tfidf_svm"]["value"] == svm["accuracy"]["value"]
    typed = corrupt["kinds"][0]["cells"][4]["accuracy"]["tfidf_svm"]
    assert typed["value"] < svm["accuracy"]["value"]
    assert [read["purpose"] for read in report["test_reads"]] == ["evaluate, with corrupted texts"]
    page = (ground / "out" / "report.html").read_text()
    assert page.count("<svg") > 8
    assert "How accuracy falls as texts get worse" in page


def test_it_is_refused_without_labels(ground, capsys):
    with pytest.raises(SystemExit):
        main(
            ["evaluate", str(ground / "run"), "--data", str(ground / "test.csv"), "--unlabelled", "--corrupt"]
        )
    assert capsys.readouterr().err == (
        f"error: corrupt needs labels, and {ground / 'test.csv'} is read without: name their column by --label-column, or "
        "leave it out\n"
    )
