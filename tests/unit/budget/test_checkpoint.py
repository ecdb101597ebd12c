import json
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub.errors import HTTPError, NotASafetensorsRepoError
from safetensors.numpy import save_file

from submillion.budget.checkpoint import random_layers, read_header
from submillion.budget.families import FAMILIES

BERT, ROBERTA = FAMILIES["bert"], FAMILIES["roberta"]
BERT_SHAPES = {"bert.pooler.dense.weight": (8, 8), "classifier.weight": (4, 8)}
ROBERTA_SHAPES = {"classifier.dense.weight": (8, 8), "classifier.out_proj.weight": (4, 8)}


def save(path, shapes):
    save_file({name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}, path)


@pytest.mark.parametrize(
    ("family", "shapes", "held", "at_random"),
    [
        (BERT, BERT_SHAPES, {"bert.pooler.dense.weight": (8, 8)}, ("classifier",)),
        (BERT, BERT_SHAPES, {"pooler.dense.weight": (8, 8)}, ("classifier",)),
        (BERT, BERT_SHAPES, {"bert.embeddings.weight": (2, 2)}, ("bert.pooler.dense", "classifier")),
        (BERT, BERT_SHAPES, BERT_SHAPES, ()),
        (BERT, BERT_SHAPES, {**BERT_SHAPES, "classifier.weight": (2, 8)}, ("classifier",)),
        (
            ROBERTA,
            ROBERTA_SHAPES,
            {"lm_head.dense.weight": (8, 8)},
            ("classifier.dense", "classifier.out_proj"),
        ),
        (ROBERTA, ROBERTA_SHAPES, {"classifier.dense.weight": (8, 8)}, ("classifier.out_proj",)),
    ],
)
def test_the_header_tells_what_starts_at_random(tmp_path, family, shapes, held, at_random):
    save(tmp_path / "model.safetensors", held)
    assert random_layers(str(tmp_path), family, shapes) == (at_random, "checkpoint header")


def test_a_sharded_checkpoint(tmp_path):
    save(tmp_path / "model-1.safetensors", {"bert.pooler.dense.weight": (8, 8)})
    index = {
        "weight_map": {
            "bert.pooler.dense.weight": "model-1.safetensors",
            "classifier.weight": "model-2.safetensors",
        }
    }
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read_header(str(tmp_path)) == {"bert.pooler.dense.weight": (8, 8), "classifier.weight": None}
    assert random_layers(str(tmp_path), BERT, BERT_SHAPES) == ((), "checkpoint header")


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\x01",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"null",
    ],
)
def test_without_a_readable_header_the_family_table_tells(tmp_path, content):
    if content is not None:
        (tmp_path / "model.safetensors").write_bytes(content)
    assert random_layers(str(tmp_path), BERT, BERT_SHAPES) == (("classifier",), "family table")
    both = ("classifier.dense", "classifier.out_proj")
    assert random_layers(str(tmp_path), ROBERTA, ROBERTA_SHAPES) == (both, "family table")


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": 3}'])
def test_a_damaged_index(tmp_path, index):
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert read_header(str(tmp_path)) is None


def test_a_config_alone_has_no_checkpoint():
    assert random_layers("", BERT, BERT_SHAPES) == (("classifier",), "family table")


def test_the_hub_cache_is_read(tmp_path, monkeypatch):
    save(tmp_path / "model.safetensors", BERT_SHAPES)
    monkeypatch.setattr(
        huggingface_hub,
        "try_to_load_from_cache",
        lambda _repo, name: str(tmp_path / name) if "index" not in name else None,
    )
    assert read_header("some/encoder") == BERT_SHAPES


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
    return lambda answer: monkeypatch.setattr(huggingface_hub, "get_safetensors_metadata", answer)


def test_the_hub_answers_with_a_header(online):
    tensors = {name: SimpleNamespace(shape=list(shape)) for name, shape in BERT_SHAPES.items()}
    online(
        lambda _repo: SimpleNamespace(files_metadata={"model.safetensors": SimpleNamespace(tensors=tensors)})
    )
    assert read_header("some/encoder") == BERT_SHAPES


@pytest.mark.parametrize("error", [HTTPError("no"), OSError("no"), NotASafetensorsRepoError("no")])
def test_the_hub_does_not_answer(online, error):
    def fail(_repo):
        raise error

    online(fail)
    assert read_header("some/encoder") is None


def test_offline_the_hub_is_not_asked(online, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: True)
    online(lambda _repo: pytest.fail("asked"))
    assert read_header("some/encoder") is None


def test_a_name_that_is_no_hub_id(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: True)
    assert read_header("not/a/hub/id") is None
