"""Exports of the families beyond BERT and RoBERTa: each graph answers as the run does, in int8 nearly so."""

import pytest

import submillion
from conftest import learnable_rows, write_csv
from readmes import COMMON

FAMILIES = ("distilbert", "deberta-v2", "mpnet", "electra", "albert", "modernbert")


@pytest.mark.parametrize("family", FAMILIES)
def test_graphs_answer_as_the_run_does(family, tiny_encoder, tmp_path):
    submillion.train(
        write_csv(tmp_path / "train.csv", learnable_rows(200)), output=tmp_path / "run", model=tiny_encoder(family),
        pooling="mean", num_train_epochs=2, learning_rate=1e-2, **COMMON,
    )  # fmt: skip
    for format in ("onnx", "openvino"):
        made = submillion.export(tmp_path / "run", tmp_path / format, format=format)
        assert made["gate"]["spread_of_logits"] > 0.03, "logits that do not depend on the text prove nothing"
        assert 0 < made["gate"]["largest_difference"] < 1e-4
    made = submillion.export(
        tmp_path / "run", tmp_path / "int8", format="openvino", int8=True, changed_labels=0.2
    )
    assert made["gate"]["largest_difference"] > 1e-4
    assert made["calibration"]["rows"] > 100
