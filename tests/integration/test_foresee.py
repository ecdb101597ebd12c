"""`evaluate` on rows without labels: what is foretold, from the run folder alone."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

import submillion
from conftest import learnable_rows, write_csv
from submillion.cli.main import main
from submillion.evaluation.unlike import Unlike
from submillion.run import RunFolder
from submillion.scoring import read_scores
from submillion.statistics import Interval
from submillion.temperature import fit_temperature


def rows_of(n, seed=0):
    """Return learnable rows without the number at their end, by which a row would be known again."""
    return [(text.rsplit(" ", 1)[0], label) for text, label in learnable_rows(n, seed=seed)]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_encoder):
    """A finished run that held back 150 rows for calibration and 150 for validation."""
    folder = tmp_path_factory.mktemp("foresee")
    submillion.train(
        rows_of(750),
        output=folder / "run",
        model=tiny_encoder("bert"),
        num_train_epochs=2,
        calibration_share=0.2,
        validation_share=0.2,
        quiet=True,
    )
    return folder / "run"


@pytest.fixture(scope="module")
def familiar(run):
    """New rows from the same source, and what is said of them without their labels."""
    rows = rows_of(300, seed=5)
    return rows, submillion.evaluate(run, [text for text, _ in rows], output=run.parent / "familiar")


def test_the_run_keeps_what_it_needs_and_no_text(run):
    assert sorted(path.name for path in (run / "reference").iterdir()) == [
        "calibration.safetensors",
        "train.safetensors",
        "validation.safetensors",
    ]


def test_the_temperature_is_fitted_on_the_calibration_rows(run):
    of_run = json.loads((run / "run.json").read_text())["temperatures"]["adapter"]
    kept = {split: read_scores(RunFolder(run).scores(split)) for split in ("calibration", "validation")}
    fitted = {split: fit_temperature(each.scores.logits, each.labels) for split, each in kept.items()}
    assert of_run == pytest.approx(fitted["calibration"])
    assert of_run != pytest.approx(fitted["validation"], rel=1e-3)


def test_predict_is_as_sure_as_evaluate_says(run, familiar):
    texts = [text for text, _ in familiar[0]]
    predictor = submillion.load(run)
    probabilities = predictor.predict_proba(texts)
    temperature = json.loads((run / "run.json").read_text())["temperatures"]["adapter"]
    assert temperature != pytest.approx(1, abs=1e-3)
    logits = predictor.scores(texts).logits
    np.testing.assert_allclose(probabilities, softmax(logits / temperature, axis=1), atol=1e-6)
    sure = pd.read_csv(run.parent / "familiar" / "rows.csv")["confidence"]
    np.testing.assert_allclose(probabilities.max(axis=1), sure, atol=1e-4)
    of_validation = json.loads((run / "run.json").read_text())["figures"]["validation"]
    assert of_validation["reliability"]["temperature"] == temperature
    alone = submillion.load(run / "adapter")
    expected = softmax(alone.scores(texts).logits / temperature, axis=1)
    np.testing.assert_allclose(alone.predict_proba(texts), expected, atol=1e-6)
    predictor.predict_file(texts, run.parent / "labels.csv")
    written = pd.read_csv(run.parent / "labels.csv")["probability"]
    np.testing.assert_allclose(written, probabilities.max(axis=1), atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_changed_by_hand_is_told_by_its_key(run, tmp_path, temperature):
    copied = shutil.copytree(run, tmp_path / "run")
    for path, keys in (
        ("run.json", ("temperatures", "adapter")),
        ("adapter/submillion.json", ("temperature",)),
    ):
        tree = json.loads((copied / path).read_text())
        place = tree
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = temperature
        (copied / path).write_text(json.dumps(tree))
        with pytest.raises(submillion.RunError, match=rf"{path} is damaged: {'.'.join(keys)}"):
            submillion.load(copied if len(keys) > 1 else copied / "adapter")


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ("calibration", "its temperature was fitted on them"),
        ("validation", "rows that it chose by are optimistic"),
    ],
)
def test_rows_that_the_run_held_back_are_told_of(run, tmp_path, split, told):
    numbers = read_scores(RunFolder(run).scores(split)).row_numbers
    rows = [rows_of(750)[number] for number in numbers]
    report = submillion.evaluate(run, rows, output=tmp_path / "out", quiet=True)
    assert report["split"] == split
    assert any(told in note for note in report["notes"])


def test_of_familiar_rows_the_estimate_holds_the_truth(run, familiar):
    rows, report = familiar
    truth = submillion.evaluate(run, rows, output=run.parent / "measured")["accuracy"]["value"]
    expected = report["estimated_accuracy"]
    assert expected["low"] <= truth <= expected["high"]
    assert report["ood_share"]["at_least"] == 0.0
    assert "accuracy" not in report


def test_rows_from_elsewhere_are_found_and_described(run):
    rows = [text for text, _ in rows_of(200, seed=6)] + ["ÄÖÜ 123 zzz qqq vvv"] * 100
    report = submillion.evaluate(run, rows, output=run.parent / "mixed")
    assert abs(report["ood_share"]["value"] - 1 / 3) < 0.1
    assert 0.1 < report["ood_share"]["at_least"] <= 1 / 3
    assert all(row["row"] >= 200 for row in report["most_unlike"])
    (group,) = report["groups"]
    assert {"zzz", "qqq"} <= set(group["unknown_words"])
    assert set("ÄÖÜ") <= set(group["characters"])
    scores = pd.read_csv(run.parent / "mixed" / "rows.csv")["unlike"]
    assert scores[200:].mean() > 0.8 > 0.2 > scores[:200].mean()


def test_rows_that_were_trained_on_are_not_unlike_training(tmp_path, tiny_encoder):
    rows = learnable_rows(240)  # a number at the end of each, a word that no other row has
    submillion.train(
        rows, output=tmp_path / "run", model=tiny_encoder("bert"), num_train_epochs=1, quiet=True
    )
    for data in (rows, [text for text, _ in rows]):
        report = submillion.evaluate(tmp_path / "run", data, output=tmp_path / "out", quiet=True)
        shutil.rmtree(tmp_path / "out")
        assert report["ood_share"]["at_least"] == 0
        assert report["ood_share"]["value"] < 0.1
        assert any(note.startswith("240 of 240 rows stand") for note in report["notes"])


@pytest.mark.parametrize(("low", "n_groups"), [(0.0, 0), (0.05, 1)])
def test_no_group_is_shown_where_there_may_be_no_unlike_row(run, tmp_path, monkeypatch, low, n_groups):
    def found(known, new, seed):
        scores = np.where(np.arange(len(new)) < 40, 0.9, 0.1)
        return Unlike(Interval(0.1, low, 0.2, "new rows", 0.95), low, scores, 0.6)

    monkeypatch.setattr("submillion.evaluation.unlabelled.find_unlike", found)
    rows = ["the same words for a goal"] * 40 + [text for text, _ in rows_of(110, seed=20)]
    report = submillion.evaluate(run, rows, output=tmp_path / "out", quiet=True)
    assert len(report["groups"]) == n_groups


def test_rows_are_named_by_their_place_in_the_data(run, tmp_path):
    rows = [("", "space")] * 3 + rows_of(150, seed=9) + [("ÄÖÜ 123 zzz qqq", "sport")] * 50
    report = submillion.evaluate(run, pd.DataFrame(rows, columns=["text", "label"]), output=tmp_path / "out")
    assert report["n"] == 200
    assert all(row["row"] >= 153 for row in report["most_unlike"])
    assert {row for group in report["groups"] for row in group["examples"]} <= set(range(153, 203))
    assert all(row >= 3 for pair in report["confusions"] for row in pair["rows"])
    assert pd.read_csv(tmp_path / "out" / "rows.csv")["row"].tolist() == list(range(4, 204))


def test_labels_are_not_read_when_told_so(run, tmp_path, capsys):
    rows = rows_of(150, seed=7)
    path = write_csv(tmp_path / "test.csv", [(text, "no such label") for text, _ in rows])
    main(["evaluate", str(run), "--data", path, "--unlabelled", "--output", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    assert "150 rows, without labels" in shown
    assert "accuracy to expect" in shown
    assert "unlike training" in shown


def test_labelled_rows_get_both(run, familiar, tmp_path, capsys):
    rows, _ = familiar
    frame = pd.DataFrame(rows, columns=["text", "label"]).assign(country=["x", "y"] * 150)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    arguments = ["--data", str(tmp_path / "rows.csv"), "--slices", "country", "--wanted-accuracy", "0.5"]
    main(["evaluate", str(run), *arguments, "--output", str(tmp_path / "out"), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["accuracy"]["value"] > 0
    assert report["estimated_accuracy"]["value"] is not None
    assert {found["column"] for found in report["slices"]["found"]} == {"country", "number of words"}
    assert report["selective"]["threshold"]["wanted"] == 0.5


def test_the_rows_that_are_read_are_not_written_over(run, tmp_path, monkeypatch):
    file = tmp_path / "rows.csv"  # what an evaluation calls its own list, too
    write_csv(file, rows_of(120, seed=7))
    before = file.read_bytes()
    monkeypatch.chdir(tmp_path)
    for data, output in (("rows.csv", "."), (file, tmp_path)):
        with pytest.raises(
            submillion.RunError, match=r"rows\.csv is a file that is read, and would be written over"
        ):
            submillion.evaluate(run, data, output=output, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert file.read_bytes() == before
    submillion.evaluate(run, "rows.csv", output="out", quiet=True)
    with pytest.raises(submillion.RunError, match=r"out/rows.csv is a file that is read"):
        submillion.evaluate(
            run, "out/rows.csv", output="out", text_columns=["predicted"], unlabelled=True, quiet=True
        )


def test_texts_are_left_out_of_the_page_when_asked(run, tmp_path):
    rows = ["<script>alert(1)</script> ÄÖÜ 123 zzz"] * 120
    submillion.evaluate(run, rows, output=tmp_path / "with")
    submillion.evaluate(run, rows, output=tmp_path / "without", has_texts=False)
    shown = (tmp_path / "with" / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script" not in shown
    assert "alert(1)" not in (tmp_path / "without" / "report.html").read_text(encoding="utf-8")


def test_a_run_that_held_nothing_back_or_is_older_foretells_nothing(run, tmp_path):
    rows = [text for text, _ in rows_of(120, seed=8)]
    older = shutil.copytree(run, tmp_path / "older")
    shutil.rmtree(older / "reference")
    report = submillion.evaluate(older, rows)
    assert report["ood_share"] is None
    assert report["ood_note"].startswith("the run was made by an earlier version")
    assert report["estimated_accuracy"]["value"] is None
    for split in ("calibration", "validation"):
        (older / f"{split}.parquet").unlink()
    assert (
        "0 labelled rows were held back" in submillion.evaluate(older, rows)["estimated_accuracy"]["refused"]
    )


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"against": "RUN"}, "against"),
        ({"slices": ["x"]}, "slices"),
        ({"wanted_accuracy": 0.9}, "wanted_accuracy"),
    ],
)
def test_what_needs_labels_is_refused_without(run, asked, named):
    asked = {key: str(run) if value == "RUN" else value for key, value in asked.items()}
    with pytest.raises(submillion.ConfigError, match=f"^{named} needs labels"):
        submillion.evaluate(run, ["a text", "another"], **asked)


def test_a_label_column_that_is_not_there_is_no_file_without_labels(run, tmp_path):
    (tmp_path / "new.csv").write_text("text,kind\na goal,sport\n")
    with pytest.raises(submillion.DataError, match="nope"):
        submillion.evaluate(run, str(tmp_path / "new.csv"), label_column="nope")
    notes = submillion.evaluate(run, str(tmp_path / "new.csv"))["notes"]
    assert (
        "new.csv is taken for rows without labels: if it has some, name their column by --label-column"
        in notes[0]
    )
    assert submillion.evaluate(run, str(tmp_path / "new.csv"), label_column="kind")["n"] == 1


def test_few_rows_are_told_apart_from_nothing(run):
    report = submillion.evaluate(run, ["a goal"] * 5)
    assert report["ood_note"] == "750 rows are remembered and 5 are new: at least 100 of each are needed"


def test_a_column_that_is_not_there_is_named(run, familiar):
    frame = pd.DataFrame(familiar[0], columns=["text", "label"])
    with pytest.raises(submillion.DataError, match="has no column 'country': it has 'text', 'label'"):
        submillion.evaluate(run, frame, slices=["country"])


def test_the_same_rows_are_foretold_the_same(run, familiar):
    rows, first = familiar
    again = submillion.evaluate(run, [text for text, _ in rows], output=run.parent / "again")
    assert again["estimated_accuracy"] == first["estimated_accuracy"]
    assert again["ood_share"] == first["ood_share"]
    assert np.isclose(sum(row["new"] for row in again["predicted_shares"]), 1)
