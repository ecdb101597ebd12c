"""Several labels a row, from planted rows to figures, predictions and a stock reload."""

import csv
import json
import random
import re

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from transformers.loss.loss_utils import ForSequenceClassificationLoss

import submillion
from conftest import FILLER, WORDS, sha256s
from submillion.cli.main import main
from submillion.run import RunFolder
from submillion.scoring import MultiLabelScores, read_scores
from submillion.training import callbacks
from submillion.training.multi_label import MultiLabelLoss

NAMES = list(WORDS)


def planted(n: int, seed: int = 0) -> list[tuple[str, list[str]]]:
    """Return `n` rows whose words tell their labels: none, one or several of three."""
    draw = random.Random(seed)
    rows = []
    for index in range(n):
        labels = [name for name in NAMES if draw.random() < 0.45]
        words = [word for name in labels for word in draw.sample(WORDS[name].split(), 2)]
        words += draw.choices(FILLER.split(), k=draw.randint(3, 8))
        draw.shuffle(words)
        rows.append((" ".join(words) + f" {seed} {index}", labels))
    return rows


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps({"text": t, "labels": ls}) + "\n" for t, ls in rows), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def trained(tiny_encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("multi-label")
    train, test = (
        write_jsonl(folder / "train.jsonl", planted(600)),
        write_jsonl(folder / "test.jsonl", planted(200, 1)),
    )
    main(
        [
            "train",
            "--model",
            tiny_encoder(),
            "--train",
            train,
            "--test",
            test,
            "--output",
            str(folder / "run"),
            "--num-train-epochs",
            "3",
            "--learning-rate",
            "0.003",
            "--rank",
            "4",
        ]
    )
    return folder


def test_the_run_says_what_it_is(trained):
    record = RunFolder(trained / "run").read_finished()
    assert record["recipe"]["data"]["problem_type"] == "multi_label_classification"
    assert record["recipe"]["training"]["metric_for_best_model"] == "micro_f1"
    assert set(record["thresholds"]) == {"adapter", "majority", "tfidf_svm", "probe_mean", "probe_first"}
    assert record["data"]["label_names"] == sorted(NAMES)
    assert "calibration" not in record["data"]["splits"]
    assert record["temperatures"] == {}
    assert record["figures"]["validation"]["micro_f1"]["value"] > 0.85
    shown = [each["name"] for each in record["figures"]["validation"]["baselines"]]
    assert shown == ["majority", "tfidf_svm", "probe_mean", "probe_first"]  # as `evaluate` has them
    assert any("rows without any" in note for note in record["data"]["notes"])


def test_evaluation_is_scikit_learns(trained, capsys):
    main(["evaluate", str(trained / "run"), "--data", str(trained / "test.jsonl")])
    shown = capsys.readouterr().out
    assert "micro F1" in shown
    assert "exact match" in shown
    assert "left out" in shown
    report = json.loads((trained / "run" / "evaluation" / "test" / "report.json").read_text())
    rows = read_scores(trained / "run" / "evaluation" / "test" / "predictions.parquet")
    assert isinstance(rows.scores, MultiLabelScores)
    y, given = rows.labels, rows.scores.predictions
    expected = np.array([[name in labels for name in sorted(NAMES)] for _, labels in planted(200, 1)])
    assert (y == expected).all()
    for key, value in {
        "micro_f1": f1_score(y, given, average="micro"),
        "macro_f1": f1_score(y, given, average="macro"),
        "accuracy": accuracy_score(y, given),
    }.items():
        assert report[key]["value"] == pytest.approx(value, abs=1e-6)
        assert report[key]["low"] < value <= report[key]["high"]
    figures = precision_recall_fscore_support(y, given, average=None)
    for row, *each in zip(report["per_class"], *figures, strict=True):
        assert [row[key]["value"] for key in ("precision", "recall", "f1")] == pytest.approx(each[:3])
        assert row["support"] == each[3]
    for each in report["baselines"]:
        theirs = rows.baseline_predictions[each["name"]]
        assert each["micro_f1"]["value"] == pytest.approx(f1_score(y, theirs, average="micro"), abs=1e-6)
    assert report["split"] == "test"
    assert len(report["test_reads"]) >= 1
    page = (trained / "run" / "evaluation" / "test" / "report.html").read_text()
    assert "exact match" in page.lower()
    assert "is left out" in page


def test_predictions_are_lists_joined_in_csv(trained):
    rows = planted(30, 2)
    source = write_jsonl(trained / "new.jsonl", rows)
    for form in ("csv", "jsonl"):
        main(["predict", str(trained / "run"), "--input", source, "--output", str(trained / f"out.{form}")])
    lines = [json.loads(line) for line in (trained / "out.jsonl").read_text().splitlines()]
    with (trained / "out.csv").open() as file:
        table = list(csv.DictReader(file))
    threshold = RunFolder(trained / "run").read()["thresholds"]["adapter"]
    for line, row in zip(lines, table, strict=True):
        assert row["labels"] == "|".join(line["labels"])
        assert line["labels"] == [name for name in sorted(NAMES) if line[f"probability_{name}"] >= threshold]
    assert submillion.predict(trained / "run", [text for text, _ in rows]) == [
        line["labels"] for line in lines
    ]
    svm = submillion.load(trained / "run", using="tfidf_svm").predict([text for text, _ in rows])
    assert np.mean([sorted(a) == sorted(b) for a, (_, b) in zip(svm, rows, strict=True)]) > 0.8
    with pytest.raises(submillion.ConfigError, match="format=submission holds one label a row"):
        submillion.predict(trained / "run", source, output=trained / "s.csv", format="submission")


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_the_readme_loads_it_without_this_package(pooling, tiny_encoder, tmp_path, monkeypatch, capsys):
    submillion.train(
        planted(60), output=tmp_path / "run", model=tiny_encoder(), num_train_epochs=1, quiet=True, rank=2, pooling=pooling,
        **({"head": "full"} if pooling == "first" else {}),
    )  # fmt: skip
    readme = (tmp_path / "run" / "adapter" / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL).group(1)
    texts = [text for text, _ in planted(8, 3)]
    code = code.replace('texts = ["a text to classify"]', f"texts = {texts!r}")
    assert "submillion" not in code
    monkeypatch.chdir(tmp_path / "run" / "adapter")
    capsys.readouterr()
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == repr(submillion.load(tmp_path / "run").predict(texts))
    if pooling == "first":
        assert "problem_type" in code
    alone = submillion.load(tmp_path / "run" / "adapter")
    assert alone.predict(texts) == submillion.load(tmp_path / "run").predict(texts)


def test_the_loss_is_transformers_and_sums_over_micro_batches():
    logits, labels = torch.randn(6, 4), (torch.rand(6, 4) > 0.5).float()

    class Config:
        problem_type, num_labels = "multi_label_classification", 4

    loss = MultiLabelLoss()
    whole = ForSequenceClassificationLoss(labels, logits, Config)
    assert torch.allclose(loss({"logits": logits}, labels), whole)
    parts = [
        loss({"logits": logits[a:b]}, labels[a:b], loss.total(labels)) for a, b in ((0, 1), (1, 4), (4, 6))
    ]
    assert torch.allclose(sum(parts), whole)


def test_compare_and_what_is_refused(trained, tiny_encoder, tmp_path):
    found = submillion.compare(trained / "run", trained / "run")
    assert found["comparisons"]
    run, test = trained / "run", str(trained / "test.jsonl")
    with pytest.raises(submillion.ConfigError, match="slices is for one label a row"):
        submillion.evaluate(run, test, slices=["text"])
    with pytest.raises(submillion.ConfigError, match="rows without labels is for one label a row"):
        submillion.evaluate(run, ["a text"])
    with pytest.raises(
        submillion.ConfigError, match="cv=3, answer_by=adapter_and_tfidf, class_weights: only for one"
    ):
        submillion.train(
            planted(40),
            output=tmp_path / "x",
            model=tiny_encoder(),
            cv=3,
            answer_by="adapter_and_tfidf",
            class_weights="balanced",
            quiet=True,
        )
    with pytest.raises(submillion.ConfigError, match="has none: it has rows of several labels"):
        submillion.load(run, using="adapter_and_tfidf")
    with pytest.raises(submillion.DataError, match="a multi-label task, and one label a row is read"):
        submillion.train(
            planted(40), output=tmp_path / "x", model=tiny_encoder(), problem_type="single_label_classification", quiet=True
        )  # fmt: skip


@pytest.mark.parametrize("form", ["lists", "indicator"])
def test_the_estimator_takes_lists_and_indicators(form, tiny_encoder):
    rows = planted(80)
    texts = [text for text, _ in rows]
    matrix = np.array([[name in labels for name in NAMES] for _, labels in rows], dtype=int)
    y = [labels for _, labels in rows] if form == "lists" else np.hstack([matrix, np.zeros((80, 1), int)])
    classifier = submillion.TextClassifier(model=tiny_encoder(), fields={"num_train_epochs": 6, "rank": 2})
    classifier.fit(texts, y)
    given = classifier.predict(texts)
    assert set(np.unique(given)) <= {0, 1}
    assert given.shape == classifier.predict_proba(texts).shape == (80, 3 if form == "lists" else 4)
    if form == "lists":
        assert classifier.classes_.tolist() == sorted(NAMES)
    else:
        assert classifier.classes_.tolist() == [0, 1, 2, 3]
        assert given[:, 3].sum() == 0  # no row had it
    truth = y if form == "indicator" else np.array([[n in ls for n in sorted(NAMES)] for _, ls in rows])
    assert classifier.score(texts, y) == pytest.approx(accuracy_score(truth, given))
    assert f1_score(truth, given, average="micro", zero_division=0) > 0.6


def test_an_interrupted_run_goes_on_to_the_same_adapter(tiny_encoder, tmp_path, monkeypatch):
    lines = ["text,labels", *(f'"{text}","{";".join(labels)}"' for text, labels in planted(120))]
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = {
        "train": str(tmp_path / "train.csv"),
        "label_separator": ";",
        "model": tiny_encoder(),
        "min_rows_to_split": 50,
        "validation_share": 0.2,
        "num_train_epochs": 3,
        "gradient_accumulation_steps": 2,
        "rank": 2,
        "save_steps": 2,
        "quiet": True,
    }
    whole = submillion.train(output=tmp_path / "whole", **arguments)
    step_end = callbacks.ProgressBar.on_step_end

    def interrupted(self, args, state, control, **named):
        if state.global_step == 5:
            raise KeyboardInterrupt
        return step_end(self, args, state, control, **named)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.ProgressBar, "on_step_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            submillion.train(output=tmp_path / "again", **arguments)
    record = submillion.train(output=tmp_path / "again", resume=True, **arguments)
    assert record["resumed"] == 1
    assert sha256s(tmp_path / "again") == sha256s(tmp_path / "whole")
    assert record["thresholds"] == whole["thresholds"]
    # Its own rows again, by the separator it was trained with, and against itself.
    report = submillion.evaluate(
        tmp_path / "again", arguments["train"], against=tmp_path / "whole", label_column="labels"
    )
    assert report["against"]["verdict"]["difference"]["value"] == 0
    assert report["labels_per_row"]["true"] == pytest.approx(
        np.mean([len(labels) for _, labels in planted(120)])
    )
