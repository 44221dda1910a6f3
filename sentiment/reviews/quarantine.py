"""What an operator does about refused rows and held batches: list, show, replay, release, drop.

Replaying moves rows through the contract again, after a rule or a setting was corrected. Accepted rows are
committed to the reviews before they leave the quarantine; a replay that was killed between finds them there as
duplicates, and only removes them. Feedback that is held for review is replayed only by name: that is somebody's
decision to believe it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
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
from sentiment.reviews.feedback_join import REPORTERS
from sentiment.reviews.feedback_policy import DISAGREEMENT
from sentiment.reviews.lock import exclusive
from sentiment.reviews.table import FILE, Quarantine, Reviews, latest_snapshot, split_of
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
    """What a replay did: rows that became reviews, that were there already, and that stay refused."""

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
    names = ["row_number", "reason", "label", "text", "source_file", "batch_id"]
    return [{str(name): value for name, value in row.items()} for row in rows[names].to_dict("records")]


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
            checked = _replay_one(settings, storage, loader, name, label)
            total.update(accepted=len(checked.accepted), duplicates=checked.duplicates)
            refused.update(checked.refused["reason"].tolist())
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


def _replay_one(settings: Settings, storage: Storage, loader: BatchLoader, batch: str, label: str | None) -> Checked:
    rows = _rows(storage, batch)
    labels = sorted(set(rows["label"].dropna()))
    if label is not None:
        rows = rows[rows["label"] == label]
    elif DISAGREEMENT in set(rows["reason"]):
        raise DataError(
            f"Reporters disagree about the text of batch {batch}: {' or '.join(labels)}.",
            fix="Say which is right: `sentiment quarantine replay BATCH --label ...`; or drop the batch.",
        )
    if rows.empty:
        raise DataError(f"No row of batch {batch} has the label {label!r}.", fix=f"Its labels: {', '.join(labels)}.")
    batch_id = str(rows["batch_id"].iloc[0])
    checked = apply_contract(_as_delivered(rows), settings.data, known=loader.known.among)
    if len(checked.accepted):
        numbers = ",".join(map(str, checked.accepted["row_number"]))
        share = settings.data.test_share
        accepted = checked.accepted.assign(
            split=[split_of(review_id, share) for review_id in checked.accepted["review_id"]],
            ingested_at=datetime.now(UTC),
            batch_id=batch_id,
            origin=rows["origin"].iloc[0] or FILE,
            contract=CONTRACT,
        )
        key = f"replay/{batch_id}/{hashlib.sha256(numbers.encode()).hexdigest()[:16]}"
        Reviews(storage).append(accepted, ids=[key])
        loader.known.update(checked.accepted["review_id"].tolist(), checked.accepted["label"].tolist())
    staying = set(checked.refused["row_number"])
    gone = [number for number in rows["row_number"].tolist() if number not in staying]
    quarantine = Quarantine(storage)
    for start in range(0, len(gone), 1_000):
        some = ", ".join(str(number) for number in gone[start : start + 1_000])
        quarantine.delete(f"batch_id = '{batch_id}' AND row_number IN ({some})")
    return checked


def _as_delivered(rows: pd.DataFrame) -> pd.DataFrame:
    """Return refused rows as a reader would give them; a row with a scale has a rating."""
    given = rows["label"].astype(object).where(rows["label"].notna(), None)
    rated = rows["stars"].notna()
    frame = pd.DataFrame(
        {
            "text": rows["text"],
            "label": given.where(~rated, None),
            "rating": given.where(rated, None),
            "source": rows["source"].where(rows["source"].notna(), rows["source_file"]),
            "row_number": rows["row_number"],
            "malformed": rows["reason"] == "malformed_row",
        }
    )
    return frame.assign(stars=int(rows["stars"].max()) if rated.any() else 5).reset_index(drop=True)
