"""What a drift check publishes, without the personal data that the texts or their columns hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from sentiment.drift.check import DriftVerdict
from sentiment.drift.signals import Sample
from sentiment.reviews.redaction import redact, redact_all


def redacted_sample(sample: Sample) -> Sample:
    """Return a sample whose texts, labels and sources are redacted; what was measured on them stays as it was."""
    return replace(
        sample,
        texts=_all(sample.texts) or (),
        predictions=_all(sample.predictions),
        labels=_all(sample.labels),
        sources=_all(sample.sources),
    )


def redacted_verdict(verdict: DriftVerdict) -> DriftVerdict:
    """Return a verdict whose sentences are redacted: they may name labels, which come from data."""
    signals = (replace(signal, description=redact(signal.description)[0]) for signal in verdict.signals)
    reasons = (redact(reason)[0] for reason in verdict.reasons)
    return replace(verdict, reasons=tuple(reasons), signals=tuple(signals))


def _all(values: Sequence[str | None] | None) -> tuple[str, ...] | None:
    if values is None:
        return None
    column, _ = redact_all(pd.Series(list(values), dtype=object))
    return tuple(column)
