"""What people call the signals, and how their figures are written; cheap to import, for pages that only show them."""

from __future__ import annotations

from types import MappingProxyType

TITLES = MappingProxyType(
    {
        "scores": "Scores",
        "prediction_mix": "Prediction mix",
        "label_mix": "Label mix",
        "text": "Words",
        "unknown_words": "Unknown words",
        "word": "A single word",
        "characters": "Length in characters",
        "words": "Length in words",
        "markup": "Markup and links",
        "language_mix": "Languages",
        "script_mix": "Scripts",
    }
)
"""By the names in `sentiment.drift.signals`."""

_SHARES = frozenset({"prediction_mix", "label_mix", "language_mix", "script_mix", "unknown_words", "word", "markup"})
_DECIMALS = frozenset({"scores", "text"})


def written(name: str, value: float) -> str:
    """Return a signal's figure as people read it: a share in percent, a length as a number."""
    if name in _SHARES:
        return f"{value:.1%}"
    return f"{value:.2f}" if name in _DECIMALS else f"{value:,.0f}"
