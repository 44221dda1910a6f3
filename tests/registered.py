"""A registry with trained versions, without a gate to pass."""

from __future__ import annotations

from collections.abc import Sequence

from sentiment.labels import LabelScheme
from sentiment.ledger import Ledger
from sentiment.registry import Registry
from sentiment.reviews.sample import generate
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.model import TRUSTED_TYPES, compile_scorer, fit


def register(settings: Settings, versions: Sequence[str]) -> Registry:
    """Train and register versions, each on reviews of its own; none of them is champion."""
    registry = Registry(settings)
    for version in versions:
        reviews = list(generate("film", 300, seed=int(version)))
        pipeline = fit(
            [review.text for review in reviews],
            [review.label for review in reviews],
            settings=settings.training,
            scheme=LabelScheme.binary,
        )
        candidate = registry.log_candidate(
            key=version,
            pipeline=pipeline,
            scorer=compile_scorer(pipeline),
            trusted_types=TRUSTED_TYPES,
            params={},
            metrics={"accuracy": 0.9},
            tags={
                "sentiment.snapshot": "reviews@v1",
                "sentiment.labels": '["negative", "positive"]',
                "sentiment.train_rows": "240",
                "sentiment.test_rows": "60",
            },
        )
        Ledger(Storage(settings)).append(
            "trained",
            run_id=candidate.run_id,
            digests={"model": candidate.digest, "pipeline": candidate.pipeline_digest},
        )
        registry.register(candidate, decision="promote")
    return registry


def crown(registry: Registry, *versions: str) -> None:
    """Make versions champion in this order."""
    for version in versions:
        before = registry.champion_or_none()
        registry.promote(version, expected=before.version if before else None, reason="better")
