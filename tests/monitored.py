"""A platform whose state has something of everything, for those who look at it from outside."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from sentiment.ledger import Ledger
from sentiment.reviews.ingest import ingest
from sentiment.settings import Settings
from sentiment.storage import Storage


def live_through(settings: Settings, *, champion: str = "1") -> None:
    """Take in rows of which one is refused, train, judge, promote, deploy; check drift; leave files waiting."""
    storage = Storage(settings)
    storage.write("inbox/one.csv", b"text,label\na lovely film,pos\na dreadful film,neg\nneither of them,perhaps\n")
    ingest(settings)
    storage.write("inbox/two.csv", b"text,label\na lovely lid,pos\n")
    for kind in ("predictions", "feedback", "rejected"):
        storage.write(f"landing/{kind}/20260101T000000-{kind}.parquet", b"not yet read")
    ledger, run = Ledger(storage), f"run-{champion}"
    ledger.append("trained", run_id=run, snapshot="reviews@v1")
    ledger.append("decided", model_version=champion, run_id=run, detail={"outcome": "promote"})
    ledger.append("promoted", model_version=champion, run_id=run, snapshot="reviews@v1", reason="first model")
    ledger.append("deployed", model_version=champion)
    check_drift(storage, "watch", at=datetime.now(UTC))


def check_drift(storage: Storage, state: str, *, at: datetime) -> None:
    """Leave the verdict of a drift check."""
    share = {"rows": 10, "correct": 9, "value": 0.9, "low": 0.6, "high": 0.98}
    verdict = {
        "state": state,
        "reasons": ["because"],
        "signals": [{"name": "scores", "distance": 0.04, "threshold": 0.05}, {"name": "text", "distance": 0.2}],
        "reference_rows": 500,
        "current_rows": 200,
        "live_accuracy": share,
        "estimated_accuracy": {**share, "value": 0.85},
        "reference_accuracy": {**share, "value": 0.92},
    }
    check = {"start": (at - timedelta(days=7)).isoformat(), "end": at.isoformat(), "champion": "1", "verdict": verdict}
    storage.write(f"reports/drift/{at:%Y%m%dT%H%M%S}-v1-0a1b2c3d/verdict.json", json.dumps(check).encode())
