"""Two texts a row: read from files and Python, told apart by both, cut as the tokenizer cuts them."""

import copy
import pickle

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from submillion.data import load_splits, read_rows, text_hashes
from submillion.data.duplicates import sha256_of_hashes
from submillion.data.pairs import PairColumns, TextPair, hold_pairs
from submillion.data.token_cache import entry_name, kept_tokens
from submillion.data.tokens import cut, encode
from submillion.errors import ConfigError, DataError

CSV = "premise,hypothesis,label\nIt rains,It is wet,yes\nIt rains,It is dry,no\n,It is late,no\n,,no\n"


@pytest.fixture
def pairs_csv(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(CSV)
    return str(path)


def test_a_pair_is_copied_and_pickled_whole():
    pair = TextPair("a", "b")
    for other in (copy.deepcopy(pair), pickle.loads(pickle.dumps(pair))):
        assert (other, other.first, other.second) == ("a | b", "a", "b")
    assert not TextPair("", "")


def test_two_columns_of_a_file(pairs_csv):
    rows = read_rows(pairs_csv, text_columns=PairColumns(("premise", "hypothesis")))
    assert [(text.first, text.second) for text in rows.texts] == [
        ("It rains", "It is wet"),
        ("It rains", "It is dry"),
        ("", "It is late"),
    ]
    assert rows.labels == ["yes", "no", "no"]
    assert rows.notes == (f"{pairs_csv}: 1 row with an empty text left out (row 4).",)


def test_the_first_text_is_found_by_its_usual_name_and_may_be_joined():
    frame = pd.DataFrame({"title": ["t"], "question": ["q"], "passage": ["p"], "label": ["x"], "more": ["m"]})
    (text,) = read_rows(frame, text_columns=PairColumns(("passage",))).texts
    assert (text.first, text.second) == ("t q", "p")
    (text,) = read_rows(frame, text_columns=PairColumns(("more", "title", "passage"))).texts
    assert (text.first, text.second) == ("m t", "p")
    with pytest.raises(DataError, match="there is no text column 'answer'"):
        read_rows(frame, text_columns=PairColumns(("title", "answer")))


def test_pairs_in_lists():
    rows = read_rows([(("a", "b"), "yes"), (["c", "d"], "no")])
    assert [(text.first, text.second) for text in rows.texts] == [("a", "b"), ("c", "d")]
    assert hold_pairs(rows.texts)
    with pytest.raises(DataError, match="1 of 2 rows hold two texts and the others one"):
        hold_pairs(read_rows([(("a", "b"), "yes"), ("c", "no")]).texts)


def test_a_pair_is_a_duplicate_by_both_texts():
    same, moved, swapped = TextPair("A  b", "C"), TextPair("a", "b c"), TextPair("c", "a b")
    hashes = text_hashes([TextPair("a b", "c"), same, moved, swapped])
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3
    assert sha256_of_hashes(text_hashes([TextPair("", " ")])) == sha256_of_hashes([])


def rows(n: int, seed: str = "") -> list:
    return [((f"first {i}{seed}", f"second {i % 7}"), "ab"[i % 2]) for i in range(n)]


def test_splits_leave_out_pairs_that_stand_in_test_and_refuse_single_texts():
    splits = load_splits(rows(20), test=rows(3), seed=0)
    assert splits.n_left_out == 3
    assert splits.summary()["text_pairs"] is True
    assert load_splits([(f"t {i}", "ab"[i % 2]) for i in range(9)]).summary()["text_pairs"] is False
    for name in ("validation", "test"):
        with pytest.raises(DataError) as caught:
            load_splits(rows(20), **{name: [("a text", "a"), ("b text", "b")]})
        assert str(caught.value) == (
            "list holds single texts, and train pairs of texts: name the second text's column by --text-pair-column, or "
            "give (text, text) pairs"
        )
    with pytest.raises(DataError, match="list holds pairs of texts, and train single texts: leave"):
        load_splits([("a text", "a"), ("b text", "b")], validation=rows(4))


WORDS = st.lists(
    st.sampled_from(["match", "goal", "bank", "the", "7", "rocket", "unknown"]), max_size=12
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6), st.integers(5, 24))
def test_cut_as_the_tokenizer_cuts(tiny_encoder, pairs, max_length):
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder("bert"))
    ours = cut(encode(tokenizer, [TextPair(*pair) for pair in pairs]), max_length)
    firsts, seconds = zip(*pairs, strict=True)
    theirs = tokenizer(list(firsts), list(seconds), truncation="longest_first", max_length=max_length)[
        "input_ids"
    ]
    assert list(ours.input_ids) == theirs
    whole = tokenizer(list(firsts), list(seconds), truncation=False)["input_ids"]
    assert ours.n_cut == sum(len(ids) > max_length for ids in whole)


def test_too_short_for_two_texts(tiny_encoder):
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder("bert"))
    tokens = encode(tokenizer, [TextPair("match goal", "bank")])
    with pytest.raises(ConfigError, match="max_length=4 leaves no token for two texts beside 3 special ones"):
        cut(tokens, 4)


def test_kept_by_content_of_both(tiny_encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("SUBMILLION_CACHE", str(tmp_path))
    monkeypatch.setattr("submillion.data.token_cache.FEWEST_ROWS", 1)
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder("bert"))
    pairs = [TextPair("match goal", "bank"), TextPair("the", "7 7 7 7 7 7 7")]
    made = kept_tokens(tokenizer, pairs)
    monkeypatch.setattr("submillion.data.token_cache.encode", lambda *_: pytest.fail("not kept"))
    kept = kept_tokens(tokenizer, pairs)
    assert list(kept.cut(7)) == list(made.cut(7))
    assert kept.seams.starts.tolist() == made.seams.starts.tolist()
    names = {
        entry_name(tokenizer, texts)
        for texts in (
            [TextPair("ab", "c")],
            [TextPair("a", "bc")],
            ["abc"],
            ["ab | c"],
            [TextPair("ab | c", "")],
        )
    }
    assert len(names) == 5


def test_one_column_is_no_pair(pairs_csv):
    with pytest.raises(DataError) as caught:
        read_rows(pairs_csv, text_columns=PairColumns(("premise", "premise")))
    assert "column 'premise' cannot be both texts of a pair: name another by --text-columns or" in str(
        caught.value
    )
