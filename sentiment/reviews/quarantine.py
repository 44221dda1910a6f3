"""What an operator does about refused rows and held batches: list, show, replay, release, drop.

Replaying moves rows through the contract again, after a rule or a setting was corrected; see
`sentiment.reviews.replay`. Feedback that is held for review is replayed only by name: that is somebody's decision to
believe it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from sentiment.errors import DataError
from sentiment.ledger import Ledger
from sentiment.reviews import held
from sentiment.reviews.batch import Batch, BatchLoader
from sentiment.reviews.feedback_join import REPORTERS
from sentiment.reviews.lock import exclusive
from sentiment.reviews.replay import RefusedBatch, replay_batch
from sentiment.reviews.table import Quarantine, latest_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage

PROCESSED = "processed"


@dataclass(frozen=True)
class RefusedRows:
    """The refused rows of one batch, counted."""

    batch: str
    source_file: str
    rows: int
    reasons: dict[str, int]
    quarantined_at: str

    @property
    def needs_review(self) -> bool:
        """Whether it is feedback that was held, which no corrected rule makes right."""
        return self.source_file.startswith(REPORTERS)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class ReplayResult:
    """What a replay did: rows that became reviews, that are there already, and that stay refused."""

    accepted: int
    duplicates: int
    refused: dict[str, int]
    snapshot: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON types."""
        return asdict(self)


def list_refused(storage: Storage) -> list[RefusedRows]:
    """Return the batches that have rows in the quarantine, oldest first."""
    found: dict[str, RefusedRows] = {}
    names = ["batch_id", "source_file", "reason", "quarantined_at"]
    for rows in Quarantine(storage).read_batches(columns=names):
        parts = pa.Table.from_batches([rows]).group_by(names[:3]).aggregate([([], "count_all"), (names[3], "min")])
        for part in parts.to_pylist():
            key, at = part["batch_id"][: held.DIGITS], part["quarantined_at_min"].isoformat()
            batch = found.setdefault(key, RefusedRows(key, part["source_file"], 0, {}, at))
            counts = Counter(batch.reasons) + Counter({part["reason"]: part["count_all"]})
            since, reasons = min(at, batch.quarantined_at), dict(counts.most_common())
            found[key] = replace(batch, rows=counts.total(), reasons=reasons, quarantined_at=since)
    return sorted(found.values(), key=lambda batch: (batch.quarantined_at, batch.batch))


def show_refused(storage: Storage, batch: str, *, newest: int = 20) -> list[dict[str, Any]]:
    """Return the first refused rows of a batch.

    Raises
    ------
    DataError
        It has none.
    """
    names = ["row_number", "reason", "label", "written", "text", "contract", "source_file", "batch_id"]
    first = next(RefusedBatch(storage, _batch_id(storage, batch)).ranges(newest))
    return list(first.select(names).to_pylist())


def replay(settings: Settings, *, batch: str | None = None, label: str | None = None) -> ReplayResult:
    """Move the refused rows of a batch through the contract again, or all that no person has to review.

    Parameters
    ----------
    settings : Settings
        Label scheme and limits.
    batch : str, optional
        As `list_refused` names it.
    label : str, optional
        Only rows with this label, as delivered.

    Raises
    ------
    DataError
        There is no such batch, or it is a disagreement and no label is given.
    """
    storage = Storage(settings)
    total = Counter[str]()
    refused = Counter[str]()
    with exclusive(settings, "ingest"):
        loader = BatchLoader(settings, storage)
        batches = [batch] if batch else [found.batch for found in list_refused(storage) if not found.needs_review]
        for name in batches:
            replayed = replay_batch(settings, storage, loader, _batch_id(storage, name), label=label)
            total.update(accepted=replayed.accepted, duplicates=replayed.duplicates)
            refused.update(replayed.refused)
    snapshot = latest_snapshot(storage)
    return ReplayResult(
        accepted=total["accepted"],
        duplicates=total["duplicates"],
        refused=dict(refused),
        snapshot=str(snapshot) if snapshot else None,
    )


def release(settings: Settings, *, batch: str, reason: str = "", actor: str | None = None) -> Batch:
    """Take a held batch in, whatever the policy says of it; reason and actor go to the ledger.

    Raises
    ------
    DataError
        It is not held.
    """
    storage = Storage(settings)
    with exclusive(settings, "ingest"):
        found = held.require(storage, batch)
        with held.fetched(storage, found) as path:
            if path is None:
                loaded = Batch(found.batch_id, is_new=False, accepted=0, duplicates=0, refused={})
            else:
                loaded = BatchLoader(settings, storage, **found.columns).load(path, despite_policy=True)
        for source in storage.list(held.place(found).rsplit("/", 1)[0]):
            target = source.replace(held.place(found), f"{PROCESSED}/{found.key}-{found.name}", 1)
            storage.move(source, target)
        _record(storage, "released", found, reason, actor)
        held.forget(storage, found)
    return loaded


def drop(settings: Settings, *, batch: str, reason: str = "", actor: str | None = None) -> int:
    """Remove a held batch, or else the refused rows of a batch; return how many rows that were.

    Raises
    ------
    DataError
        Nothing of it is held or refused.
    """
    storage = Storage(settings)
    with exclusive(settings, "ingest"):
        found = held.find(storage, batch)
        if found is not None:
            _record(storage, "dropped", found, reason, actor)
            held.forget(storage, found)
            return int(found.counts["rows"])
        batch_id = _batch_id(storage, batch)
        rows = len(RefusedBatch(storage, batch_id).numbers)
        Quarantine(storage).delete(f"batch_id = '{batch_id}'")
        detail = {"batch": batch_id, "rows": rows}
        Ledger(storage).append("dropped", reason=reason or f"{rows:,} refused rows", detail=detail, actor=actor)
    return rows


def _record(storage: Storage, event: str, found: held.HeldBatch, reason: str, actor: str | None) -> None:
    detail = {"batch": found.batch_id, "file": found.name, "reasons": list(found.reasons)}
    key = f"{event}-{found.batch_id}-{found.held_at}"
    why = reason or f"{found.name}: {found.reasons[0]}"
    Ledger(storage).append(event, reason=why, detail=detail, actor=actor, key=key)


def _batch_id(storage: Storage, batch: str) -> str:
    """Return all digits of a batch that has refused rows, by its digest or the beginning of it."""
    found: set[str] = set()
    for rows in Quarantine(storage).read_batches(columns=["batch_id"]):
        named = rows["batch_id"].unique().to_pylist()
        found.update(name for name in named if name == batch or (len(batch) >= 4 and name.startswith(batch)))
    if not found:
        raise DataError(f"No row of a batch {batch!r} is in the quarantine.", fix="See `sentiment quarantine list`.")
    if len(found) > 1:
        raise DataError(f"{batch!r} is the beginning of {len(found)} batches.", fix="Give more of its digits.")
    return found.pop()
