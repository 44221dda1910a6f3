"""What an operator does about refused rows and held batches: list, show, replay, release, drop.

Replaying moves rows through the contract again, after a rule or a setting was corrected. Accepted rows are
committed to the reviews before they leave the quarantine; a replay that was killed between finds these very rows
there, by batch and number, and only removes them. A duplicate of another row stays.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from sentiment.errors import DataError
from sentiment.ledger import Ledger
from sentiment.reviews import held
from sentiment.reviews.batch import Batch, BatchLoader
from sentiment.reviews.contract import CONTRACT, Checked, apply_contract
from sentiment.reviews.identity import split_of
from sentiment.reviews.lock import exclusive
from sentiment.reviews.moments import days_come_first, parse_moments
from sentiment.reviews.table import FILE, Quarantine, Reviews, latest_snapshot
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
    names = ["batch_id", "source_file", "reason", "quarantined_at"]
    rows = Quarantine(storage).read(columns=names).to_pandas()
    found = [
        RefusedRows(
            batch=str(batch_id)[: held.DIGITS],
            source_file=str(part["source_file"].iloc[0]),
            rows=len(part),
            reasons={str(reason): int(count) for reason, count in part["reason"].value_counts().items()},
            quarantined_at=part["quarantined_at"].min().isoformat(),
        )
        for batch_id, part in rows.groupby("batch_id")
    ]
    return sorted(found, key=lambda batch: (batch.quarantined_at, batch.batch))


def show_refused(storage: Storage, batch: str, *, newest: int = 20) -> list[dict[str, Any]]:
    """Return the first refused rows of a batch.

    Raises
    ------
    DataError
        It has none.
    """
    rows = _rows(storage, batch).head(newest)
    names = ["row_number", "reason", "label", "written", "text", "contract", "source_file", "batch_id"]
    shown = rows.assign(contract=rows["contract"].astype("Int64"))[names].astype(object)
    found = shown.where(shown.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in found]


def replay(settings: Settings, *, batch: str | None = None) -> ReplayResult:
    """Move the refused rows of a batch, or all of them, through the contract again."""
    storage = Storage(settings)
    total = Counter[str]()
    refused = Counter[str]()
    with exclusive(settings, "ingest"):
        loader = BatchLoader(settings, storage)
        batches = [batch] if batch else [found.batch for found in list_refused(storage)]
        for name in batches:
            checked = _replay_one(settings, storage, loader, name)
            total.update(accepted=len(checked.accepted), duplicates=checked.duplicates)
            refused.update(checked.reasons)
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
        rows = _rows(storage, batch)
        batch_id = str(rows["batch_id"].iloc[0])
        Quarantine(storage).delete(f"batch_id = '{batch_id}'")
        detail = {"batch": batch_id, "rows": len(rows)}
        Ledger(storage).append("dropped", reason=reason or f"{len(rows):,} refused rows", detail=detail, actor=actor)
    return len(rows)


def _record(storage: Storage, event: str, found: held.HeldBatch, reason: str, actor: str | None) -> None:
    detail = {"batch": found.batch_id, "file": found.name, "reasons": list(found.reasons)}
    key = f"{event}-{found.batch_id}-{found.held_at}"
    why = reason or f"{found.name}: {found.reasons[0]}"
    Ledger(storage).append(event, reason=why, detail=detail, actor=actor, key=key)


def _rows(storage: Storage, batch: str) -> pd.DataFrame:
    where = pads.field("batch_id") == batch
    if len(batch) < 64:
        numbers = Quarantine(storage).read(columns=["batch_id"])["batch_id"].unique().to_pylist()
        ids = [found for found in numbers if len(batch) >= 4 and found.startswith(batch)]
        where = pads.field("batch_id").isin(pa.array(ids, pa.string()))
    rows = Quarantine(storage).read(where=where).to_pandas().sort_values("row_number")
    if rows.empty:
        raise DataError(f"No row of a batch {batch!r} is in the quarantine.", fix="See `sentiment quarantine list`.")
    return rows


def _replay_one(settings: Settings, storage: Storage, loader: BatchLoader, batch: str) -> Checked:
    rows = _rows(storage, batch)
    batch_id = str(rows["batch_id"].iloc[0])
    checked = apply_contract(_as_delivered(rows), settings.data, known=loader.known.among)
    if len(checked.accepted):
        numbers = ",".join(map(str, checked.accepted["row_number"]))
        share = settings.data.test_share
        accepted = checked.accepted.assign(
            split=[split_of(text, share) for text in checked.accepted["text"]],
            ingested_at=datetime.now(UTC),
            batch_id=batch_id,
            origin=rows["origin"].iloc[0] or FILE,
            contract=CONTRACT,
        )
        key = f"replay/{batch_id}/{hashlib.sha256(numbers.encode()).hexdigest()[:16]}"
        Reviews(storage).append(accepted, ids=[key])
        loader.known.update(checked.accepted["review_id"].tolist(), checked.accepted["label"].tolist())
    _settle(storage, batch_id, rows, checked)
    return checked


def _settle(storage: Storage, batch_id: str, rows: pd.DataFrame, checked: Checked) -> None:
    """Remove from the quarantine the rows that are reviews, and give the others the reason they have now."""
    quarantine, reviews = Quarantine(storage), Reviews(storage)
    own = reviews.read(columns=["row_number"], where=pads.field("batch_id") == batch_id)
    gone = sorted({*own["row_number"].to_pylist()} & {*rows["row_number"].tolist()})
    for some in _predicates(batch_id, gone):
        quarantine.delete(some)
    before = dict(zip(rows["row_number"], rows["reason"], strict=True))
    staying = checked.refused[~checked.refused["row_number"].isin(gone)]
    for reason, part in staying.groupby("reason"):
        changed = [number for number in part["row_number"].tolist() if before[number] != reason]
        for some in _predicates(batch_id, changed):
            quarantine.update(some, {"reason": f"'{reason}'", "contract": str(CONTRACT)})


def _predicates(batch_id: str, numbers: Sequence[int]) -> Iterator[str]:
    for start in range(0, len(numbers), 1_000):
        some = ", ".join(map(str, numbers[start : start + 1_000]))
        yield f"batch_id = '{batch_id}' AND row_number IN ({some})"


def _as_delivered(rows: pd.DataFrame) -> pd.DataFrame:
    """Return refused rows as a reader would give them; a row with a scale has a rating."""
    given = rows["label"].astype(object).where(rows["label"].notna(), None)
    rated = rows["stars"].notna()
    written = rows["written"].astype(object).where(rows["written"].notna(), None)
    frame = pd.DataFrame(
        {
            "text": rows["text"],
            "label": given.where(~rated, None),
            "rating": given.where(rated, None),
            "source": rows["source"].where(rows["source"].notna(), rows["source_file"]),
            "row_number": rows["row_number"],
            "written": written,
            "written_at": parse_moments(written, day_first=days_come_first([written])),
            "malformed": rows["reason"] == "malformed_row",
        }
    )
    return frame.assign(stars=int(rows["stars"].max()) if rated.any() else 5).reset_index(drop=True)
