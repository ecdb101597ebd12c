"""Long texts in windows: trained by one an epoch, answered by the mean of all; what stands late in a text is found."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

import submillion
from conftest import FILLER, WORDS, write_csv
from submillion.data.tokens import tokenize
from submillion.data.windows import Windows
from submillion.encoders import load_tokenizer
from submillion.errors import ConfigError
from submillion.scoring import score
from submillion.training.trainer import TrainRows

FIELDS = {"max_length": 16, "num_train_epochs": 6, "learning_rate": 3e-3, "quiet": True}


def late_rows(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return rows of about 40 words whose last dozen tells the label."""
    draw, rows = random.Random(seed), []
    for index in range(n):
        label = list(WORDS)[index % len(WORDS)]
        filler = draw.choices(FILLER.split(), k=draw.randint(24, 32))
        rows.append((" ".join([*filler, *draw.choices(WORDS[label].split(), k=12)]), label))
    return rows


@pytest.fixture(scope="module")
def model(tiny_encoder) -> str:
    return tiny_encoder("bert")


@pytest.fixture(scope="module")
def run(tmp_path_factory, model) -> Path:
    folder = tmp_path_factory.mktemp("windows")
    train = write_csv(folder / "train.csv", late_rows(120))
    submillion.train(train, output=folder / "run", model=model, windows="mean", cv=2, **FIELDS)
    return folder / "run"


def accuracy(run: Path) -> float:
    return submillion.evaluate(run, late_rows(60, 9), output=run / "report")["accuracy"]["value"]


def test_windows_find_what_a_cut_loses(run, tmp_path, model):
    submillion.train(late_rows(120), output=tmp_path / "cut", model=model, **FIELDS)
    assert accuracy(tmp_path / "cut") < 0.6
    assert accuracy(run) > 0.9
    record = json.loads((run / "run.json").read_text())
    assert record["data"]["rows_cut"] == 0
    assert record["data"]["windows"] > 3 * 120
    assert (record["recipe"]["data"]["windows"], record["recipe"]["data"]["stride"]) == ("mean", 4)
    assert record["cross_validation"]["accuracy"]["value"] > 0.6


def test_a_texts_logits_are_the_mean_of_its_windows(run):
    predictor = submillion.load(run, using="adapter")
    texts = [text for text, _ in late_rows(7, 3)] + ["goal match"]
    windows = tokenize(predictor.answering.saved.tokenizer, texts, 16, 4).input_ids
    assert isinstance(windows, Windows)
    each = score(predictor.answering.saved.model, windows.windows).logits
    parts = np.split(each, np.cumsum(windows.counts)[:-1])
    expected = np.array([part.mean(axis=0) for part in parts])
    np.testing.assert_allclose(
        predictor.scores(texts).logits, expected, atol=2e-2
    )  # bf16, and batches of other shapes


def test_the_readmes_lines_read_windows_too(run, monkeypatch):
    adapter = run / "adapter"
    (code,) = re.findall(r"```python\n(.*?)```", (adapter / "README.md").read_text(), re.DOTALL)
    texts = [text for text, _ in late_rows(5, 4)] + ["goal"]
    monkeypatch.chdir(adapter)
    space: dict = {}
    exec(code.replace('texts = ["a text to classify"]', f"texts = {texts!r}"), space)
    ours = submillion.load(adapter).scores(texts).logits
    np.testing.assert_allclose(ours, space["logits"].numpy(), atol=1e-5)


def test_each_epoch_trains_another_window_and_a_resumed_one_the_same(model):
    windows = tokenize(load_tokenizer(model), [text for text, _ in late_rows(3)], 16, 4).input_ids
    rows, again = (TrainRows(windows, np.zeros(3, dtype=np.int64), seed=5) for _ in range(2))
    seen = []
    for epoch in range(int(windows.counts[0])):
        rows.epoch = again.epoch = lambda epoch=epoch: epoch
        assert rows[0] == again[0]
        seen.append(tuple(rows[0]["input_ids"]))
    assert sorted(seen) == sorted(map(tuple, windows[:1].windows))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stride": 3}, "stride=3 needs windows=mean: give both, or leave it out"),
        (
            {"windows": "mean", "stride": 14},
            r"stride=14 must be below max_length - 2 = 14: windows would not move on",
        ),
    ],
)
def test_what_cannot_be(tmp_path, model, fields, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        submillion.train(late_rows(30), output=tmp_path / "run", model=model, **FIELDS, **fields)
    pairs = [((text, "b"), label) for text, label in late_rows(30)]
    with pytest.raises(ConfigError, match="windows=mean is for single texts"):
        submillion.train(pairs, output=tmp_path / "run", model=model, windows="mean", **FIELDS)


def test_with_word_dropout_and_noisy_validation(tmp_path, model):
    record = submillion.train(
        late_rows(60),
        validation=late_rows(30, 5),
        unlabelled=[text for text, _ in late_rows(30, 6)],
        output=tmp_path / "run",
        model=model,
        windows="mean",
        word_dropout=0.1,
        metric_for_best_model="shifted_accuracy",
        **FIELDS | {"num_train_epochs": 2},
        self_training_threshold=0.4,
    )
    assert record["self_training"]["n_used"] > 0
    assert record["status"] == "finished"
