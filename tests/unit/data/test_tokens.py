import pytest

from submillion.data import tokens
from submillion.data.tokens import choose_max_length, encode, tokenize
from submillion.encoders import load_tokenizer

TEXTS = [
    "goal match",
    "",
    "Bank shares <s> market",
    "rocket " * 90,
    "profit 12",
    "the a of",
    "x",
    "ü",
    "moon",
    "goal",
]


@pytest.fixture(params=["bert", "roberta"])
def tokenizer(tiny_encoder, request):
    return load_tokenizer(tiny_encoder(request.param))


def called(tokenizer, texts):
    return tokenizer(list(texts), truncation=False, padding=False, verbose=False)["input_ids"]


def test_tokens_are_those_of_a_plain_call(tokenizer):
    assert encode(tokenizer, TEXTS) == called(tokenizer, TEXTS)
    assert encode(tokenizer, tuple(TEXTS)) == called(tokenizer, TEXTS)


def test_the_tokenizers_own_truncation_and_padding_do_not_count(tokenizer):
    plain = called(tokenizer, TEXTS)
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    assert encode(tokenizer, TEXTS) == plain


def test_the_real_one(shared):
    tokenizer = load_tokenizer(str(shared / "roberta-base")) if (shared / "roberta-base").is_dir() else None
    if tokenizer is None:
        pytest.skip("roberta-base's tokenizer is not there")
    texts = ["  Hello\tworld\n", "", "naïve ﬁsh </s> <mask>", "日本語 😀"]
    assert encode(tokenizer, texts) == called(tokenizer, texts)


def test_pieces_change_nothing(tokenizer, monkeypatch):
    whole = called(tokenizer, TEXTS)
    monkeypatch.setattr(tokens, "PIECE_ROWS", 3)
    assert encode(tokenizer, TEXTS) == whole
    monkeypatch.setattr(tokens, "PIECE_LETTERS", 10)
    assert encode(tokenizer, TEXTS) == whole


def test_a_tokenizer_that_does_more_in_python_is_called(tokenizer, monkeypatch):
    plain = called(tokenizer, TEXTS)
    whole = type(tokenizer)._encode_plus

    def reversed_rows(self, *args, **kwargs):
        result = whole(self, *args, **kwargs)
        result["input_ids"] = [ids[::-1] for ids in result["input_ids"]]
        return result

    monkeypatch.setattr(type(tokenizer), "_encode_plus", reversed_rows)
    assert encode(tokenizer, TEXTS) == [ids[::-1] for ids in plain]


def test_a_cut_row_keeps_its_last_token_and_is_counted(tokenizer):
    rows = tokenize(tokenizer, TEXTS, 4)
    assert rows.n_cut == sum(len(ids) > 4 for ids in called(tokenizer, TEXTS)) > 0
    assert max(map(len, rows.input_ids)) == 4
    assert {row[-1] for row in rows.input_ids} == {3}
    assert (rows.max_length, len(rows)) == (4, len(TEXTS))


def test_no_texts(tokenizer):
    rows = tokenize(tokenizer, [], 4)
    assert (len(rows), rows.n_cut, rows.input_ids) == (0, 0, [])
    assert choose_max_length([], 7) == 7
