"""Words in any script: as scikit-learn's where that has them right, characters where a script has no spaces."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from submillion.baselines import fit_tfidf_svm
from submillion.data.words import count_words, words_of

SKLEARN = TfidfVectorizer().build_tokenizer()
LETTERS = "abzÄßéñøłАяЖ αωΩ ابجد אבג 한국어 09_,.!'-—€\n"


@given(st.text(alphabet=LETTERS, max_size=40))
def test_the_words_of_scikit_learn_where_words_have_spaces(text):
    assert words_of(text) == SKLEARN(unicodedata.normalize("NFC", text))


@given(st.text(max_size=40))
def test_any_text_has_words_that_stand_in_it(text):
    composed = unicodedata.normalize("NFC", text)
    at = 0
    for word in words_of(text):
        at = composed.index(word, at) + len(word)
    assert count_words(text) >= (1 if text.split() else 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("今天天气很好。", list("今天天气很好")),
        ("iPhone15发布了", ["iPhone15", "发", "布", "了"]),
        ("東京でラーメン", list("東京でラーメン")),
        ("यह फ़िल्म अच्छी है", ["यह", "फ़िल्म", "अच्छी", "है"]),
        ("مَرْحَبًا يا عالم", ["مَرْحَبًا", "يا", "عالم"]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ("cafe\u0301s nai\u0308ve", ["cafés", "naïve"]),
        ("❤️ 👍🏽 👩‍👩‍👧 ok", ["ok"]),
    ],
)
def test_words_of_scripts(text, words):
    assert words_of(text) == [unicodedata.normalize("NFC", word) for word in words]


def test_how_long_a_text_is():
    assert count_words("今天天气很好。") == 7  # the full stop stands alone
    assert count_words("यह फ़िल्म अच्छी है") == 4
    assert count_words("") == 0


def test_tfidf_learns_chinese_by_characters_and_their_pairs():
    texts = [
        "今天股市下跌了",
        "银行利率上升",
        "股市今天上涨",
        "球队赢得比赛",
        "比赛今天结束",
        "球员进球了",
    ] * 2
    labels = np.array([0, 0, 0, 1, 1, 1] * 2)
    fitted = fit_tfidf_svm(texts, labels, 2, seed=0)
    assert "股 市" in fitted.terms
    assert fitted.scores(["明天股市如何", "昨晚的比赛"], {}).argmax(axis=1).tolist() == [0, 1]
