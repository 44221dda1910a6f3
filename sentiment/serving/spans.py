"""Where the words of an explanation stand in the text as it was sent."""

from __future__ import annotations

import re
from collections.abc import Callable

from sentiment.features.clean import PATTERN, straight, words
from sentiment.features.steps import NEGATED

_TOKEN = re.compile(PATTERN)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_AHEAD = 64
"""Tokens of the text among which the next counted one is looked for: keeps the time linear."""

Span = list[int]


def spans(text: str, clean: Callable[[str], str], max_ngram: int) -> Callable[[str], list[Span]]:
    """Return the function from a word or word sequence to the places where it stands in the text.

    What is counted is made of the text by cleaning, so each counted token is matched with the next token of the
    text that becomes it. What cleaning made up (the word for an address) stands nowhere.

    Parameters
    ----------
    text : str
        As it was sent; places are counted in its code points, the end exclusive.
    clean : callable
        The cleaning chain of the model.
    max_ngram : int
        Tokens of the longest word sequence.
    """
    counted = words(clean(text))
    places = _places(text, clean, counted)
    found: dict[str, list[Span]] = {}
    for length in range(1, max_ngram + 1):
        for first in range(len(counted) - length + 1):
            begin, end = places[first], places[first + length - 1]
            if begin and end:
                found.setdefault(" ".join(counted[first : first + length]), []).append([begin[0], end[1]])
    return lambda word: found.get(word, [])


def _places(text: str, clean: Callable[[str], str], counted: list[str]) -> list[tuple[int, int] | None]:
    """Return where each counted token stands, None where it cannot be told."""
    written = _written(text, clean)
    places: list[tuple[int, int] | None] = []
    position = 0
    for token in counted:
        forms, last = (token, _plain(token)), min(position + _AHEAD, len(written))
        found = position
        while found < last and written[found][0] not in forms:
            found += 1
        if found < last:
            _, begin, end = written[found]
            places.append((begin, end))
            position = found + 1
        else:
            places.append(None)
    return places


def _written(text: str, clean: Callable[[str], str]) -> list[tuple[str, int, int]]:
    """Return what the tokens of the text become, each alone, and where they begin and end; tags have none."""
    shown = _TAG.sub(lambda tag: " " * len(tag[0]), straight(text))
    forms: dict[str, list[str]] = {}
    written = []
    for match in _TOKEN.finditer(shown):
        if match[0] not in forms:
            forms[match[0]] = words(clean(match[0]))
        written += [(form, *match.span()) for form in forms[match[0]]]
    return written


def _plain(token: str) -> str:
    return token.removesuffix(NEGATED)
