"""Two texts a row, through the whole flow: files, lists, the estimator, the test lock, the adapter's README."""

import csv
import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

import submillion
from conftest import FILLER, WORDS
from submillion.cli.main import main
from submillion.errors import ConfigError, DataError

FIELDS = {"text_columns": "premise", "text_pair_column": "hypothesis"}


def pair_rows(n: int, seed: int = 0) -> list[tuple[tuple[str, str], str]]:
    """Return ((premise, hypothesis), label) rows: `same` where both speak of one thing."""
    draw, rows = random.Random(seed), []
    for index in range(n):
        first = draw.choice(list(WORDS))
        second = first if index % 2 else draw.choice([name for name in WORDS if name != first])
        texts = [
            " ".join(
                draw.choices(WORDS[name].split(), k=3) + draw.choices(FILLER.split(), k=draw.randint(1, 9))
            )
            for name in (first, second)
        ]
        rows.append(((f"{texts[0]} {index}", texts[1]), "same" if index % 2 else "other"))
    return rows


def write_pairs(path: Path, rows: list) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "premise", "hypothesis", "label"])
        table.writerows([index, *texts, label] for index, (texts, label) in enumerate(rows))
    return str(path)


@pytest.fixture(scope="module")
def with_token_types(tmp_path_factory, tiny_encoder) -> str:
    """A BERT whose tokenizer tells the two texts apart by token types, as the original does."""
    folder = tmp_path_factory.mktemp("types") / "encoder"
    shutil.copytree(tiny_encoder("bert"), folder)
    config = AutoConfig.from_pretrained(str(folder))
    config.type_vocab_size = 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        AutoModel.from_config(config).save_pretrained(str(folder))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    for piece in tokenizer["post_processor"]["pair"][3:]:
        next(iter(piece.values()))["type_id"] = 1
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert 1 in AutoTokenizer.from_pretrained(str(folder))("goal", "bank")["token_type_ids"]
    return str(folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, with_token_types) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("pairs")
    rows = pair_rows(120)
    train, test = (
        write_pairs(folder / "train.csv", rows),
        write_pairs(folder / "test.csv", [*rows[:4], *pair_rows(26, 1)]),
    )
    names = ["--text-columns", "premise", "--text-pair-column", "hypothesis"]
    files = ["--train", train, "--test", test, "--output", str(folder / "run"), "--model", with_token_types]
    main(["train", *files, *names, "--max-length", "16", "--num-train-epochs", "1"])
    return folder / "run", train, test


def test_the_run_knows_that_rows_are_pairs_and_keeps_those_of_test_out(trained):
    record = json.loads((trained[0] / "run.json").read_text())
    assert record["data"]["text_pairs"] is True
    assert record["data"]["n_left_out"] == 4
    assert record["data"]["rows_cut"] > 0


def test_predict_from_files_and_python_alike(trained, tmp_path):
    run, _, test = trained
    submillion.predict(run, test, output=tmp_path / "labels.csv")
    of_file = pd.read_csv(tmp_path / "labels.csv")["label"].tolist()
    frame = pd.read_csv(test)
    texts = list(zip(frame["premise"], frame["hypothesis"], strict=True))
    assert submillion.predict(run, frame) == submillion.predict(run, texts) == of_file
    predictor = submillion.load(run)
    assert predictor.predict(texts) == of_file
    renamed = frame.rename(columns={"premise": "text", "hypothesis": "other"})
    assert submillion.predict(run, renamed, text_pair_column="other") == of_file
    swapped = predictor.predict_proba([(second, first) for first, second in texts])
    assert np.abs(swapped - predictor.predict_proba(texts)).max() > 1e-4
    main(["predict", str(run), "--input", test, "--output", str(tmp_path / "again.csv"), "--text-columns", "premise",
          "--text-pair-column", "hypothesis"])  # fmt: skip
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "labels.csv").read_bytes()


def test_single_texts_are_refused(trained, tmp_path):
    with pytest.raises(
        DataError, match="what is to be labelled holds single texts, and training pairs of texts"
    ):
        submillion.load(trained[0]).predict(["one text"])
    (tmp_path / "single.csv").write_text("text,label\na goal,same\n")
    for verb in (submillion.evaluate, submillion.predict):
        with pytest.raises(
            DataError, match=r"single texts, and (the run|training) pairs of texts: name the second text's"
        ):
            verb(trained[0], str(tmp_path / "single.csv"))


def test_single_texts_leave_standard_output_empty(trained, tmp_path, capsysbinary):
    single = tmp_path / "single.csv"
    single.write_text("text\nIt rains.\n")
    with pytest.raises(SystemExit):
        main(["predict", str(trained[0]), "--input", str(single), "--text-columns", "text", "--output", "-"])
    said = capsysbinary.readouterr()
    assert said.out == b""
    assert said.err.startswith(b"error: ")


def test_evaluate_notes_the_read_of_test_and_takes_lists(trained):
    run, _, test = trained
    report = submillion.evaluate(run, test)
    assert report["n"] == 30
    assert report["split"] == "test"
    assert [each["name"] for each in report["baselines"]] == [
        "majority",
        "tfidf_svm",
        "probe_mean",
        "probe_first",
    ]
    assert " | " in Path(report["output"], "report.html").read_text()
    assert submillion.evaluate(run, pair_rows(20, 3))["n"] == 20
    assert submillion.evaluate(run, [texts for texts, _ in pair_rows(20, 3)])["n"] == 20


def test_the_readmes_lines_give_the_same_logits(trained, monkeypatch):
    adapter = trained[0] / "adapter"
    (code,) = re.findall(r"```python\n(.*?)```", (adapter / "README.md").read_text(), re.DOTALL)
    texts = [texts for texts, _ in pair_rows(12, 7)]
    example = 'texts = [("a first text", "a second text")]'
    assert code.count(example) == 1
    monkeypatch.chdir(adapter)
    space: dict = {}
    exec(code.replace(example, f"texts = {texts!r}"), space)
    ours = submillion.load(adapter).scores(texts).logits
    assert np.ptp(ours, axis=0).min() > 1e-4
    np.testing.assert_allclose(ours, space["logits"].numpy(), rtol=0, atol=1e-5)


def test_pairs_in_python_and_the_estimator(with_token_types, tmp_path):
    rows = pair_rows(60)
    record = submillion.train(
        rows, output=tmp_path / "run", model=with_token_types, num_train_epochs=1, quiet=True
    )
    assert record["data"]["text_pairs"] is True
    texts, labels = zip(*rows, strict=True)
    estimator = submillion.TextClassifier(with_token_types, fields={"num_train_epochs": 1, "max_length": 24})
    estimator.fit(list(texts), labels)
    assert len(estimator.predict(list(texts[:5]))) == 5
    frame = pd.DataFrame(texts)
    np.testing.assert_array_equal(estimator.predict_proba(frame), estimator.predict_proba(list(texts)))
    with pytest.raises(ConfigError):
        submillion.train(rows, output=tmp_path / "short", model=with_token_types, max_length=4, quiet=True)
