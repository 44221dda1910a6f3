"""The drift check of the champion: reads what to compare, has it judged, and publishes the outcome.

A check looks at a window as somebody would have at its end: with the champion of then, the answers and labels that
were in the tables by then, and only the checks before it. So a check that is made again later, by a retry or a
backfill, says what it would have said, under the same id.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from sentiment.drift.accuracy import Accuracy, measure_accuracy
from sentiment.drift.archive import DriftCheck, fingerprint, list_checks, publish_check, read_check
from sentiment.drift.calibrations import calibrated
from sentiment.drift.check import judge_samples
from sentiment.drift.kept_measures import Role, measured_once
from sentiment.drift.reading import read_side, with_labels_of
from sentiment.drift.sample import Sample
from sentiment.drift.sampling import Row, SampledRows, digest
from sentiment.drift.scoring import sample_of, scored, sources_of
from sentiment.drift.sides import SnapshotSide, WindowSide
from sentiment.drift.verdict import State
from sentiment.errors import DataError
from sentiment.reviews.table import TIMESTAMP, Reviews, parse_snapshot, read_snapshot, snapshot_before
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

    The reference are the newest held-out rows of the champion's snapshot; current are rows of the window that this
    champion answered, so that what made it take over is not held against it. Labelled reviews newer than the
    champion's snapshot, wherever they were split to, give its live accuracy. All of it as of the end of the window.

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
        Nothing had been promoted yet at the end of the window.
    DataError
        The window is empty or has no timezone, or the champion's snapshot is labelled in another scheme.
    """
    window = WindowSide(start if start is not None else end - timedelta(days=settings.drift.window_days), end)
    champion = registry.champion_at(window.end)
    seen = _gather(settings, champion, registry.load_scorer(champion), window)
    storage, rows = Storage(settings), len(seen.current)
    verdict = judge_samples(
        reference=seen.reference,
        current=seen.current,
        live_accuracy=seen.live_accuracy,
        reference_accuracy=seen.reference_accuracy,
        labelled=seen.labelled,
        policy=settings.drift,
        calibration=calibrated(
            storage,
            seen.reference,
            identity=seen.reference_identity,
            champion=champion.digest,
            current_rows=rows,
            policy=settings.drift,
        ),
        earlier=_found_before(storage, champion.version, window, most=settings.drift.confirm_of - 1),
    )
    key = fingerprint(champion.digest, champion.snapshot, seen.key, str(window), settings.drift.model_dump())
    check = DriftCheck(
        id=f"{window.end:%Y%m%dT%H%M%S}-v{champion.version}-{key}",
        verdict=verdict,
        start=window.start,
        end=window.end,
        champion=champion.version,
        snapshot=champion.snapshot,
        latest_snapshot=seen.latest_snapshot,
    )
    logger.info("drift check %s: %s. %s", check.id, verdict.state, verdict.reasons[0])
    if not publish:
        return check
    facts = {
        "Champion": f"version {champion.version}, learned from {champion.snapshot}",
        "Window": f"{window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC",
        **seen.left_out,
    }
    return publish_check(storage, check, facts=facts, reference=seen.reference, current=seen.current)


def _found_before(storage: Storage, champion: str, window: WindowSide, *, most: int) -> list[State]:
    """Return what the checks of windows of this length that ended earlier found by themselves, the newest first."""
    found: dict[datetime, State] = {}
    for check_id in list_checks(storage) if most else ():
        if f"-v{champion}-" not in check_id or check_id > f"{window.end:%Y%m%dT%H%M%S}~":
            continue
        check = read_check(storage, check_id)
        if check and check.start and check.end and check.end < window.end:
            if check.end - check.start == window.end - window.start:
                found.setdefault(check.end, check.verdict.alone or check.verdict.state)
            if len(found) == most:
                break
    return [found[end] for end in sorted(found, reverse=True)]


@dataclass(frozen=True)
class _Evidence:
    reference: Sample
    current: Sample
    labelled: Sample
    reference_accuracy: Accuracy | None
    live_accuracy: Accuracy | None
    latest_snapshot: str | None
    reference_identity: str
    key: str
    left_out: dict[str, str]


