"""The proof that a scorer is its pipeline: the same probabilities, on texts made to tell them apart."""

from __future__ import annotations

import logging

from sentiment.errors import IntegrityError, SentimentError
from sentiment.model_records import ModelVersion
from sentiment.registry import Registry
from sentiment.serving.manifest import Probe, check_same
from sentiment.settings import Settings
from sentiment.storage import Storage

HELD_OUT_PROBES = 200
MANIFEST_PROBES = 8  # the first of the probes travel in the manifest; the Bento answers them before it starts

PROBES = (
    "a wonderful, moving film",
    "not good at all",
    "It was never boring. I would not call it bad!",
    "",
    "   \n\t",
    "!?!?",
    "12345 67 8",
    "GREAT great Great",
    "terrible<br /><br />acting, awful plot",
    "caf\u00e9 na\u00efve \u00fcber \u4f60\u597d \U0001f600",
    "e\u0301 versus \u00e9; \u212b versus \u00c5; \ufb01ne",
    "x" * 5_000,
    "the best " * 1_000,
    "nul \x00 and \u200b zero width \u00a0 space",
    "don't won't can't isn't",
)
"""Texts on which tokenizers and scorers tend to disagree."""

log = logging.getLogger(__name__)


def prove(settings: Settings, registry: Registry, model: ModelVersion) -> tuple[Probe, ...]:
    """Check that a model's scorer reproduces its pipeline, and return what the pipeline answers.

    Raises
    ------
    IntegrityError
        They differ by more than 1e-9 on some text, or the labels differ.
    """
    from sentiment.training.model import TRUSTED_TYPES

    scorer = registry.load_scorer(model)
    pipeline = registry.load_pipeline(model, trusted_types=TRUSTED_TYPES)
    what = f"model version {model.version}"
    if not tuple(pipeline.classes_) == tuple(scorer.labels) == tuple(model.labels):
        raise IntegrityError(
            f"The scorer of {what} knows the labels {tuple(scorer.labels)}, its pipeline {tuple(pipeline.classes_)}.",
            fix="Train and register the model again.",
        )
    texts = [*PROBES, *_held_out(settings, model)]
    expected = pipeline.predict_proba(texts)
    check_same(scorer.probabilities(texts), expected, what=what)
    return tuple(
        Probe(text=text, probabilities=tuple(row))
        for text, row in zip(texts[:MANIFEST_PROBES], expected[:MANIFEST_PROBES].tolist(), strict=True)
    )


def _held_out(settings: Settings, model: ModelVersion) -> list[str]:
    """Return some reviews the model did not learn from; none when its snapshot is gone."""
    from sentiment.reviews.table import parse_snapshot, read_snapshot

    try:
        rows = read_snapshot(Storage(settings), parse_snapshot(model.snapshot), split="test", newest=HELD_OUT_PROBES)
    except SentimentError as error:
        log.info("no held-out probes for version %s: %s", model.version, error)
        return []
    return [str(text) for text in rows["text"]]
