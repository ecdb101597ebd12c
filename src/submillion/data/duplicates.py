"""When two texts count as the same, and what a set of texts is known by."""

import hashlib
import html
import unicodedata
from collections.abc import Iterable

from submillion.data.pairs import TextPair

HASH_LETTERS = 16
"""Letters of a text's sha256 that a run keeps to know its train rows again: 64 bits."""


def normalise_text(text: str) -> str:
    r"""Return the form in which two texts are compared; never what a model reads.

    HTML entities are unescaped, then Unicode NFKC, case folding, and runs of white space made one space.
    Repeated until nothing changes, since one step may lay bare what another acts on (``&amp;lt;``).

    >>> normalise_text("  Fish &amp; CHIPS\n")
    'fish & chips'
    """
    if text.isascii() and "&" not in text:  # the same in one step: no entity, and NFKC changes nothing
        return " ".join(text.lower().split())
    while True:
        folded = unicodedata.normalize("NFKC", html.unescape(text)).casefold()
        result = " ".join(unicodedata.normalize("NFKC", folded).split())
        if result == text:
            return result
        text = result


def text_hashes(texts: Iterable[str]) -> list[str]:
    """Return the sha256, in hexadecimal, of each text's normalised form.

    >>> text_hashes(["A  b"]) == text_hashes(["a b"])
    True
    >>> text_hashes([TextPair("a b", "c")]) == text_hashes([TextPair("a", "b c")])
    False
    """
    return [_sha256(_normal_form(text)) for text in texts]


def _normal_form(text: str) -> str:
    """Return what is hashed; of a pair the seam counts: ("a b", "c") is another than ("a", "b c")."""
    if not isinstance(text, TextPair):
        return normalise_text(text)
    both = normalise_text(text.first), normalise_text(text.second)
    return "\0".join(both) if any(both) else ""


def split_sha256(texts: Iterable[str]) -> str:
    """Return the sha256 by which a split is known again, whatever the order of its rows.

    It is taken over the sorted hashes of the normalised texts, so that a text that stands twice counts
    twice. Empty texts are left out: a reader that needs labels leaves those rows out too.

    >>> split_sha256(["a", "b", " "]) == split_sha256(["B", "a"])
    True
    >>> split_sha256(["a", "b", "b"]) == split_sha256(["a", "b"])
    False
    """
    return sha256_of_hashes(text_hashes(texts))


def sha256_of_hashes(hashes: Iterable[str]) -> str:
    """Return `split_sha256` of the texts that have these `text_hashes`.

    >>> sha256_of_hashes(text_hashes(["a", "b", " "])) == split_sha256(["a", "b", " "])
    True
    """
    return _sha256("\n".join(sorted(text_hash for text_hash in hashes if text_hash != _EMPTY)))


def _sha256(text: str) -> str:
    # Lone surrogates can stand in JSON strings; they are no valid UTF-8 but must still have a hash.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_EMPTY = _sha256("")
