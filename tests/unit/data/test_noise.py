"""Texts made worse on purpose."""

from difflib import SequenceMatcher

import pytest

from submillion.data.noise import misread, truncated, typos

TEXT = "Stocks fell on Monday as traders weighed the return of inflation and the central bank said nothing."


@pytest.mark.parametrize("noise", [typos, misread])
def test_about_the_asked_share_of_letters_is_changed(noise):
    kept = [
        SequenceMatcher(None, TEXT, noisy, autojunk=False).ratio()
        for noisy in noise([TEXT] * 50, 0.1, seed=1)
    ]
    assert 0.85 < sum(kept) / len(kept) < 0.97
    assert noise([TEXT], 0.0, seed=1) == [TEXT]


@pytest.mark.parametrize("noise", [typos, misread])
def test_the_seed_decides_and_rows_do_not_hang_together(noise):
    rows = [TEXT, TEXT + "more", ""]
    assert noise(rows, 0.1, seed=1) == noise(rows, 0.1, seed=1)
    assert noise(rows, 0.1, seed=1) != noise(rows, 0.1, seed=2)
    assert noise(rows, 0.1, seed=1)[0] == noise(rows[:1], 0.1, seed=1)[0]
    assert noise([TEXT, TEXT], 0.1, seed=1)[0] != noise([TEXT, TEXT], 0.1, seed=1)[1]


def test_a_cut_text_keeps_its_first_words():
    assert truncated(["one two three", "one"], 2) == ["one two", "one"]
