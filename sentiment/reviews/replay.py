"""Refused rows of one batch go through the contract again, a range of rows at a time.

Accepted rows are committed to the reviews before they leave the quarantine, both in one commit each; a replay that
was killed between finds these very rows there, by batch and number, and only removes them. A duplicate of another row
stays.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from sentiment.errors import DataError, StorageError, storage_errors
from sentiment.reviews.batch import BatchLoader
from sentiment.reviews.contract import CONTRACT, Checked, apply_contract
from sentiment.reviews.feedback_policy import DISAGREEMENT
from sentiment.reviews.identity import split_of
from sentiment.reviews.moments import days_come_first, parse_moments
from sentiment.reviews.spool import Spool
from sentiment.reviews.table import (
    FILE,
    MADE_BY,
    MADE_FROM,
    QUARANTINE_SCHEMA,
    REVIEWS_SCHEMA,
    UNDER_CONTRACT,
    OvertakenError,
    Quarantine,
    Reviews,
)
from sentiment.settings import Settings
from sentiment.storage import Storage

RANGE_ROWS = 5_000  # a refused text may be long
_ATTEMPTS = 5


@dataclass
class Replayed:
    """What came of the rows of one batch."""

    accepted: int = 0
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class RefusedBatch:
    """The refused rows of one batch; only their numbers and moments are in memory.

    Parameters
    ----------
    storage : Storage
        Where the quarantine is.
    batch_id : str
        All of its digits.
    label : str, optional
        Only its rows with this label, as delivered.

    """

    def __init__(self, storage: Storage, batch_id: str, *, label: str | None = None) -> None:
        self.batch_id = batch_id
        self._table = Quarantine(storage)
        self._mine, self._predicate = pads.field("batch_id") == batch_id, f"batch_id = '{batch_id}'"
        if label is not None:
            self._mine &= pads.field("label") == label
            self._predicate += " AND label = '{}'".format(label.replace("'", "''"))
        facts = self._table.read(columns=["row_number", "stars", "origin", "source_file", "written"], where=self._mine)
        self.numbers = facts["row_number"].combine_chunks().sort()
        self.stars = pc.max(facts["stars"]).as_py() or 5
        self.origin = facts["origin"][0].as_py() or FILE
        self.name = str(facts["source_file"][0].as_py())
        self.day_first = days_come_first([facts["written"].to_pandas()])
        self.reviewed = Reviews(storage).read(columns=["row_number"], where=self._mine)["row_number"].combine_chunks()

    def ranges(self, size: int = RANGE_ROWS) -> Iterator[pa.Table]:
        """Yield the rows in order, some at a time."""
        number = pads.field("row_number")
        for start in range(0, len(self.numbers), size):
            part = self.numbers[start : start + size]
            between = (number >= part[0]) & (number <= part[-1])
            yield self._table.read(where=self._mine & between).sort_by("row_number")

    def keep_only(self, staying: Spool) -> None:
        """Leave only these rows of the batch in the quarantine, in one commit."""
        if staying.rows < len(self.numbers):
            self._table.replace(self._predicate, staying.batches)


def replay_batch(
    settings: Settings, storage: Storage, loader: BatchLoader, batch_id: str, *, label: str | None = None
) -> Replayed:
    """Move the refused rows of a batch through the contract again; hold the ingest lock while you do.

    Parameters
    ----------
    label : str, optional
        Only the rows with this label, as delivered.

    Raises
    ------
    DataError
        It is a disagreement and no label is given, or no row has the label.
    """
    _check_label(storage, batch_id, label)
    for _ in range(_ATTEMPTS):
        try:
            return _replay(settings, storage, loader, RefusedBatch(storage, batch_id, label=label))
        except OvertakenError:  # by another machine: compare with what it added
            loader.forget()
    raise StorageError(
        f"Batch {batch_id[:12]} was not replayed: {_ATTEMPTS} attempts lost against other writers.",
        fix="Run the same command again; nothing was changed.",
    )


def _check_label(storage: Storage, batch_id: str, label: str | None) -> None:
    facts = Quarantine(storage).read(columns=["label", "reason"], where=pads.field("batch_id") == batch_id)
    labels = sorted(facts["label"].drop_null().unique().to_pylist())
    if label is None and DISAGREEMENT in facts["reason"].unique().to_pylist():
        raise DataError(
            f"Reporters disagree about the text of batch {batch_id[:12]}: {' or '.join(labels)}.",
            fix="Say which is right: `sentiment quarantine replay BATCH --label ...`; or drop the batch.",
        )
    if label is not None and label not in labels:
        raise DataError(
            f"No row of batch {batch_id[:12]} has the label {label!r}.", fix=f"Its labels: {', '.join(labels)}."
        )


def _replay(settings: Settings, storage: Storage, loader: BatchLoader, batch: RefusedBatch) -> Replayed:
    found, numbers = Replayed(), hashlib.sha256()
    with _spools(settings, batch.batch_id) as (accepted, staying):
        for rows in batch.ranges():
            frame = _as_delivered(rows.to_pandas(), stars=batch.stars, day_first=batch.day_first)
            checked = apply_contract(frame, settings.data, known=loader.known.among)
            loader.known.update(checked.accepted["review_id"].tolist(), checked.accepted["label"].tolist())
            numbers.update(b",".join(b"%d" % number for number in checked.accepted["row_number"]))
            accepted.add(_complete(checked.accepted, batch, settings.data.test_share))
            staying.write(_still_refused(rows, checked, gone=batch.reviewed))
            found.accepted += len(checked.accepted)
            found.duplicates += checked.duplicates
            found.refused.update(checked.reasons)
        accepted.close()
        staying.close()
        if accepted.rows:
            loader.commit(
                accepted,
                ids=[f"replay/{batch.batch_id}/{numbers.hexdigest()[:16]}"],
                notes={MADE_BY: "replay", MADE_FROM: batch.name, UNDER_CONTRACT: str(CONTRACT)},
            )
        batch.keep_only(staying)
    return found


@contextmanager
def _spools(settings: Settings, batch_id: str) -> Iterator[tuple[Spool, Spool]]:
    folder = settings.local_dir / "spool" / f"replay-{batch_id[:12]}"
    with storage_errors(str(folder)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    spools = Spool(folder / "accepted.arrows", REVIEWS_SCHEMA), Spool(folder / "staying.arrows", QUARANTINE_SCHEMA)
    try:
        yield spools
    finally:
        for spool in spools:
            spool.discard()
        shutil.rmtree(folder, ignore_errors=True)


def _complete(accepted: pd.DataFrame, batch: RefusedBatch, test_share: float) -> pd.DataFrame:
    return accepted.assign(
        split=[split_of(text, test_share) for text in accepted["text"]],
        ingested_at=datetime.now(UTC),
        batch_id=batch.batch_id,
        origin=batch.origin,
        contract=CONTRACT,
    )


def _still_refused(rows: pa.Table, checked: Checked, *, gone: pa.Array) -> pa.Table:
    """Return the rows that stay, as they were delivered, with the reason of today; those `gone` are reviews."""
    reasons = dict(zip(checked.refused["row_number"], checked.refused["reason"], strict=True))
    staying = rows.filter(pc.is_in(rows["row_number"], value_set=pa.array(list(reasons), pa.int64())))
    staying = staying.filter(pc.invert(pc.is_in(staying["row_number"], value_set=gone)))
    today: dict[str, Any] = {
        "reason": pa.array([reasons[number] for number in staying["row_number"].to_pylist()], pa.string()),
        "contract": pa.array([CONTRACT] * len(staying), pa.int32()),
    }
    for name, column in today.items():
        staying = staying.set_column(staying.schema.get_field_index(name), QUARANTINE_SCHEMA.field(name), column)
    return staying


def _as_delivered(rows: pd.DataFrame, *, stars: int, day_first: bool) -> pd.DataFrame:
    """Return refused rows as a reader would give them; a row with a scale has a rating."""
    given = rows["label"].astype(object).where(rows["label"].notna(), None)
    rated = rows["stars"].notna()
    written = rows["written"].astype(object).where(rows["written"].notna(), None)
    return pd.DataFrame(
        {
            "text": rows["text"],
            "label": given.where(~rated, None),
            "rating": given.where(rated, None),
            "source": rows["source"].where(rows["source"].notna(), rows["source_file"]),
            "row_number": rows["row_number"],
            "written": written,
            "written_at": parse_moments(written, day_first=day_first),
            "malformed": rows["reason"] == "malformed_row",
            "stars": stars,
        }
    ).reset_index(drop=True)
