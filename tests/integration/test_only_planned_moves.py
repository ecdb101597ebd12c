"""After training only the planned parameters moved, all of them; everything else is bit-equal to the checkpoint."""

import io

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from conftest import learnable_rows
from submillion.budget import FAMILIES
from submillion.model.build import build_model
from submillion.recipe import load_recipe
from submillion.training.fit import fit_adapter, make_trainer
from submillion.training.prepare import Sources, prepare

HEADS = [("first", "full"), ("first", "output"), ("mean", None)]


def trained(encoder: str, pooling: str, head: str | None, folder, **fields):
    """Train three epochs; return plan, model, and every parameter and buffer as it was before."""
    console = Console(file=io.StringIO())
    recipe = load_recipe(
        model=encoder,
        pooling=pooling,
        head=head,
        rank=2,
        target_modules="default",
        num_train_epochs=3,
        learning_rate=1e-2,
        min_rows_to_split=50,
        validation_share=0.2,
        calibration_share=0.0,
        **fields,
    )
    prepared = prepare(recipe, Sources(learnable_rows(60)), console)
    model = build_model(prepared.plan, encoder, prepared.splits.label_names, seed=0, base_dropout=0.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit_adapter(
        make_trainer(
            model, prepared.plan, prepared.recipe, prepared.train, prepared.validation, folder, console
        )
    )
    return prepared.plan, model, before


@pytest.mark.parametrize(("pooling", "head"), HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_only_planned_parameters_move(tiny_encoder, tmp_path, family, pooling, head):
    plan, model, before = trained(tiny_encoder(family), pooling, head, tmp_path)
    after = model.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == set(plan.trainable_shapes)
    assert sum(after[name].numel() for name in moved) == plan.trainable_parameters

    checkpoint = load_file(f"{tiny_encoder(family)}/model.safetensors")
    base = model.bare_encoder.state_dict()
    compared = 0
    for name, value in checkpoint.items():
        stock = [key for key in base if "lora_" not in key and key.replace(".base_layer", "") == name]
        # A head layer inside the encoder (BERT's pooler) stands there twice: PEFT's original, and the copy that trains.
        stock += [key for key in base if key == name.replace("pooler.", "pooler.original_module.")]
        for key in stock:
            assert torch.equal(base[key], value), key
            compared += 1
    assert compared >= len(checkpoint) - (2 if pooling == "first" and family != "bert" else 0)


def test_layers_that_were_left_out_do_not_move(tiny_encoder, tmp_path):
    plan, model, before = trained(tiny_encoder("bert"), "mean", None, tmp_path, layers="last:1")
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == set(plan.trainable_shapes)
    assert not [name for name in moved if ".layer.0." in name]
