"""The speed benchmark in small: it fails only where the product falls below half of its goal."""

import argparse
import statistics
import sys

import pytest

from conftest import ROOT
from submillion.encoders import packaged_default
from submillion.model.device import has_bf16

GOAL = 9.0
"""How many times as fast as the recipe as its users write it all-MiniLM-L6-v2 trains, on 2 cores with bf16."""


@pytest.mark.alone
@pytest.mark.filterwarnings("ignore")  # of the reference's own code
@pytest.mark.skipif(
    not has_bf16(), reason="this processor has no bf16 products: the goal is for those that have"
)
@pytest.mark.skipif(packaged_default() is None, reason="the encoder's package is not installed")
def test_training_is_at_least_half_as_fast_as_its_goal(shared, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import speed

    options = argparse.Namespace(folder=packaged_default(), side="fast", without="", batch_size=16)
    medians = {}
    for side, n_steps in (("reference", 4), ("fast", 14)):
        seconds, _ = speed.timed(side, speed.agnews_rows(16 * n_steps), options)
        medians[side] = statistics.median(seconds)
    sys.modules.pop("speed")
    assert medians["reference"] / medians["fast"] > GOAL / 2
