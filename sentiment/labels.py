"""Label schemes: which labels exist and how what people deliver becomes one of them."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class LabelScheme(StrEnum):
    """`binary` (negative, positive), `ternary` (with neutral) or `five_star` (1 to 5)."""

    binary = "binary"
    ternary = "ternary"
    five_star = "five_star"


LABELS = MappingProxyType(
    {
        LabelScheme.binary: ("negative", "positive"),
        LabelScheme.ternary: ("negative", "neutral", "positive"),
        LabelScheme.five_star: ("1", "2", "3", "4", "5"),
    }
)
"""The labels of each scheme, from the most negative to the most positive."""

NOTHING_SET: Mapping[Any, str] = MappingProxyType({})

_WORDS = MappingProxyType(
    {
        "neg": "negative", "negative": "negative", "bad": "negative", "-1": "negative", "false": "negative",
        "neu": "neutral", "neutral": "neutral",
        "pos": "positive", "positive": "positive", "good": "positive", "true": "positive",
    }
)  # fmt: skip


def plain_label(value: object) -> str:
    """Return a delivered label without case, blanks around it and a needless ``.0``."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", str(value).strip().lower())


def label_of_word(value: object, scheme: LabelScheme, *, words: Mapping[str, str] = NOTHING_SET) -> str | None:
    """Return the label that a delivered label means (``pos``, ``Negative``, ``0``, ``5``), or None.

    For `binary`, the digits 0 and 1 mean negative and positive, as most published data sets have it. What `words`
    say, by plain label, comes first.
    """
    text = plain_label(value)
    if text in words:
        return words[text]
    if scheme is LabelScheme.five_star:
        return text if text in LABELS[scheme] else None
    if scheme is LabelScheme.binary and text in {"0", "1"}:
        return LABELS[scheme][int(text)]
    label = _WORDS.get(text)
    return label if label in LABELS[scheme] else None


def label_of_rating(
    value: object, scheme: LabelScheme, *, stars: int = 5, ratings: Mapping[int, str] = NOTHING_SET
) -> str | None:
    """Return the label that a rating of 1 to `stars` means under a scheme, or None if it means none.

    The middle rating is `neutral`; `binary` has no place for it. On a scale of ten, 5 and 6 are the middle.
    `ratings` replace this rule: they name the labels of 1 to 5, or of 1 to 10 if one of them is above 5. A rating on
    the other scale is halved or doubled, and what then lies between two is the greater.
    """
    try:
        rating = float(str(value))
    except ValueError:
        return None
    if not math.isfinite(rating) or not 1 <= rating <= stars:
        return None
    if ratings:
        scale = 10 if max(ratings) > 5 else 5
        return ratings.get(math.ceil(rating * scale / stars))
    if scheme is LabelScheme.five_star:
        return str(min(5, max(1, math.ceil(rating * 5 / stars))))
    position = (rating - 1) / (stars - 1)  # 0 worst, 1 best
    word = "negative" if position < 0.4 else "positive" if position > 0.6 else "neutral"
    return word if word in LABELS[scheme] else None
