"""When two texts are the same review, and when they are so near that they must be held out together.

The id of a review is a hash of its normal form: case, white space and HTML line breaks do not count. The split is a
hash of its letters and digits alone, so that ``Great film!`` and ``great film`` are two reviews on one side of it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_NEITHER_LETTER_NOR_DIGIT = re.compile(r"[\W_]+")
_ASCII_OTHERS = bytes(code for code in range(128) if not chr(code).isalnum())
_ID_DIGITS = 32
_SPLIT_DIGITS = 13  # 52 bits: exact in a float


def normalise(text: str) -> str:
    """Return what two texts share when they are the same review.

    Compatibility characters (NFKC), case, white space and HTML line breaks do not count.
    """
    text = unicodedata.normalize("NFKC", _BREAK.sub(" ", text)).casefold()
    return " ".join(unicodedata.normalize("NFKC", text).split())


def letters_and_digits(text: str) -> str:
    """Return what near copies of a text share: its letters and digits, without case, accents and gaps.

    Every character counts by itself, whatever stands next to it (hence NFKD: a mark never joins its letter).
    """
    text = unicodedata.normalize("NFKD", text)
    text = _BREAK.sub("", text) if "<" in text else text
    if text.isascii():  # the same, five times as fast
        return text.lower().encode().translate(None, _ASCII_OTHERS).decode()
    text = text.upper().casefold()
    return _NEITHER_LETTER_NOR_DIGIT.sub("", unicodedata.normalize("NFKD", text))


def review_id_of(text: str) -> str:
    """Return the id of a review: 32 hexadecimal digits of the SHA-256 of its normal form."""
    return hash_of(normalise(text))


def hash_of(normal: str) -> str:
    """Return the id of the review that has this normal form."""
    return hashlib.sha256(normal.encode()).hexdigest()[:_ID_DIGITS]


def split_of(text: str, test_share: float) -> str:
    """Return ``"test"`` for a stable `test_share` of the texts, else ``"train"``; near copies share a side."""
    same = letters_and_digits(text) or normalise(text)  # nothing but ":)" has only that
    position = int(hash_of(same)[:_SPLIT_DIGITS], 16) / 16**_SPLIT_DIGITS
    return "test" if position < test_share else "train"
