"""What a drift check measures: how far the current texts are from the reference, signal by signal.

Every signal is a pure two-sample test with an effect size: the p-value says whether a difference is more than
chance, the distance (0 to 1) whether it matters. The champion's own scores come first: a shift in what a
classifier answers is the most powerful cheap sign of a shift in what it is asked (Lipton et al. 2018, "Detecting
and correcting for label shift with black box predictors"; Rabanser et al. 2019, "Failing loudly").

``values`` compares numbers, ``mixes`` categories, ``text`` the words themselves, ``word`` each word by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sentiment.drift.sample import Sample, measure
from sentiment.drift.signals.mixes import mix_shift
from sentiment.drift.signals.signal import Signal
from sentiment.drift.signals.text import text_shift
from sentiment.drift.signals.values import value_shift
from sentiment.drift.signals.word import word_shift

SCORES, PREDICTION_MIX, LABEL_MIX, TEXT, WORD = "scores", "prediction_mix", "label_mix", "text", "word"
UNKNOWN_WORDS, CHARACTERS, WORDS, MARKUP = "unknown_words", "characters", "words", "markup"
LANGUAGE_MIX, SCRIPT_MIX = "language_mix", "script_mix"

NAMES = (
    SCORES, PREDICTION_MIX, LABEL_MIX, TEXT, UNKNOWN_WORDS, WORD, CHARACTERS, WORDS, MARKUP, LANGUAGE_MIX, SCRIPT_MIX
)  # fmt: skip
"""All signals, those about the model first."""

VALUES = {
    SCORES: ("scores", "the mean score (0 negative, 1 positive)"),
    UNKNOWN_WORDS: ("unknown_share", "the mean share of words that are not known"),
    CHARACTERS: ("characters", "the mean number of characters"),
    WORDS: ("words", "the mean number of words"),
    MARKUP: ("markup", "the mean share of characters in tags and links"),
}
"""Signals of numbers: the attribute of a sample, and what its mean is."""

MIXES = {
    PREDICTION_MIX: ("predictions", "the share of the answer {}"),
    LABEL_MIX: ("labels", "the share of the label {}"),
    LANGUAGE_MIX: ("languages", "the share of texts in the language {}"),
    SCRIPT_MIX: ("scripts", "the share of texts in the script {}"),
}
"""Signals of categories: the attribute of a sample, and what the share of one of them is."""

__all__ = [
    "MIXES",
    "VALUES",
    "Sample",
    "Signal",
    "compare",
    "measure",
    "mix_shift",
    "text_shift",
    "value_shift",
    "word_shift",
]


def compare(*, reference: Sample, current: Sample) -> tuple[Signal, ...]:
    """Return every signal that both sides carry, those about the model first."""
    found = {signal.name: signal for signal in _compared(reference, current)}
    return tuple(found[name] for name in NAMES if name in found)


def _compared(reference: Sample, current: Sample) -> Iterator[Signal]:
    for name, (attribute, description) in VALUES.items():
        old, new = getattr(reference, attribute), getattr(current, attribute)
        if old is not None and new is not None:
            yield value_shift(name, reference=old, current=new, description=description)
    for name, (attribute, description) in MIXES.items():
        before, after = known(getattr(reference, attribute)), known(getattr(current, attribute))
        if before is not None and after is not None:
            yield mix_shift(name, reference=before, current=after, description=description)
    yield text_shift(TEXT, reference=reference.features, current=current.features)
    yield word_shift(WORD, reference=reference, current=current)


def known(categories: Sequence[str | None] | None) -> list[str] | None:
    """Return the categories that are there; None if there are none."""
    return [one for one in categories if one is not None] or None if categories is not None else None
