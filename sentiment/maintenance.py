"""Maintenance: small files are merged, and what nothing needs any more is removed.

MLflow is asked first which snapshots the registered models name; if it does not answer, nothing is removed. Every
step can be killed and repeated: it looks at what is there, not at what an earlier run did. Tables change under the
lock of the ingestion; files are removed without it, because only those are that were old enough before anyone
could need them.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from sentiment.deployment.retention import bento_name, old_bentos, old_shipped
from sentiment.deployment.shipping import BY_DIGEST
from sentiment.errors import DataError, ModelError, ServiceError
from sentiment.ledger import Ledger
from sentiment.model_files import forget_copies
from sentiment.packaging import BENTO_NAME, BENTOS
from sentiment.registry import Registry
from sentiment.reviews.lock import exclusive
from sentiment.reviews.predictions import Predictions
from sentiment.reviews.quarantine import PROCESSED
from sentiment.reviews.table import TIMESTAMP, Reviews, Table, latest_snapshot, parse_snapshot
from sentiment.reviews.upkeep import compact, unneeded
from sentiment.settings import Settings
from sentiment.storage import Object, Storage

log = logging.getLogger(__name__)

DRIFT_REPORTS, PROFILES = "reports/drift", "reports/data"
DRIFT_MEASURES = "drift/calibrations"
COPIES = "cache/models"
_COPIES_DAYS = 30  # what is still needed is fetched, or measured, again
_PATIENCE = 600.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Freed:
    """Files that were removed, and their bytes."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class MaintenanceResult:
    """What one maintenance did, or would do.

    Attributes
    ----------
    compacted : dict of str to int
        By table, how many fewer files its newest version has.
    predictions : int
        Rows that were too old.
    freed : dict of str to Freed
        Files removed, by where they were.
    kept : tuple of str
        The snapshots that registered models name.
    dry_run : bool
        Nothing was changed.
    """

    compacted: dict[str, int]
    predictions: int
    freed: dict[str, Freed]
    kept: tuple[str, ...]
    dry_run: bool
    seconds: float

    @property
    def total(self) -> Freed:
        """All that was removed."""
        parts = self.freed.values()
        return Freed(sum(part.files for part in parts), sum(part.bytes for part in parts))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON types."""
        return {**asdict(self), "kept": list(self.kept), "files": self.total.files, "bytes": self.total.bytes}


def maintain(
    settings: Settings, *, now: datetime, dry_run: bool = False, say: Say = log.info, registry: Registry | None = None
) -> MaintenanceResult:
    """Merge small files and remove what `settings.retention` and the registered models do not keep.

    Parameters
    ----------
    settings : Settings
        How long what is kept.
    now : datetime
        The moment from which ages are counted, timezone-aware.
    dry_run : bool
        Only tell what would be done.
    say : callable
        Told of each step.
    registry : Registry, optional
        Where the models are.

    Raises
    ------
    ServiceError, ModelError
        MLflow cannot tell which snapshots are needed. Nothing was removed.
    """
    if now.tzinfo is None:
        raise DataError(f"The moment {now.isoformat()} has no timezone.", fix="Give it in UTC, as in ...+00:00.")
    started = time.monotonic()
    storage = Storage(settings)
    named = _named(registry or Registry(settings))
    kept = sorted({name for name in named.values() if name}, key=parse_snapshot)
    tables = _tables(storage)
    compacted: dict[str, int] = {}
    with exclusive(settings, "ingest", wait_seconds=_PATIENCE):
        rows = _forget_predictions(storage, _moment(now, settings.retention.predictions_days), dry_run=dry_run)
    say(f"predictions: {rows:,} rows are too old")
    for table in tables:
        with exclusive(settings, "ingest", wait_seconds=_PATIENCE):
            compacted[table.name] = compact(table, dry_run=dry_run)
        if compacted[table.name]:
            say(f"{table.name}: {compacted[table.name]:,} small files merged")
    freed = {}
    for where, objects in _unneeded(settings, storage, tables, named=named, kept=kept, now=now):
        freed[where] = _remove(storage, objects, dry_run=dry_run)
        if where == BENTOS and not dry_run:
            for item in objects:
                shutil.rmtree(
                    settings.local_dir / "bentoml" / "bentos" / BENTO_NAME / bento_name(item), ignore_errors=True
                )
        if objects:
            say(f"{where}: {freed[where].files:,} files, {freed[where].bytes:,} bytes")
    freed[COPIES] = Freed(*forget_copies(settings, before=_moment(now, _COPIES_DAYS), dry_run=dry_run))
    result = MaintenanceResult(
        compacted={name: count for name, count in compacted.items() if count},
        predictions=rows,
        freed={where: part for where, part in freed.items() if part.files},
        kept=tuple(kept),
        dry_run=dry_run,
        seconds=round(time.monotonic() - started, 3),
    )
    if not dry_run and (rows or result.freed):
        _record(storage, result)
    return result


def _named(registry: Registry) -> Mapping[tuple[str, str], str]:
    try:
        return registry.snapshots_named()
    except (ServiceError, ModelError) as error:
        raise type(error)(f"Nothing was removed. {error.message}", fix=error.fix) from error


def _tables(storage: Storage) -> list[Table]:
    """Return every Delta table under the root."""
    names = sorted({item.path.split("/")[1] for item in storage.objects("tables")})
    tables = [Reviews(storage) if name == "reviews" else Table(storage, name, pa.schema([])) for name in names]
    return [table for table in tables if table.open() is not None]


def _unneeded(
    settings: Settings,
    storage: Storage,
    tables: Iterable[Table],
    *,
    named: Mapping[tuple[str, str], str],
    kept: Iterable[str],
    now: datetime,
) -> Iterable[tuple[str, list[Object]]]:
    """Yield what can go, by where it is."""
    retention = settings.retention
    latest = latest_snapshot(storage)
    versions = {parse_snapshot(name) for name in kept} | ({latest.version} if latest else set())
    for table in tables:
        is_reviews = table.name == "reviews"
        since = _moment(now, retention.snapshot_days) if is_reviews else now
        keep = versions if is_reviews else ()
        yield f"tables/{table.name}", unneeded(storage, table, keep=keep, keep_since=since, now=now)
    yield PROCESSED, _older(storage, PROCESSED, _moment(now, retention.processed_days))
    before = _moment(now, retention.reports_days)
    yield DRIFT_REPORTS, _older(storage, DRIFT_REPORTS, before)
    yield DRIFT_MEASURES, _older(storage, DRIFT_MEASURES, _moment(now, _COPIES_DAYS))
    pages = {f"{PROFILES}/{name.replace('@', '-')}.html" for name in kept}
    yield PROFILES, [page for page in _older(storage, PROFILES, before) if page.path not in pages]
    model = settings.registry.model_name
    registered = {version for name, version in named if name == model}
    before = _moment(now, retention.bentos_days)
    yield BENTOS, old_bentos(settings, storage, registered, before)
    yield BY_DIGEST, old_shipped(storage, registered, before)


def _older(storage: Storage, prefix: str, before: datetime) -> list[Object]:
    return [item for item in storage.objects(prefix) if item.modified < before]


def _moment(now: datetime, days: int) -> datetime:
    """Return the moment so many days ago; none is that old if 0."""
    return now - timedelta(days=days) if days else datetime.min.replace(tzinfo=UTC)


def _forget_predictions(storage: Storage, before: datetime, *, dry_run: bool) -> int:
    if before.year <= 1:
        return 0
    table = Predictions(storage)
    old = pads.field("predicted_at") < pa.scalar(before, TIMESTAMP)
    rows = sum(int(batch.num_rows) for batch in table.read_batches(columns=["predicted_at"], where=old))
    if rows and not dry_run:
        table.delete(f"predicted_at < '{before.astimezone(UTC).isoformat()}'")
    return rows


def _remove(storage: Storage, objects: Iterable[Object], *, dry_run: bool) -> Freed:
    files = size = 0
    for item in objects:
        if not dry_run:
            storage.remove(item.path)
        files, size = files + 1, size + item.size
    return Freed(files, size)


def _record(storage: Storage, result: MaintenanceResult) -> None:
    total = result.total
    reason = f"{total.files:,} files, {total.bytes:,} bytes; {result.predictions:,} predictions"
    detail = {where: asdict(part) for where, part in result.freed.items()}
    Ledger(storage).append("removed", reason=reason, detail={**detail, "kept": list(result.kept)})
