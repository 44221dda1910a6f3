"""What texts look like, whatever they say: words, markup, script. Each is told of many texts at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sentiment.features.tokens import batches

_TAGS, _ENTITIES, _LINKS = r"</?[a-zA-Z][^<>]*>", r"&#?\w{2,8};", r"https?://\S+|www\.\S+"
_TAG, _ENTITY = re.compile(_TAGS), re.compile(_ENTITIES)
_MARKUP = re.compile(f"{_TAGS}|{_ENTITIES}|{_LINKS}")
_SCRIPTS: tuple[tuple[str, str], ...] = (
    ("Latin", r"A-Za-z\u00c0-\u024f\u1e00-\u1eff"),
    ("Greek", r"\u0370-\u03ff\u1f00-\u1fff"),
    ("Cyrillic", r"\u0400-\u052f"),
    ("Hebrew", r"\u0590-\u05ff"),
    ("Arabic", r"\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff"),
    ("Indic", r"\u0900-\u0dff"),
    ("Thai", r"\u0e00-\u0e7f"),
    ("Kana", r"\u3040-\u30ff"),
    ("Hangul", r"\u1100-\u11ff\uac00-\ud7af"),
    ("Han", r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"),
)
_OF_SCRIPT = tuple((name, re.compile(f"[{letters}]")) for name, letters in _SCRIPTS)
_ASCII_LETTER = re.compile("[A-Za-z]")
_LAST_SPACE = 0x3000  # the ideographic one
_SEEN_OF_SCRIPT = 300  # characters of a text by which its script is told


def word_counts(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the number of words of each text, as white space parts them: that of ``text.split()``."""
    counts = np.empty(len(texts))
    for batch in batches(texts):
        counts[batch] = _word_counts(texts[batch])
    return counts


def markup_shares(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the share of each text's characters that are HTML tags, entities or links."""
    return np.fromiter(map(_markup_share, texts), dtype=np.float64, count=len(texts))


def scripts_of(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the script that each text begins in; "none" for a text without letters."""
    return tuple(map(_script_of, texts))


def _word_counts(texts: Sequence[str]) -> NDArray[np.int64]:
    """Count the characters that are no white space and follow some, or the start of a text."""
    joined = " ".join(texts)
    try:
        spaces = joined.encode("latin-1").translate(_spaces()[:0x100].tobytes())
    except UnicodeEncodeError:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
        spaces = _spaces().take(codes, mode="clip").tobytes()
    is_space = np.frombuffer(b"\1" + spaces, np.bool_)
    starts = np.flatnonzero(is_space[:-1] > is_space[1:])
    ends = np.cumsum([len(text) + 1 for text in texts])
    return np.diff(starts.searchsorted(ends), prepend=0)


@lru_cache
def _spaces() -> NDArray[np.uint8]:
    """Which code points are white space, asked of Python itself; one beyond the last stands for all that follow."""
    return np.fromiter((chr(code).isspace() for code in range(_LAST_SPACE + 2)), np.uint8, _LAST_SPACE + 2)


def _markup_share(text: str) -> float:
    tags, entities = "<" in text, "&" in text
    if (tags and entities) or "://" in text or "www." in text:
        found = _MARKUP.findall(text)
    elif tags:
        found = _TAG.findall(text)  # looking for nothing else is three times as fast
    elif entities:
        found = _ENTITY.findall(text)
    else:
        return 0.0
    return sum(map(len, found)) / len(text)


def _script_of(text: str) -> str:
    start = text[:_SEEN_OF_SCRIPT]
    if start.isascii():
        return "Latin" if _ASCII_LETTER.search(start) else "none"
    counts = {name: len(letters.findall(start)) for name, letters in _OF_SCRIPT}
    most = max(counts, key=counts.__getitem__)
    if counts[most]:
        return most
    return "other" if any(map(str.isalpha, start)) else "none"
