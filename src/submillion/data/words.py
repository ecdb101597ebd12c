"""The words of a text in any script, as the TF-IDF baseline counts them.

Of text in ASCII they are scikit-learn's: letters, digits and ``_`` in runs of two or more. Beyond it two things would go wrong.
Scripts without spaces between words (Chinese, Japanese, Thai, ...) would give one word a clause, that hardly any other
text holds: there each character is a word, so that TF-IDF's pairs of words are its pairs of characters. And vowel signs and
accents that are characters of their own (Hindi's among them, and all accents in NFD) would break words: they belong to the
letter before.
"""

import re
import unicodedata

_ASCII = re.compile(r"\b\w\w+\b")

_UNSEGMENTED = (
    "\u0e00-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e80-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec7"  # Thai, Lao
    "\u0f40-\u0f6c\u1000-\u102a\u103f\u1050-\u1055\u1780-\u17b3"  # Tibetan, Burmese, Khmer
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
)
"""Letters of scripts that put no space between words, as ranges of a class of characters."""


_BLOCKS = (
    (0x300, 0x1E00),
    (0x20D0, 0x2100),
    (0x302A, 0x309B),
    (0xA66F, 0xABF0),
    (0xFB1E, 0xFB1F),
    (0xFE20, 0xFE30),
)
"""Where combining marks stand, but for those of ancient scripts and those that vary emoji."""


def _marks() -> str:
    """Return the combining marks as a class of characters."""
    codes = (code for first, end in _BLOCKS for code in range(first, end))
    return "".join(chr(code) for code in codes if unicodedata.category(chr(code))[0] == "M")


_MARKS = _marks()
_ANY = re.compile(f"[{_UNSEGMENTED}][{_MARKS}]*|[^\\W{_UNSEGMENTED}](?:[^\\W{_UNSEGMENTED}]|[{_MARKS}])+")
_ONE = re.compile(f"[{_UNSEGMENTED}]")


def words_of(text: str) -> list[str]:
    """Return the words of a text, in the case that it has.

    >>> words_of("A naive test, of 2 words?")
    ['naive', 'test', 'of', 'words']
    >>> words_of("我爱Python3"), words_of("हिन्दी में"), words_of("cafe\u0301s") == words_of("cafés")
    (['我', '爱', 'Python3'], ['हिन्दी', 'में'], True)
    """
    if text.isascii():
        return _ASCII.findall(text)
    return _ANY.findall(unicodedata.normalize("NFC", text))


def count_words(text: str) -> int:
    """Return how long a text is in words: what stands between spaces, and each character of a script without.

    >>> count_words("a b c."), count_words("我爱你 Python")
    (3, 4)
    """
    n_spaced = len(text.split())
    if text.isascii():
        return n_spaced
    n_characters = len(_ONE.findall(text))
    return n_characters + (len(_ONE.sub(" ", text).split()) if n_characters else n_spaced)
