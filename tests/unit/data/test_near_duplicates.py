"""Texts that are nearly the same."""

import numpy as np
import pytest

from submillion.data.near_duplicates import near_duplicates, shingles

TEXT = "stocks fell rose on monday in london as traders weighed rates the bank said growth slowed again this year"
WORDS = TEXT.split()


def texts_of(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 25)) for _ in range(n)]


def jaccard(one, other):
    a, b = ({text[i : i + 5] for i in range(len(text) - 4)} for text in (one, other))
    return len(a & b) / len(a | b)


def test_planted_copies_are_found_with_their_likeness_and_nothing_else():
    rows = texts_of(300)
    copies = [rows[place].replace(" ", "  ").upper() + " indeed" for place in range(0, 300, 10)]
    found = near_duplicates(rows + copies)
    assert [(one, other) for one, other, _ in found] == [
        (place, 300 + place // 10) for place in range(0, 300, 10)
    ]
    for one, _, alike in found:
        assert alike == pytest.approx(jaccard(rows[one], rows[one] + " indeed"))
    assert near_duplicates(rows + copies) == found


def test_every_member_of_a_large_group_is_linked():
    (base,) = texts_of(1)
    rows = texts_of(40, seed=1) + [f"{base} {number}" for number in range(60)]
    found = near_duplicates(rows)
    linked = {place for one, other, _ in found for place in (one, other)}
    assert linked == set(range(40, 100))
    assert len(found) <= 59 * 50


def test_the_threshold_is_kept():
    (text,) = texts_of(1, seed=3)
    other = " ".join(text.split()[:15])
    value = jaccard(text, other)
    assert 0.5 < value < 0.7
    assert near_duplicates([text, other]) == []
    ((_, _, alike),) = near_duplicates([text, other], threshold=0.45)
    assert alike == pytest.approx(value)


@pytest.mark.parametrize("rows", [[], ["a"], ["abc", "abc"], ["", ""], ["ab", "one whole text"]])
def test_too_little_to_compare(rows):
    assert near_duplicates(rows) == []


def test_any_letter_has_a_place():
    assert near_duplicates(["我爱你我爱你们 😀\ud800", "我爱你我爱你们 😀\ud800"]) == [(0, 1, 1.0)]
    assert len(set(shingles("abcdeabcde").tolist())) == 5
