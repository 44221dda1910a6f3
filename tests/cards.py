"""A model card of invented figures, always the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from sentiment.model_records import ModelVersion
from sentiment.reviews.versions import SnapshotSummary
from sentiment.training.card_facts import CardFacts, DriftContext
from sentiment.training.evaluation import assess
from sentiment.training.gate import Check, Decision, Outcome
from sentiment.training.slices import Traits

NAMES = ("negative", "positive")


def facts(*, source: str = "shop", outcome: Outcome = Outcome.promote) -> CardFacts:
    """Return the facts of version 7, judged against version 5."""
    decision = _decision(outcome)
    version = ModelVersion(
        version="7",
        run_id="0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        snapshot="reviews@v12",
        digest="ab" * 32,
        labels=NAMES,
        metrics={"accuracy": 0.9},
        decision=outcome.value,
        aliases=("challenger",),
        created_at=datetime(2026, 6, 3, 14, 7, tzinfo=UTC),
        pipeline_digest="cd" * 32,
        code="0.3.0",
    )
    rng = np.random.default_rng(7)
    positive = np.clip(rng.beta(0.5, 0.5, 600), 0.01, 0.99)
    labels = [NAMES[int(rng.random() < share)] for share in positive]
    texts = [("not " if i % 3 else "") + "word " * int(rng.integers(1, 300)) for i in range(600)]
    traits = Traits.of(texts, labels=labels, sources=[source if i % 2 else "film" for i in range(600)])
    return CardFacts(
        model="sentiment",
        version=version,
        train_rows=2_400,
        test_rows=600,
        data=SnapshotSummary(
            snapshot="reviews@v12",
            rows=3_050,
            labels={"(none)": 50, "negative": 1_000, "positive": 2_000},
            splits={"test": 600, "train": 2_450},
            sources={source: 2_000, "film": 1_050},
            contracts={"2": 3_050},
            digest="0123456789abcdef" * 2,
        ),
        written=(datetime(2024, 1, 2, tzinfo=UTC), datetime(2026, 5, 30, tzinfo=UTC)),
        evaluation=assess(np.column_stack([1 - positive, positive]), NAMES, traits=traits),
        decision=decision,
        policy={"margin": 0.01, "alpha": 0.05, "behaviour": {"file": ""}, "mode": "enforce"},
        training={"inverse_regularization": "20.0", "max_ngram": "3", "scheme": "binary", "seed": "0"},
        requirements=("numpy==2.4.6", "scikit-learn==1.9.1"),
        drift=DriftContext(
            check="20260601T060000-v5-0a1b2c3d",
            state="drifted",
            reasons=("The scores moved: distance 0.21, at least 0.10 matters.", "The live accuracy fell by 6 points."),
            report="reports/drift/20260601T060000-v5-0a1b2c3d/report.html",
        ),
    )


def first_model() -> CardFacts:
    """Return the facts of a first model of which little is left: no snapshot, evaluation, drift check or champion."""
    found = facts(outcome=Outcome.inconclusive)
    check = Check("first_model", Outcome.inconclusive, {}, "First model: 40 held-out reviews are too few to be sure.")
    decision = Decision(Outcome.inconclusive, None, "reviews@v12", (check,), {})
    return replace(found, data=None, written=None, evaluation=None, drift=None, decision=decision)


def _decision(outcome: Outcome) -> Decision:
    said = {
        Outcome.promote: "No worse than the champion: accuracy +0.4 points, at least -0.6 points with 95% confidence.",
        Outcome.reject: "Worse than the champion: accuracy -3.2 points; at most 1.0 points may be lost.",
        Outcome.inconclusive: "Not proved: accuracy -0.4 points. Needs about 900 more labelled reviews.",
    }
    yes = Outcome.promote
    checks = (
        Check("non_inferiority", outcome, {"difference": 0.004}, said[outcome]),
        Check("superiority", yes, {"p_value": 0.4}, "Not shown to be better: right on 31 reviews, wrong on 29."),
        Check("slice with negation", yes, {"rows": 400}, "with negation: accuracy -0.5 points on 400 reviews."),
        Check("behaviour negation", yes, {"failed": 2}, "2 of 40 cases fail, 3 of the champion's."),
        Check("behaviour typo", yes, {"failed": 0}, "0 of 40 cases fail, 1 of the champion's."),
        Check("calibration", yes, {"error": 0.02}, "Calibration error 2.0%, the champion's 2.2%."),
    )
    slices = {
        "all": {"rows": 600, "challenger": 0.9, "champion": 0.896},
        "with negation": {"rows": 400, "challenger": 0.88, "champion": 0.885},
    }
    return Decision(outcome, "5", "reviews@v12", checks, slices)
