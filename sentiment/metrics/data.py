"""What the tables and the landing zone say of data: how much, how fresh, how much of it was refused, what waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import pyarrow.dataset as pads
from prometheus_client.core import GaugeMetricFamily

from sentiment.errors import storage_errors
from sentiment.metrics.families import gauge, gauges
from sentiment.reviews.feedback import Feedback
from sentiment.reviews.held import held_batches
from sentiment.reviews.inbox import INBOX
from sentiment.reviews.predictions import Predictions
from sentiment.reviews.table import UPKEEP, Quarantine, Reviews, Table
from sentiment.settings import Settings
from sentiment.storage import Storage

WAITING = 5_000
"""Most objects in a folder of the landing zone that are counted on S3; the oldest are among them."""

_COMMITS = 200  # that are looked at for the newest one that added rows; maintenance makes three a day
_DAY = timedelta(days=1)


def data_metrics(settings: Settings, storage: Storage, now: datetime) -> Iterator[GaugeMetricFamily]:
    """Yield what the tables say of data; what there is nothing of yet is left out."""
    tables = (Reviews(storage), Quarantine(storage), Predictions(storage), Feedback(storage))
    changed, rows = {}, {}
    for table in tables:
        if commit := _last_change(table):
            changed[table.name] = commit["timestamp"] / 1000
            rows[table.name] = _count(table)
            if table.name == "reviews":
                yield gauge("snapshot_version", "Version of the newest snapshot.", commit["version"])
    yield gauges("table_rows", "Rows of each table.", "table", rows)
    yield gauges("table_changed_timestamp_seconds", "When rows of each table changed last.", "table", changed)
    text = "Rows of files and feedback that came in the last 24 hours: `accepted`, or why they were refused."
    yield gauges("day_rows", text, "outcome", _of_a_day(storage, now))


def waiting_metrics(settings: Settings, storage: Storage, now: datetime) -> Iterator[GaugeMetricFamily]:
    """Yield what has been delivered and is not in the tables yet."""
    places = {"inbox": INBOX, **{kind: f"landing/{kind}" for kind in ("predictions", "feedback", "rejected")}}
    waiting, oldest = {}, {}
    for name, place in places.items():
        found = storage.objects(place, most=WAITING)
        waiting[name] = len(found)
        if found:
            oldest[name] = min(item.modified for item in found)
    yield gauges("waiting_files", "Files that are not in the tables yet, by where they lie.", "place", waiting)
    yield gauges("waiting_since_timestamp_seconds", "Since when the oldest of them has waited.", "place", oldest)
    yield gauge("held_batches", "Batches that wait for a person.", len(held_batches(storage)))


def _last_change(table: Table) -> dict[str, Any] | None:
    return next((commit for commit in islice(table.commits(), _COMMITS) if commit["operation"] not in UPKEEP), None)


def _count(table: Table) -> int:
    opened = table.open()
    with storage_errors(table.uri):
        return int(opened.count()) if opened is not None else 0


def _of_a_day(storage: Storage, now: datetime) -> dict[str, float]:
    """Count the rows of a day; files of the tables in which no row is so new are not read."""
    accepted = Reviews(storage).read(columns=["ingested_at"], where=pads.field("ingested_at") > now - _DAY)
    refused = Quarantine(storage).read(columns=["reason"], where=pads.field("quarantined_at") > now - _DAY)
    return {"accepted": len(accepted), **Counter(refused["reason"].to_pylist())}
