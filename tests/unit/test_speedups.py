"""The table of speed-ups: where each piece stands, and which measurements are shown of it."""

import sys
from importlib.util import find_spec

import pytest

from conftest import ROOT
from submillion.speedups import SPEEDUPS


def test_every_piece_stands_where_the_table_says():
    for name, speedup in SPEEDUPS.items():
        assert find_spec(f"submillion.{speedup.where}") is not None, name


@pytest.fixture
def shares(monkeypatch):
    """Return a function: finished runs as (model, version, piece left out, rows a second) to the shares of MiniLM."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import pieces

    def of(*runs: tuple[str, str, str, float]) -> dict[str, tuple[float, float]]:
        lines = [
            {
                "settings": {"model": model, "source": version, "without": without, "round": 1},
                "figures": {"rows_per_second": rate, "peak_gb": 1.0},
            }
            for model, version, without, rate in runs
        ]
        monkeypatch.setattr(pieces, "lines", lambda _: lines)
        return pieces.shares_of("minilm")

    yield of
    for name in ("pieces", "speed", "record"):
        sys.modules.pop(name)


def test_shares_are_of_the_newest_version_that_was_measured_whole(shares):
    old = [("minilm", "old", without, rate) for without, rate in (("", 90.0), ("packed", 60.0))]
    new = [("minilm", "new", without, rate) for without, rate in (("", 90.0), ("packed", 45.0))]
    assert shares() == {}
    assert shares(*old) == {"packed": (1.5, 0.0)}
    assert shares(*old, new[0]) == {"packed": (1.5, 0.0)}
    assert shares(*old, new[1]) == {"packed": (1.5, 0.0)}
    assert shares(*old, *new) == {"packed": (2.0, 0.0)}
    assert shares(*old, ("roberta-base", "new", "", 9.0), ("roberta-base", "new", "packed", 3.0)) == {
        "packed": (1.5, 0.0)
    }


def test_pieces_that_are_no_more_do_not_keep_an_old_version(shares):
    old = [("minilm", "old", without, 90.0) for without in ("", "packed", "gone")]
    assert shares(*old, ("minilm", "new", "", 90.0), ("minilm", "new", "packed", 45.0)) == {
        "packed": (2.0, 0.0)
    }
