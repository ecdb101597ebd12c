"""The mean of epoch ends: which files stay, and what it is of."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from submillion.training.average import KeepEpochEnds, averaged, mean_of


def test_the_mean_is_taken_by_name_and_keeps_the_type(tmp_path):
    paths = []
    for number, value in enumerate((1.0, 2.0, 6.0)):
        tensors = {"a": torch.full((2, 3), value), "b": torch.tensor([value, -value])}
        save_file(tensors, tmp_path / f"{number}.safetensors")
        paths.append(tmp_path / f"{number}.safetensors")
    mean = mean_of(paths)
    assert mean["a"].tolist() == [[3.0] * 3] * 2
    assert mean["b"].tolist() == [3.0, -3.0]
    assert mean["a"].dtype == torch.float32


@pytest.mark.parametrize(
    ("best_step", "n_epochs", "expected"),
    [
        (None, 3, [3, 4, 5]),
        (30, 3, [1, 2, 3]),
        (20, 5, [1, 2]),
        (50, 1, [5]),
    ],
)
def test_epochs_up_to_the_best_one_are_averaged(best_step, n_epochs, expected):
    ends = [(epoch, 10 * epoch) for epoch in (3, 1, 5, 2, 4)]
    assert [epoch for epoch, _ in averaged(ends, best_step, n_epochs)] == expected


def test_what_a_later_best_epoch_may_need_stays_and_the_rest_goes(tmp_path):
    model = nn.Linear(2, 2)
    keeper = KeepEpochEnds(tmp_path, 2)
    best = {1: None, 2: 10, 3: 10, 4: 10, 5: 40}  # known at the end of each epoch, before its own evaluation
    kept = {}
    for epoch in range(1, 6):
        state = SimpleNamespace(
            epoch=float(epoch),
            global_step=10 * epoch,
            best_global_step=best[epoch],
            is_world_process_zero=True,
        )
        keeper.on_epoch_end(None, state, None, model=model)
        kept[epoch] = sorted(int(path.name.split("-")[1]) for path in tmp_path.iterdir())
    assert kept == {1: [1], 2: [1, 2], 3: [1, 2, 3], 4: [1, 3, 4], 5: [3, 4, 5]}
    keeper.on_train_begin(None, SimpleNamespace(global_step=40), None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-3-step-30.safetensors",
        "epoch-4-step-40.safetensors",
    ]
