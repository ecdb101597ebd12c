"""What is changed in an encoder before it is traced leaves what it puts out as it was."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModel

from conftest import TINY
from submillion.exporters.archive import write_zip
from submillion.exporters.first_token import narrow_last_block
from submillion.exporters.smooth import Smoothed, smooth


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    mask = torch.tensor([[1] * 9, [1] * 4 + [0] * 5])
    generator = torch.Generator().manual_seed(3)
    return {"input_ids": torch.randint(3, 50, (2, 9), generator=generator), "attention_mask": mask}


def uneven_encoder(family: str):
    """An encoder whose layer norms have a few large channels, as trained ones do."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = AutoModel.from_config(AutoConfig.for_model(family, **TINY, pad_token_id=0)).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.data.exponential_()
                module.bias.data.normal_()
                module.weight.data[3] = 30
    return model


@pytest.mark.parametrize("family", ["bert", "roberta"])
@torch.no_grad()
def test_narrowed_encoder_gives_the_same_first_token(family, batch):
    model = uneven_encoder(family)
    whole = model(**batch).last_hidden_state
    assert narrow_last_block(model)
    narrow = model(**batch).last_hidden_state
    assert narrow.shape == (2, 1, 32)
    torch.testing.assert_close(narrow[:, 0], whole[:, 0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "roberta"])
@torch.no_grad()
def test_smoothed_encoder_gives_the_same_and_reads_more_even_channels(family, batch):
    model = uneven_encoder(family)
    smoothed = copy.deepcopy(model)
    assert smooth(smoothed)
    torch.testing.assert_close(
        smoothed(**batch).last_hidden_state, model(**batch).last_hidden_state, rtol=0, atol=1e-3
    )
    read: dict[str, torch.Tensor] = {}
    layer = smoothed.encoder.layer[1].attention.self.query
    assert isinstance(layer, Smoothed)
    layer.register_forward_pre_hook(lambda _, inputs: read.update(before=inputs[0]))
    layer.linear.register_forward_pre_hook(lambda _, inputs: read.update(after=inputs[0]))
    smoothed(**batch)
    share = {name: float(x.abs().median() / x.abs().max()) for name, x in read.items()}
    assert share["after"] > 2 * share["before"]


def test_zip_does_not_depend_on_when_and_how_files_were_written(tmp_path):
    for name, order in (("a", ("x", "y")), ("b", ("y", "x"))):
        (tmp_path / name).mkdir()
        for file in order:
            (tmp_path / name / file).write_text(f"content of {file}")
        write_zip(tmp_path / name, tmp_path / f"{name}.zip")
    (tmp_path / "b" / "x").chmod(0o600)
    write_zip(tmp_path / "b", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
