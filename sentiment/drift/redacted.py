"""What a drift check publishes, without the personal data that the texts or their columns hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd

from sentiment.drift.sample import Sample
from sentiment.drift.verdict import DriftVerdict
from sentiment.features.clean import clean
from sentiment.redaction import redact
from sentiment.reviews.redaction import redact_all

_QUOTED = re.compile(r"the word ('[^']+'|\"[^\"]+\")")


def redacted_sample(sample: Sample) -> Sample:
    """Return a sample whose texts, labels and sources are redacted; what was measured on them stays as it was."""
    return replace(
        sample,
        texts=_all(sample.texts) or (),
        predictions=_all(sample.predictions),
        labels=_all(sample.labels),
        sources=_all(sample.sources),
    )


def redacted_verdict(verdict: DriftVerdict, *, texts: Iterable[str]) -> DriftVerdict:
    """Return a verdict whose sentences are redacted: they name labels and words, which come from data.

    A word without its sentence no longer looks like a part of an address or a number, so one that is not in the
    redacted `texts` any more is taken out.
    """
    quoted = {word for signal in verdict.signals for word in _QUOTED.findall(signal.description)}
    kept = {word for text in (map(clean, texts) if quoted else ()) for word in quoted if word[1:-1] in text}

    def silent(sentence: str) -> str:
        for word in quoted - kept:
            sentence = sentence.replace(word, "[redacted]")
        return redact(sentence)[0]

    signals = (replace(signal, description=silent(signal.description)) for signal in verdict.signals)
    return replace(verdict, reasons=tuple(map(silent, verdict.reasons)), signals=tuple(signals))


def _all(values: Sequence[str | None] | None) -> tuple[str, ...] | None:
    if values is None:
        return None
    column, _ = redact_all(pd.Series(list(values), dtype=object))
    return tuple(column)
