import hashlib
import html
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from submillion.data.duplicates import normalise_text, sha256_of_hashes, split_sha256, text_hashes

# Pieces that make entities, ligatures, width forms and odd cases likely.
TEXTS = st.text() | st.lists(
    st.sampled_from(["&", "amp;", "lt;", "#39;", "ﬁ", "İ", "ẞ", "Ａ", " ", "x"])
).map("".join)


@given(TEXTS)
def test_normalising_twice_changes_nothing(text):
    once = normalise_text(text)
    assert normalise_text(once) == once


@given(TEXTS | st.text(st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_leads_to_the_same(text):
    result, before = text, None
    while result != before:
        before = result
        folded = unicodedata.normalize("NFKC", html.unescape(result)).casefold()
        result = " ".join(unicodedata.normalize("NFKC", folded).split())
    assert normalise_text(text) == result


def test_what_counts_as_the_same_text():
    assert normalise_text("\tFisch &amp;amp; ﬁsh\u00a0STRASSE \n") == "fisch & fish strasse"
    assert normalise_text("Straße") == normalise_text("STRASSE")
    assert normalise_text("a b") != normalise_text("ab")


def test_a_hash_is_the_sha256_of_the_normalised_text():
    assert text_hashes(["A  b", "a B"]) == [hashlib.sha256(b"a b").hexdigest()] * 2


def test_a_lone_surrogate_has_a_hash():
    assert len(text_hashes(["\ud800"])[0]) == 64


@given(st.permutations(["a", "b", "b", "c d"]))
def test_a_split_is_known_in_any_order_of_rows(texts):
    assert split_sha256(texts) == split_sha256(["a", "b", "b", "C  d"])


def test_a_split_differs_by_a_row_more_or_less():
    assert split_sha256(["a", "b"]) != split_sha256(["a"])
    assert split_sha256(["a", "b", "b"]) != split_sha256(["a", "b"])
    assert split_sha256(["a", "  ", "b"]) == split_sha256(["a", "b"])


@given(st.lists(TEXTS))
def test_a_split_is_known_by_its_hashes(texts):
    hashes = sorted(
        hashlib.sha256(n.encode("utf-8", "surrogatepass")).hexdigest()
        for t in texts
        if (n := normalise_text(t))
    )
    expected = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    assert sha256_of_hashes(text_hashes(texts)) == split_sha256(texts) == expected
