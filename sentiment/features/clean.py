"""Cleaning shared by training and serving: lower case, HTML tags out, and what counts as a token."""

import re

MARKS = '!?.,;:"()*/'
"""Punctuation that counts as a token, each mark of its own: quotes and stars tell, as do the ends of sentences."""

PATTERN = rf"[\w']+|[{re.escape(MARKS)}]"
"""A run of word characters and apostrophes (``don't``), or one mark."""

_TAG = re.compile(r"</?[a-z][^<>]*>")
_TOKEN = re.compile(PATTERN)


def clean(text: str) -> str:
    """Return the text in lower case, apostrophes straight, each HTML tag (``<br />``) replaced by a space."""
    text = straight(text.lower())
    return _TAG.sub(" ", text) if "<" in text else text


def straight(text: str) -> str:
    """Return the text with straight apostrophes, so that ``don't`` is one word however it is typed."""
    return text.replace("\u2019", "'")


def words(cleaned: str) -> list[str]:
    """Split a cleaned text into its tokens: the slow, plain definition of what the kernel computes."""
    return _TOKEN.findall(cleaned)
