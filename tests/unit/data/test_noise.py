"""Texts made worse on purpose."""

import hashlib
from difflib import SequenceMatcher

import pytest

from submillion.data.noise import (
    disguised,
    dropped,
    marked_up,
    misread,
    recased,
    repunctuated,
    swapped,
    truncated,
    typos,
)

TEXT = "Stocks fell on Monday as traders weighed the return of inflation and the central bank said nothing."


@pytest.mark.parametrize("noise", [typos, misread])
def test_about_the_asked_share_of_letters_is_changed(noise):
    kept = [
        SequenceMatcher(None, TEXT, noisy, autojunk=False).ratio()
        for noisy in noise([TEXT] * 50, 0.1, seed=1)
    ]
    assert 0.85 < sum(kept) / len(kept) < 0.97
    assert noise([TEXT], 0.0, seed=1) == [TEXT]


@pytest.mark.parametrize("noise", [typos, misread, dropped, swapped, disguised])
def test_the_seed_decides_and_rows_do_not_hang_together(noise):
    rows = [TEXT, TEXT + "more", ""]
    assert noise(rows, 0.1, seed=1) == noise(rows, 0.1, seed=1)
    assert noise(rows, 0.1, seed=1) != noise(rows, 0.1, seed=2)
    assert noise(rows, 0.1, seed=1)[0] == noise(rows[:1], 0.1, seed=1)[0]
    assert noise([TEXT, TEXT], 0.1, seed=1)[0] != noise([TEXT, TEXT], 0.1, seed=1)[1]


def test_a_cut_text_keeps_its_first_words():
    assert truncated(["one two three", "one"], 2) == ["one two", "one"]


@pytest.mark.parametrize(("noise", "digest"), [(typos, "33adce8028b8"), (misread, "2b85d43b8b63")])
def test_published_figures_rest_on_this_noise(noise, digest):
    noisy = noise([TEXT, TEXT.upper(), "rn 1"], 0.1, seed=3)
    assert hashlib.sha256("\n".join(noisy).encode()).hexdigest()[:12] == digest


def letters(text):
    return sorted(text.casefold())


def test_each_kind_changes_what_it_says_and_nothing_else():
    assert dropped([TEXT], 1.0, seed=0)[0].replace(" ", "") == "."
    assert letters(swapped([TEXT], 0.5, seed=0)[0]) == letters(TEXT) != swapped([TEXT], 0.5, seed=0)[0]
    cased = recased([TEXT], 0.5, seed=0)[0]
    assert cased != TEXT
    assert cased.casefold() == TEXT.casefold()
    marked = repunctuated([TEXT], 0.5, seed=0)[0]
    assert marked != TEXT
    assert "".join(filter(str.isalnum, marked)) == "".join(filter(str.isalnum, TEXT))
    assert len(disguised([TEXT], 0.5, seed=0)[0]) == len(TEXT)
    assert marked_up(["<b> & 'c'"], 1.0, seed=0)[0].startswith("&lt;b&gt;")


def test_words_never_run_together_by_swapping():
    assert [len(word) for word in swapped([TEXT], 1.0, seed=0)[0].split()] == [
        len(word) for word in TEXT.split()
    ]
