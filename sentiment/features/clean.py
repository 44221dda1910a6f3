"""Cleaning shared by training and serving: lower case, HTML tags out, and what counts as a token."""

import re

PATTERN = r"\w+|[!?]"
"""A run of word characters, or one exclamation or question mark."""

_TAG = re.compile(r"</?[a-z][^<>]*>")
_TOKEN = re.compile(PATTERN)


def clean(text: str) -> str:
    """Return the text in lower case with each HTML tag (``<br />``) replaced by a space."""
    text = text.lower()
    return _TAG.sub(" ", text) if "<" in text else text


def words(cleaned: str) -> list[str]:
    """Split a cleaned text into its tokens: the slow, plain definition of what the kernel computes."""
    return _TOKEN.findall(cleaned)
