"""Texts that hold half a character: what no tokenizer takes and no file holds.

Python's strings and JSON's escapes can hold one half of a surrogate pair, as where a tweet was cut within an emoji.
"""

from submillion.data.pairs import TextPair


def is_whole(text: str) -> bool:
    r"""Whether a text has a form in UTF-8.

    >>> is_whole("caf\u00e9"), is_whole("cut \ud83d")
    (True, False)
    """
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def made_whole(text: str) -> str:
    r"""Return a text with U+FFFD, the replacement character, for each half; two halves that belong together are joined.

    >>> made_whole("cut \ud83d") == "cut \ufffd", made_whole("\ud83d\ude00") == "\U0001f600"
    (True, True)
    """
    if is_whole(text):
        return text
    if isinstance(text, TextPair):
        return TextPair(made_whole(text.first), made_whole(text.second))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
