"""The Delta tables of reviews and of quarantined rows: exactly-once appends, snapshots, splits.

A snapshot is a version of the reviews table. A commit carries the ids of what it holds as Delta application
transactions. It is a compare-and-swap on the table version, so two writers cannot both record one id.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from sentiment.delta import LOST_RACES, commit, open_table, recorded
from sentiment.errors import DataError, StorageError, storage_errors
from sentiment.storage import Storage

TIMESTAMP = pa.timestamp("us", tz="UTC")

FILE, FEEDBACK = "file", "feedback"
"""Origins of a row: a delivered file, or what callers of the API said about its answers."""

REVIEWS_SCHEMA = pa.schema(
    [
        ("review_id", pa.string()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("source", pa.string()),
        ("split", pa.string()),
        ("ingested_at", TIMESTAMP),
        ("batch_id", pa.string()),
        ("row_number", pa.int64()),
        ("origin", pa.string()),
        ("written_at", TIMESTAMP),
        ("contract", pa.int32()),
    ]
)
"""``origin`` is `FILE` or `FEEDBACK`, ``written_at`` as delivered, ``contract`` the version that let the row in."""

QUARANTINE_SCHEMA = pa.schema(
    [
        ("reason", pa.string()),
        ("source_file", pa.string()),
        ("row_number", pa.int64()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("source", pa.string()),
        ("stars", pa.int64()),
        ("batch_id", pa.string()),
        ("quarantined_at", TIMESTAMP),
        ("origin", pa.string()),
        ("written", pa.string()),
        ("contract", pa.int32()),
    ]
)
"""``label`` and ``written`` (when the review was written) are as delivered, ``stars`` is the scale of a rating."""

MADE_BY, MADE_FROM, UNDER_CONTRACT = "sentiment.by", "sentiment.from", "sentiment.contract"
"""What a commit says of itself: the operation, the file, the version of the contract."""

UPKEEP = frozenset({"CREATE TABLE", "SET TBLPROPERTIES", "OPTIMIZE", "VACUUM START", "VACUUM END"})
"""Operations of Delta Lake that leave the rows as they are."""

_SCAN_ROWS = 65_536
_WRITING = WriterProperties(max_row_group_size=10_000, compression="SNAPPY")  # a row group is held in memory
_FILE_BYTES = 32 * 2**20  # and so is a file, until it is complete
_T = TypeVar("_T")


class OvertakenError(StorageError):
    """Another writer changed the table between look and commit."""


class Table:
    """One Delta table under ``tables/``.

    Parameters
    ----------
    storage : Storage
        Where it lives.
    name : str
        Its folder under ``tables/``.
    schema : pyarrow.Schema
        Its columns; every append is cast to it. A table of an older version gets the columns that it lacks with
        the next append, and its older rows and versions read as null there.
    """

    properties: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What the Delta table is told of itself, on creation or with the next append."""

    def __init__(self, storage: Storage, name: str, schema: pa.Schema) -> None:
        self.name = name
        self.schema = schema
        self._storage = storage
        self.uri = storage.uri(f"tables/{name}")

    def open(self, version: int | None = None) -> DeltaTable | None:
        """Open the newest or a given version; None if there is no table yet."""
        return open_table(self._storage, self.uri, version)

    def recorded(self, ids: Iterable[str]) -> set[str]:
        """Return those of the ids that a commit has already recorded."""
        table, wanted = self.open(), list(ids)
        return set() if table is None else self._persist("read", lambda: recorded(table, wanted))

    def append(self, frame: pd.DataFrame, *, ids: Sequence[str], notes: Mapping[str, str] | None = None) -> bool:
        """Append rows in one commit that records `ids` and `notes`, unless an id is recorded already.

        Returns
        -------
        bool
            Whether this call wrote the rows. False: an id was recorded, nothing was written.
        """
        rows = pa.Table.from_pandas(frame, schema=self.schema, preserve_index=False)
        room = rows.nbytes // 2  # compressed, it takes less
        return self.append_batches(rows.to_batches, ids=ids, nbytes=room, notes=notes) is not None

    def append_batches(
        self,
        batches: Callable[[], Iterable[pa.RecordBatch]],
        *,
        ids: Sequence[str],
        nbytes: int,
        expected: int | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> int | None:
        """Append like `append`, one record batch at a time in memory.

        Parameters
        ----------
        batches : callable
            Gives the rows; called again for every attempt.
        ids : sequence of str
            What the commit records.
        nbytes : int
            Room that the disk must have.
        expected : int, optional
            The version that the rows were compared with.
        notes : mapping of str to str, optional
            What the commit says of itself: `MADE_BY`, `MADE_FROM`, `UNDER_CONTRACT`.

        Returns
        -------
        int or None
            The version that this call wrote. None: an id was recorded, nothing was written.

        Raises
        ------
        OvertakenError
            The table is no longer at the expected version.
        """
        self._storage.check_room(nbytes, self.uri)

        def check(table: DeltaTable) -> None:
            if expected is not None and table.version() != expected:
                raise OvertakenError(f"{self.uri} is at version {table.version()}, not {expected} any more.")

        return commit(
            self._storage,
            self.uri,
            ids=ids,
            opened=self._open_or_create,
            write=lambda table, properties: self._write(table, batches(), properties),
            check=check,
            notes=notes,
        )

    def commits(self) -> Iterator[dict[str, Any]]:
        """Yield what each commit says of itself, newest first, with its ``version``, as far back as the log goes.

        Read from the log, one object a commit: `DeltaTable.history` keeps every other thread waiting for the network.
        """
        table = self.open()
        if table is None:
            return
        unsaid = {"operation": "WRITE", "timestamp": int(time.time() * 1000)}  # as if young: it is kept
        for version in range(table.version(), -1, -1):
            try:
                log = self._storage.read(f"tables/{self.name}/_delta_log/{version:020}.json")
            except FileNotFoundError:
                return
            said = next((line for line in log.split(b"\n") if line.startswith(b'{"commitInfo"')), None)
            yield {**(json.loads(said)["commitInfo"] if said else unsaid), "version": version}

    def replace(self, predicate: str, batches: Callable[[], Iterable[pa.RecordBatch]]) -> None:
        """Put rows in the place of those that match a predicate, which they match too, in one commit."""
        self._change(
            lambda table: self._write(table, batches(), CommitProperties(max_commit_retries=0), predicate=predicate)
        )

    def delete(self, predicate: str) -> None:
        """Remove the rows that match a predicate; nothing happens if there is no table yet."""
        self._change(lambda table: table.delete(predicate))

    def _change(self, change: Callable[[DeltaTable], object]) -> None:
        """Commit a change that may be made again; of a table that is not there yet nothing is changed."""
        for attempt in range(LOST_RACES):
            table = self.open()
            if table is None:
                return
            try:
                self._persist("change", partial(change, table))
                return
            except StorageError as error:
                if not isinstance(error.__cause__, CommitFailedError):
                    raise
                time.sleep(0.02 * (attempt + 1))
        raise StorageError(f"{self.uri} is too busy to change rows.", fix="Run the same command again.")

    def read_batches(
        self, *, columns: Sequence[str], where: pads.Expression | None = None, version: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Read columns of the rows that match in bounded batches; a read that fails goes on where it was."""
        table = self.open(version)
        if table is None:
            return
        at, given = table.version(), 0
        rows: Iterator[pa.RecordBatch] | None = None

        def following() -> pa.RecordBatch | None:
            nonlocal rows
            rows = rows or self._scan(columns, where, at, skip=given)
            try:
                return next(rows, None)
            except Exception:
                rows = None  # a scan that failed is over
                raise

        while (batch := self._read(following, version)) is not None:
            given += batch.num_rows
            yield batch

    def _scan(
        self, columns: Sequence[str], where: pads.Expression | None, version: int, *, skip: int
    ) -> Iterator[pa.RecordBatch]:
        table = DeltaTable(self.uri, version=version, storage_options=self._storage.options())
        scanner = table.to_pyarrow_dataset(schema=self.schema).scanner(
            columns=list(columns), filter=where, batch_size=_SCAN_ROWS, batch_readahead=2, fragment_readahead=1
        )
        for batch in scanner.to_batches():
            if skip < batch.num_rows:
                yield batch.slice(skip)
            skip = max(0, skip - batch.num_rows)

    def read(
        self,
        *,
        columns: Sequence[str] | None = None,
        where: pads.Expression | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """Read columns of the rows that match, as an Arrow table; no rows if there is no table yet."""
        table = self.open(version)
        names = list(columns) if columns is not None else self.schema.names
        if table is None:
            return self.schema.empty_table().select(names)
        return self._read(
            lambda: table.to_pyarrow_dataset(schema=self.schema).to_table(columns=names, filter=where), version
        )

    def read_newest(
        self,
        newest: int | None,
        *,
        by: Sequence[str],
        where: pads.Expression | None = None,
        version: int | None = None,
    ) -> pd.DataFrame:
        """Read the `newest` matching rows (all if None), oldest first, ordered by the columns `by`."""
        if newest is not None:
            moments = self.read(columns=[by[0]], where=where, version=version)[by[0]]
            if newest < len(moments):
                cut = moments.sort()[-newest] if newest > 0 else None
                recent = pads.scalar(False) if cut is None else pads.field(by[0]) >= cut
                where = recent if where is None else where & recent
        rows = self.read(where=where, version=version).sort_by([(name, "ascending") for name in by])
        return (rows if newest is None else rows.slice(max(0, len(rows) - newest))).to_pandas()

    def _read(self, call: Callable[[], _T], version: int | None) -> _T:
        try:
            return self._persist("read", call)
        except StorageError as error:
            if version is None or not isinstance(error.__cause__, FileNotFoundError):
                raise
            raise DataError(
                f"{self.name}@v{version} is not kept any more: no registered model named it when it was tidied up.",
                fix="Name a newer one, see `sentiment data log`. How long they are kept is retention.snapshot_days.",
            ) from error

    def _lacks(self, table: DeltaTable) -> bool:
        there = {field.name for field in table.schema().fields}
        return not there.issuperset(self.schema.names)

    def _open_or_create(self) -> DeltaTable:
        table = self.open()
        if table is None:
            return DeltaTable.create(
                self.uri,
                schema=self.schema,
                mode="ignore",
                configuration=dict(self.properties),
                storage_options=self._storage.options(),
            )
        self.ensure_properties(table)
        return table

    def ensure_properties(self, table: DeltaTable) -> None:
        """Tell an older table of its properties; that is a commit of its own, which changes no row."""
        there = table.metadata().configuration
        if any(there.get(name) != value for name, value in self.properties.items()):
            table.alter.set_table_properties(dict(self.properties))

    def _write(
        self,
        table: DeltaTable,
        batches: Iterable[pa.RecordBatch],
        properties: CommitProperties,
        *,
        predicate: str | None = None,
    ) -> None:
        """Append rows, or put them in the place of those that match."""
        how: dict[str, Any] = {"mode": "overwrite", "predicate": predicate} if predicate else {"mode": "append"}
        write_deltalake(
            table,
            pa.RecordBatchReader.from_batches(self.schema, iter(batches)),
            schema_mode="merge" if self._lacks(table) else None,
            commit_properties=properties,
            writer_properties=_WRITING,
            target_file_size=_FILE_BYTES,
            **how,
        )

    def _persist(self, what: str, call: Callable[[], _T]) -> _T:
        return self._storage.persist(call, what=what, where=self.uri)


class Reviews(Table):
    """The reviews table; its log is kept for ever, because a version can only be read with the log up to it."""

    properties = MappingProxyType(
        {
            "delta.enableExpiredLogCleanup": "false",  # after a checkpoint
            "delta.logRetentionDuration": "interval 36500 days",  # a clean-up by hand heeds only this
        }
    )

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, "reviews", REVIEWS_SCHEMA)


class Quarantine(Table):
    """The rows that the data contract refused, with their reasons."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, "quarantine", QUARANTINE_SCHEMA)


@dataclass(frozen=True)
class Snapshot:
    """One immutable version of the reviews table; ``str()`` gives ``reviews@v12``."""

    version: int
    rows: int
    uri: str

    def __str__(self) -> str:
        return f"reviews@v{self.version}"


def latest_snapshot(storage: Storage) -> Snapshot | None:
    """Return the newest snapshot, or None while there are no reviews.

    A version that only tidied up holds the same reviews as the one before, which stays the newest snapshot:
    what has learned from it has nothing new to learn.
    """
    reviews = Reviews(storage)
    table = reviews.open()
    if table is None:
        return None
    with storage_errors(reviews.uri):
        rows = int(table.count())
    if not rows:
        return None
    changes = (entry["version"] for entry in reviews.commits() if entry["operation"] not in UPKEEP)
    return Snapshot(version=next(changes, table.version()), rows=rows, uri=reviews.uri)


def snapshot_before(storage: Storage, moment: datetime) -> int | None:
    """Return the version of the snapshot that was the newest one just before a moment; None if there was none."""
    limit = moment.timestamp() * 1000
    changes = (entry for entry in Reviews(storage).commits() if entry["operation"] not in UPKEEP)
    return next((int(entry["version"]) for entry in changes if entry["timestamp"] < limit), None)


def read_snapshot(
    storage: Storage,
    version: int,
    *,
    split: str | None = None,
    labelled_only: bool = True,
    newest: int | None = None,
) -> pd.DataFrame:
    """Read the reviews of one snapshot, oldest first, in an order that never changes.

    Parameters
    ----------
    storage : Storage
        Where the table lives.
    version : int
        The snapshot's number.
    split : {"train", "test"}, optional
        Only this side of the split.
    labelled_only : bool
        Leave out reviews without a label. Otherwise a text that was later labelled counts once, labelled.
    newest : int, optional
        Only the newest so many.

    Raises
    ------
    DataError
        There is no such snapshot.
    """
    where = None if split is None else pads.field("split") == split
    if labelled_only:
        labelled = pads.field("label").is_valid()
        where = labelled if where is None else where & labelled
    reviews = Reviews(storage)
    check_version(reviews, version)
    frame = reviews.read_newest(
        newest if labelled_only else None,
        by=("ingested_at", "review_id"),  # within a batch by hash: files are often sorted by label
        where=where,
        version=version,
    )
    if labelled_only:
        return frame
    superseded = frame["label"].isna() & frame["review_id"].isin(frame.loc[frame["label"].notna(), "review_id"])
    frame = frame[~superseded]
    return (frame if newest is None else frame.iloc[max(0, len(frame) - newest) :]).reset_index(drop=True)


def parse_snapshot(name: str) -> int:
    """Return the version that ``reviews@v12``, ``v12`` or ``12`` names.

    Raises
    ------
    DataError
        It names none.
    """
    if found := re.fullmatch(r"(?:reviews@)?v?(\d{1,18})", name.strip()):
        return int(found[1])
    raise DataError(f"{name!r} is not a snapshot.", fix="Write it like reviews@v12, or 12.")


def check_version(reviews: Reviews, version: int) -> None:
    """Raise `DataError` unless there is such a version."""
    table = reviews.open()
    if table is None:
        raise DataError(f"There is no snapshot v{version}: no reviews at {reviews.uri}.", fix="Ingest reviews first.")
    if version > table.version() or version < 0:
        raise DataError(
            f"There is no snapshot reviews@v{version}; the newest is reviews@v{table.version()}.",
            fix="Name one that exists, or leave it out to take the newest.",
        )


def _recorded(table: DeltaTable, ids: Iterable[str]) -> set[str]:
    return {i for i in ids if table.transaction_version(i) is not None}