def _gather(settings: Settings, champion: ModelVersion, scorer: Scorer, window: WindowSide) -> _Evidence:
    policy, storage, learned = settings.drift, Storage(settings), parse_snapshot(champion.snapshot)
    tested_on = SnapshotSide(learned, held_out=True)
    asked = WindowSide(window.start, window.end, answered_by=champion.version, known_by=window.end)
    held_out = _labelled_rows(read_snapshot(storage, learned, split="test", newest=policy.reference_rows))
    answered = read_side(settings, asked, most=policy.current_rows, role="current")
    identity = digest(held_out)
    reference = _measured(storage, held_out, "reference", identity, champion, scorer, side=tested_on)
    labelled, latest = _newly_labelled(storage, learned, before=window.end, newest=policy.current_rows)
    fresh = _labelled_rows(labelled[labelled["label"].isin(scorer.labels)])  # another scheme says nothing of this one
    newest = _measured(storage, fresh, "labelled", digest(fresh), champion, scorer, side=tested_on)
    return _Evidence(
        reference=reference,
        current=sample_of(answered, scorer, side=asked, version=champion.version),
        reference_accuracy=accuracy_of(reference.labels, reference.predictions),
        labelled=newest,
        live_accuracy=accuracy_of(newest.labels, newest.predictions),
        latest_snapshot=latest,
        reference_identity=identity,
        key=fingerprint(latest, identity, digest(answered)),
        left_out=how_many(reference=held_out, current=answered),
    )


def _labelled_rows(rows: pd.DataFrame) -> SampledRows:
    return SampledRows(tuple(map(Row, rows["text"], rows["label"], rows["source"])), of=len(rows))


def _measured(
    storage: Storage,
    kept: SampledRows,
    role: Role,
    identity: str,
    champion: ModelVersion,
    scorer: Scorer,
    *,
    side: SnapshotSide,
) -> Sample:
    """Measure labelled rows, or read what an earlier check measured."""
    labels = with_labels_of(kept.rows, scorer.labels, side=side, must_know=True)
    measured = measured_once(
        storage,
        [row.text for row in kept.rows],
        identity=identity,
        champion=champion.digest,
        role=role,
        measured=partial(scored, scorer=scorer),
    )
    return measured.with_labels(labels, sources=sources_of(kept))


def _newly_labelled(
    storage: Storage, learned: int, *, before: datetime, newest: int
) -> tuple[pd.DataFrame, str | None]:
    """Read the labelled rows that came after everything that the champion learned from and before a moment."""
    reviews, by, is_labelled = Reviews(storage), ("ingested_at", "review_id"), pads.field("label").is_valid()
    last = pc.max(reviews.read(columns=["ingested_at"], where=is_labelled, version=learned)["ingested_at"])
    then = snapshot_before(storage, before)
    if then is None or not last.is_valid:
        return reviews.schema.empty_table().to_pandas(), None
    came = pads.field("ingested_at")
    where = is_labelled & (came > last) & (came < pa.scalar(before, TIMESTAMP))
    try:
        rows = reviews.read_newest(newest, by=by, where=where, version=then)
    except DataError:  # that version was tidied away; the rows are in the newest one
        rows = reviews.read_newest(newest, by=by, where=where)
    return rows, f"reviews@v{then}"


def accuracy_of(labels: Sequence[str | None] | None, answered: Sequence[str] | None) -> Accuracy | None:
    """Return the share of right answers among the rows that have a label; None if none has one."""
    pairs = [pair for pair in zip(labels or (), answered or (), strict=False) if pair[0] is not None]
    if not pairs:
        return None
    return measure_accuracy(correct=sum(label == answer for label, answer in pairs), rows=len(pairs))


def how_many(*, reference: SampledRows, current: SampledRows) -> dict[str, str]:
    """Say which sides were sampled; nothing if all rows were taken."""
    sides = (("reference", reference), ("current", current))
    said = [f"{len(kept.rows):,} of {kept.of:,} {name} rows" for name, kept in sides if len(kept.rows) < kept.of]
    return {"Sampled": " and ".join(said)} if said else {}
