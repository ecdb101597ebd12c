"""What a training section may not ask for."""

import pytest

import submillion
from conftest import learnable_rows
from submillion.cli.main import main
from submillion.errors import ConfigError
from submillion.recipe import load_recipe


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"average_epochs": 3}, "average_epochs=3 is above num_train_epochs=2: lower it, or train longer"),
        (
            {"adapter_scale": "choose"},
            "adapter_scale=choose needs validation rows, and there are none: give --validation, or rows enough to "
            "carve from; or a number in its place",
        ),
        (
            {"metric_for_best_model": "shifted_accuracy"},
            "metric_for_best_model=shifted_accuracy needs validation rows, and there are none: give --validation, or "
            "rows enough to carve from",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(tmp_path, tiny_encoder, fields, message):
    with pytest.raises(ConfigError) as error:
        submillion.train(
            learnable_rows(30),
            output=tmp_path / "run",
            model=tiny_encoder("bert"),
            num_train_epochs=2,
            quiet=True,
            **fields,
        )
    assert str(error.value) == message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"average_epochs": 0}, "average_epochs=0: input should be greater than or equal to 1"),
        ({"word_dropout": 1.0}, "word_dropout=1.0: input should be less than 1"),
        ({"adapter_scale": 0}, "adapter_scale=0: input should be choose, or a number above 0 and at most 1"),
        (
            {"adapter_scale": "best"},
            "adapter_scale='best': input should be choose, or a number above 0 and at most 1",
        ),
        (
            {"self_training_threshold": 1.5},
            "self_training_threshold=1.5: input should be less than or equal to 1",
        ),
    ],
)
def test_bounds(fields, message):
    with pytest.raises(ConfigError) as error:
        load_recipe(**fields)
    assert str(error.value) == f"arguments: [training] {message}"


def test_the_flag_takes_a_number_or_the_word(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--output", "x", "--adapter-scale", "best"])
    assert "'best' is not a valid float" in capsys.readouterr().err
    assert load_recipe(adapter_scale=0.5).training.adapter_scale == 0.5
    assert load_recipe(adapter_scale="choose").training.adapter_scale == "choose"
