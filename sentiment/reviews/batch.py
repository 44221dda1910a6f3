"""One delivered file into the tables, exactly once, however large it is.

A batch is known by the digest of its content. The file is read to its end, a bounded number of rows at a time,
into two spools on the local disk; only then are the tables touched. The refused rows go to the quarantine
first, the accepted rows to the reviews last, in one commit each: the batch counts as ingested when that commit
is there. What is done already is left out, so that a load which was killed anywhere and is repeated ends as one
clean load does.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from sentiment.errors import StorageError, storage_errors
from sentiment.reviews.contract import CONTRACT, Checked, apply_contract
from sentiment.reviews.held import HeldError, hold
from sentiment.reviews.identity import split_of
from sentiment.reviews.known import KnownReviews
from sentiment.reviews.policy import BatchCounts, judge_batch
from sentiment.reviews.redaction import redact_all
from sentiment.reviews.sources import digest, read_batches, source_name, unchanged
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
    Table,
)
from sentiment.settings import Settings
from sentiment.storage import Storage

logger = logging.getLogger(__name__)

SPOOL = "spool"
_ATTEMPTS = 5


@dataclass(frozen=True)
class Batch:
    """What loading one file did; `is_new` is False when its content had been ingested before."""

    batch_id: str
    is_new: bool
    accepted: int
    duplicates: int
    refused: Mapping[str, int]
    redacted: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Reading:
    """A file that was read to its end: its rows in spools, and what there is to count."""

    accepted: Spool
    refused: Spool
    duplicates: int = 0
    undated: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)

    @property
    def counts(self) -> BatchCounts:
        """What the policy judges."""
        return BatchCounts(self.accepted.rows, self.duplicates, dict(self.reasons), dict(self.labels))

    def add(self, checked: Checked, *, test_share: float, **columns: object) -> None:
        """Add what the contract made of some rows; `columns` are the same for every row."""
        splits = [split_of(text, test_share) for text in checked.accepted["text"].tolist()]
        self.accepted.add(checked.accepted.assign(split=splits, **columns))
        self.refused.add(checked.refused.assign(**columns))
        self.duplicates += checked.duplicates
        self.reasons.update(checked.reasons)
        self.labels.update(checked.accepted["label"].dropna().tolist())


class BatchLoader:
    """Loads files into the reviews table and the quarantine; hold the ingest lock while you use it.

    Parameters
    ----------
    settings : Settings
        Label scheme and limits.
    storage : Storage
        Where the tables live.
    text, label, time : str, optional
        Names of the columns, found by their usual names otherwise.
    source : str, optional
        Source of the reviews; otherwise the file's own column, or the name of the file.
    origin : str, optional
        `FEEDBACK`; `FILE` if not given.
    """

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        *,
        text: str | None = None,
        label: str | None = None,
        time: str | None = None,
        source: str | None = None,
        origin: str | None = None,
    ) -> None:
        self._storage = storage
        self._data, self._policy = settings.data, settings.batch
        self._reviews = Reviews(storage)
        self._quarantine = Quarantine(storage)
        self._columns, self._source = {"text": text, "label": label, "time": time}, source
        self._origin = origin
        self._spool = settings.local_dir / SPOOL
        self._version = 0  # of the table that the known reviews were read from

    @property
    def quarantine_uri(self) -> str:
        """Where the refused rows are."""
        return self._quarantine.uri

    @property
    def columns(self) -> dict[str, str | None]:
        """The names that the caller gave."""
        return {**self._columns, "source": self._source}

    def clean(self) -> None:
        """Remove what loads that were killed left on the local disk."""
        shutil.rmtree(self._spool, ignore_errors=True)

    def forget(self) -> None:
        """Forget the known reviews: some were not written, or others were."""
        self.__dict__.pop("known", None)

    def load(self, path: Path, *, despite_policy: bool = False) -> Batch:
        """Load one file; `despite_policy`, an operator has released it.

        Raises
        ------
        HeldError
            The file is beyond policy; nothing of it was written but the note about it.
        SourceError
            The file cannot be read to its end, or changed meanwhile; nothing of it was written.
        """
        with unchanged(path):
            batch_id = digest(path)
            if self._reviews.recorded([batch_id]):
                logger.info("ingest: %s skipped, the same content is batch %s", path.name, batch_id[:12])
                return Batch(batch_id, is_new=False, accepted=0, duplicates=0, refused={})
        for attempt in range(_ATTEMPTS):
            try:
                return self._load(path, batch_id, despite_policy=despite_policy)
            except OvertakenError as error:  # by another machine: compare with what it added
                logger.info("ingest: %s is read again: %s (attempt %d)", path.name, error, attempt + 1)
                self.forget()
        raise StorageError(
            f"{path} was not ingested: {_ATTEMPTS} attempts lost against other writers.",
            fix="Run the same command again; nothing of it was written.",
        )

    def _load(self, path: Path, batch_id: str, *, despite_policy: bool) -> Batch:
        with self._reading(path, batch_id) as reading:
            if not despite_policy and (reasons := judge_batch(reading.counts, self._policy)):
                self.forget()
                raise self._held(path, batch_id, reasons, reading.counts)
            self._append_refused(reading, batch_id)
            by = "release" if despite_policy else "ingest"
            is_new = self._append_accepted(reading, batch_id, notes={MADE_BY: by, MADE_FROM: path.name})
        logger.info(
            "ingest: %s accepted %d, duplicates %d, refused %s",
            *(path.name, reading.accepted.rows, reading.duplicates, dict(reading.reasons) or 0),
        )
        if reading.undated:
            logger.warning("ingest: %s: %d moments cannot be read; kept without", path.name, reading.undated)
        if not is_new:
            return Batch(batch_id, is_new=False, accepted=0, duplicates=0, refused={})
        counts = (reading.accepted.rows, reading.duplicates, dict(reading.reasons), dict(reading.redacted))
        return Batch(batch_id, True, *counts)

    @cached_property
    def known(self) -> KnownReviews:
        """The reviews in the table; a text may be there without and with its label."""
        known, self._version = KnownReviews(), 0
        table = self._reviews.open()
        self._version = 0 if table is None else table.version()
        for rows in self._reviews.read_batches(
            columns=["review_id", "label"], version=self._version if table else None
        ):
            known.update(rows["review_id"].to_pylist(), rows["label"].to_pylist())
        return known

    @contextmanager
    def _reading(self, path: Path, batch_id: str) -> Iterator[Reading]:
        """Read a whole file through the contract into spools, which are removed at the end."""
        folder = self._spool / batch_id[:12]
        with storage_errors(str(folder)):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        reading = Reading(
            accepted=Spool(folder / "accepted.arrows", REVIEWS_SCHEMA),
            refused=Spool(folder / "refused.arrows", QUARANTINE_SCHEMA),
        )
        try:
            with self._all_or_nothing(), unchanged(path):
                self._read(path, batch_id, reading)
                reading.accepted.close()
                reading.refused.close()
            yield reading
        finally:
            reading.accepted.discard()
            reading.refused.discard()
            shutil.rmtree(folder, ignore_errors=True)

    def _without_personal_data(self, rows: pd.DataFrame, reading: Reading) -> pd.DataFrame:
        unread = rows["written_at"].isna()  # what is a moment is nothing else, whatever its digits look like
        for name in ("text", "label", "rating", "source", "written"):
            given = rows[name]
            if given.isna().all():
                continue
            column, counts = redact_all(given if name != "written" else given.where(unread, None))
            if counts:
                rows = rows.assign(**{name: column if name != "written" else column.where(unread, given)})
                reading.redacted.update(counts)
        return rows

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Forget the known reviews when a file was not read to its end."""
        try:
            yield
        except BaseException:
            self.forget()
            raise

    def _read(self, path: Path, batch_id: str, reading: Reading) -> None:
        moment = datetime.now(UTC)
        columns = {
            "batch_id": batch_id,
            "ingested_at": moment,
            "quarantined_at": moment,
            "source_file": path.name,
            "origin": self._origin or FILE,
            "contract": CONTRACT,
        }
        batches = read_batches(path, **self._columns, words=self._data.label_words, batch_rows=self._data.batch_rows)
        for rows in batches:
            reading.undated += int((rows["written"].notna() & rows["written_at"].isna()).sum())
            if self._data.redact:
                rows = self._without_personal_data(rows, reading)
            named = rows["source"].where(rows["source"].notna(), source_name(path))
            checked = apply_contract(rows.assign(source=self._source or named), self._data, known=self.known.among)
            self.known.update(checked.accepted["review_id"].tolist(), checked.accepted["label"].tolist())
            reading.add(checked, test_share=self._data.test_share, **columns)

    def _held(self, path: Path, batch_id: str, reasons: list[str], counts: BatchCounts) -> HeldError:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        note = hold(self._storage, batch_id, path.name, reasons=reasons, counts=counts, at=at, columns=self.columns)
        logger.warning("ingest: %s is held: %s", path.name, "; ".join(reasons))
        return note.error()

    def _append_accepted(self, reading: Reading, batch_id: str, *, notes: Mapping[str, str]) -> bool:
        """Append the accepted rows; return False if another machine has done it meanwhile."""
        accepted = reading.accepted
        if not accepted.rows:
            return True
        return self.commit(accepted, ids=[batch_id], notes={**notes, UNDER_CONTRACT: str(CONTRACT)})

    def commit(self, accepted: Spool, *, ids: Sequence[str], notes: Mapping[str, str]) -> bool:
        """Append rows that were compared with the known reviews; return whether this call wrote them.

        Raises
        ------
        OvertakenError
            Another machine wrote since; call `forget` and compare again.
        """
        written = self._reviews.append_batches(
            accepted.batches,
            ids=ids,
            nbytes=accepted.nbytes,
            expected=self._version,
            notes=notes,
        )
        if written is None:
            self.forget()
            return False
        self._version = written
        return True

    def _append_refused(self, reading: Reading, batch_id: str) -> None:
        """Append those refused rows of a batch that are not there yet from an earlier attempt.

        Nor may they have become reviews since, by a replay: each would be a duplicate of itself.
        """
        refused = reading.refused
        there = self._numbers(self._quarantine, batch_id)
        attempts = len(there)
        if self._quarantine.recorded([f"{batch_id}/0"]):
            there = pa.concat_arrays([there, self._numbers(self._reviews, batch_id)])

        def missing() -> Iterator[pa.RecordBatch]:
            for rows in refused.batches():
                yield rows.filter(pc.invert(pc.is_in(rows["row_number"], value_set=there)))

        if any(rows.num_rows for rows in missing()):
            self._quarantine.append_batches(missing, ids=[f"{batch_id}/{attempts}"], nbytes=refused.nbytes)

    def _numbers(self, table: Table, batch_id: str) -> pa.Array:
        """Return the numbers of the rows of a batch that are in a table."""
        rows = table.read(columns=["row_number"], where=pads.field("batch_id") == batch_id)
        return rows["row_number"].combine_chunks()
