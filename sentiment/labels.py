"""Label schemes: which labels exist and how what people deliver becomes one of them."""

import math
import re
from enum import StrEnum
from types import MappingProxyType


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

_WORDS = MappingProxyType(
    {
        "neg": "negative", "negative": "negative", "bad": "negative", "-1": "negative", "false": "negative",
        "neu": "neutral", "neutral": "neutral",
        "pos": "positive", "positive": "positive", "good": "positive", "true": "positive",
    }
)  # fmt: skip


def label_of_word(value: object, scheme: LabelScheme) -> str | None:
    """Return the label that a delivered label means (``pos``, ``Negative``, ``0``, ``5``), or None.

    For `binary`, the digits 0 and 1 mean negative and positive, as most published data sets have it.
    """
    text = _text(value)
    if scheme is LabelScheme.five_star:
        return text if text in LABELS[scheme] else None
    if scheme is LabelScheme.binary and text in {"0", "1"}:
        return LABELS[scheme][int(text)]
    label = _WORDS.get(text)
    return label if label in LABELS[scheme] else None


def label_of_rating(value: object, scheme: LabelScheme, *, stars: int = 5) -> str | None:
    """Return the label that a rating of 1 to `stars` means under a scheme, or None if it means none.

    The middle rating is `neutral`; `binary` has no place for it. On a scale of ten, 5 and 6 are the middle.
    """
    try:
        rating = float(str(value))
    except ValueError:
        return None
    if not math.isfinite(rating) or not 1 <= rating <= stars:
        return None
    if scheme is LabelScheme.five_star:
        return str(min(5, max(1, math.ceil(rating * 5 / stars))))
    position = (rating - 1) / (stars - 1)  # 0 worst, 1 best
    word = "negative" if position < 0.4 else "positive" if position > 0.6 else "neutral"
    return word if word in LABELS[scheme] else None


def _text(value: object) -> str:
    return re.sub(r"^(-?\d+)\.0+$", r"\1", str(value).strip().lower())
