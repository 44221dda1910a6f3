"""The drift check end to end: reads what to compare, has it judged, and publishes the outcome."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sentiment.drift.accuracy import Accuracy, measure_accuracy
from sentiment.drift.archive import DriftCheck, fingerprint, publish_check
from sentiment.drift.calibrations import calibrated
from sentiment.drift.check import judge_samples
from sentiment.drift.sample import Sample, measure
from sentiment.errors import DataError
from sentiment.reviews.predictions import read_predictions
from sentiment.reviews.table import latest_snapshot, parse_snapshot, read_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage

if TYPE_CHECKING:
    import pandas as pd

    from sentiment.model_records import ModelVersion
    from sentiment.registry import Registry
    from sentiment.serving.scorer import Scorer

logger = logging.getLogger(__name__)


def check_drift(
    settings: Settings,
    *,
    registry: Registry,
    end: datetime,
    start: datetime | None = None,
    publish: bool = True,
) -> DriftCheck:
    """Compare what the champion was asked in a window with what it was tested on.

    The reference is the newest held-out rows of the champion's snapshot; current is the newest predictions
    in the window that this champion answered, so that what made it take over is not held against it. Labelled
    reviews newer than the champion's snapshot, wherever they were split to, give its live accuracy.

    Parameters
    ----------
    settings : Settings
    registry : Registry
        Where the champion is.
    end, start : datetime
        The window, `end` excluded; without `start`, ``drift.window_days`` before `end`.
    publish : bool
        Write the report and the verdict to the storage.

    Raises
    ------
    NoChampionError
        Nothing has been promoted yet.
    DataError
        The window is empty or has no timezone.
    """
    start = start if start is not None else end - timedelta(days=settings.drift.window_days)
    _check_window(start, end)
    start, end, storage = start.astimezone(UTC), end.astimezone(UTC), Storage(settings)
    champion = registry.champion()
    seen = _gather(settings, storage, champion, registry.load_scorer(champion), start=start, end=end)
    verdict = judge_samples(
        reference=seen.reference,
        current=seen.current,
        live_accuracy=seen.live_accuracy,
        reference_accuracy=seen.reference_accuracy,
        policy=settings.drift,
        calibration=calibrated(
            storage, seen.reference, champion=champion.digest, current_rows=len(seen.current), policy=settings.drift
        ),
    )
    key = fingerprint(champion.digest, champion.snapshot, seen.key, str(start), settings.drift.model_dump())
    check = DriftCheck(
        id=f"{end:%Y%m%dT%H%M%S}-v{champion.version}-{key}",
        verdict=verdict,
        start=start,
        end=end,
        champion=champion.version,
        snapshot=champion.snapshot,
        latest_snapshot=seen.latest_snapshot,
    )
    logger.info("drift check %s: %s. %s", check.id, verdict.state, verdict.reasons[0])
    if not publish:
        return check
    facts = {
        "Champion": f"version {champion.version}, learned from {champion.snapshot}",
        "Window": f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
    }
    return publish_check(storage, check, facts=facts, reference=seen.reference, current=seen.current)


def _check_window(start: datetime, end: datetime) -> None:
    for name, bound in (("start", start), ("end", end)):
        if bound.tzinfo is None:
            raise DataError(
                f"The {name} of the window, {bound.isoformat()}, has no timezone.",
                fix="Give it in UTC, as in ...+00:00.",
            )
    if start >= end:
        raise DataError(
            f"The window is empty: it starts at {start.isoformat()} and ends at {end.isoformat()}.",
            fix="Give a start before the end.",
        )


@dataclass(frozen=True)
class _Evidence:
    reference: Sample
    current: Sample
    reference_accuracy: Accuracy | None
    live_accuracy: Accuracy | None
    latest_snapshot: str | None
    key: str


def _gather(
    settings: Settings,
    storage: Storage,
    champion: ModelVersion,
    scorer: Scorer,
    *,
    start: datetime,
    end: datetime,
) -> _Evidence:
    policy, learned = settings.drift, parse_snapshot(champion.snapshot)
    held_out = read_snapshot(storage, learned, split="test", newest=policy.reference_rows)
    asked = read_predictions(storage, start=start, end=end, model_version=champion.version, newest=policy.current_rows)
    fresh, latest = _newly_labelled(storage, learned, newest=policy.current_rows)
    reference = scored(held_out["text"].tolist(), scorer)
    return _Evidence(
        reference=reference,
        current=scored(asked["text"].tolist(), scorer),
        reference_accuracy=_accuracy(held_out["label"].tolist(), reference.predictions),
        live_accuracy=_accuracy(fresh["label"].tolist(), answers(fresh["text"].tolist(), scorer)),
        latest_snapshot=latest,
        key=fingerprint(latest, asked["request_id"].tolist()),
    )


def _newly_labelled(storage: Storage, learned: int, *, newest: int) -> tuple[pd.DataFrame, str | None]:
    """Read the labelled rows that came after everything in the snapshot that the champion learned from."""
    last = read_snapshot(storage, learned, newest=1)
    latest = latest_snapshot(storage)
    if latest is None or last.empty:
        return last.iloc[:0], None
    rows = read_snapshot(storage, latest.version, newest=newest)
    return rows[rows["ingested_at"] > last["ingested_at"].max()], str(latest)


def scored(texts: list[str], scorer: Scorer) -> Sample:
    """Measure texts, with what a scorer answers to them."""
    probabilities, unknown_share = scorer.read(texts)
    return measure(
        texts,
        scores=scorer.scores_of(probabilities),
        predictions=[scorer.labels[column] for column in probabilities.argmax(axis=1)],
        confidence=probabilities.max(axis=1, initial=0.0),
        unknown_share=unknown_share,
    )


def answers(texts: list[str], scorer: Scorer) -> list[str]:
    """Return the likeliest label of each text."""
    if not texts:
        return []
    return [scorer.labels[column] for column in scorer.probabilities(texts).argmax(axis=1)]


def _accuracy(labels: Sequence[str], answered: Sequence[str] | None) -> Accuracy | None:
    if not labels or not answered:
        return None
    correct = sum(label == answer for label, answer in zip(labels, answered, strict=True))
    return measure_accuracy(correct=correct, rows=len(labels))
