"""The append-only record of every training, decision, approval, promotion, deployment and rollback.

A Delta table under ``tables/ledger``, which refuses changes of rows (``delta.appendOnly``). An entry with a key is
written once, however often its stage is retried. Each entry carries the hash of the one before it (`sentiment.chain`):
the newest entry is read at the very table version that the commit builds on, so that concurrent writers make one chain.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from sentiment.chain import GENESIS, Head, Verification, follow, head_of, in_order, verify
from sentiment.delta import commit, open_table
from sentiment.storage import Storage

TABLE = "tables/ledger"
SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us", tz="UTC")),
        ("event", pa.string()),
        ("actor", pa.string()),
        ("model_version", pa.string()),
        ("snapshot", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("run_id", pa.string()),
        ("digests", pa.string()),
        ("sequence", pa.int64()),
        ("previous", pa.string()),
        ("hash", pa.string()),
    ]
)
"""A table from before the chain lacks the last five; it gets them with the next entry."""

_PROPERTIES = {"delta.appendOnly": "true"}
_KEEPS_ROWS = frozenset({"CREATE TABLE", "SET TBLPROPERTIES", "OPTIMIZE", "VACUUM START", "VACUUM END"})


@dataclass(frozen=True)
class LedgerEntry:
    """One thing that happened.

    Attributes
    ----------
    event : str
        Of a model: ``trained``, ``registered``, ``decided``, ``approved``, ``rejected`` (both by a person),
        ``promoted``, ``packaged``, ``shipped``, ``canary`` (the verdict on a new release), ``deployed``,
        ``rolled_back``.
        Of data: ``released``, ``dropped``, ``removed``.
    digests : dict of str to str
        By what they are of: ``model``, ``data``, ``bento``, ``image``, ``file`` (of the Bento).
    sequence : int
        Its number in the chain, from 1.
    previous, hash : str
        That of the entry before it, and its own.
    """

    time: datetime
    event: str
    actor: str
    model_version: str | None
    snapshot: str | None
    reason: str
    detail: dict[str, Any]
    run_id: str | None = None
    digests: dict[str, str] = field(default_factory=dict)
    sequence: int = 0
    previous: str = GENESIS
    hash: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON types."""
        return {**asdict(self), "time": self.time.isoformat()}


class Ledger:
    """The ledger under one storage root."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._uri = storage.uri(TABLE)

    def append(
        self,
        event: str,
        *,
        model_version: str | None = None,
        run_id: str | None = None,
        snapshot: str | None = None,
        digests: Mapping[str, str] | None = None,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
        actor: str | None = None,
        key: str | tuple[str, ...] | None = None,
    ) -> None:
        """Add an entry; with a `key`, at most once ever. The actor is the user of this process if not given.

        With several keys, it is not added if any of them is known.
        """
        facts = {
            "event": event,
            "actor": actor or this_user(),
            "model_version": model_version,
            "run_id": run_id,
            "snapshot": snapshot,
            "digests": json.dumps(dict(digests or {}), sort_keys=True),
            "reason": reason,
            "detail": json.dumps(dict(detail or {}), sort_keys=True),
        }

        def write(table: DeltaTable, properties: CommitProperties) -> None:
            row = follow({**facts, "time": datetime.now(UTC)}, _head(table))
            write_deltalake(
                table,
                pa.Table.from_pylist([row], schema=SCHEMA),
                mode="append",
                schema_mode="merge" if _is_old(table) else None,
                commit_properties=properties,
            )

        ids = list(key) if isinstance(key, tuple) else [key] if key else []
        commit(self._storage, self._uri, ids=ids, opened=self._open_or_create, write=write)

    def has(self, key: str) -> bool:
        """Whether an entry with this key was written."""
        table = open_table(self._storage, self._uri)
        return table is not None and table.transaction_version(key) is not None

    def entries(self) -> list[LedgerEntry]:
        """Return all entries in the order of the chain, oldest first."""
        table = open_table(self._storage, self._uri)
        return [] if table is None else [_entry(row) for row in in_order(self._rows(table))]

    def newest(self, number: int) -> list[LedgerEntry]:
        """Return the newest entries in the order of the chain; only the files that have them are read."""
        table = open_table(self._storage, self._uri)
        if table is None:
            return []
        first = self._storage.persist(lambda: _head(table), what="read", where=self._uri).sequence - number
        if first <= 0:
            return self.entries()
        return [_entry(row) for row in in_order(self._rows(table, pads.field("sequence") > first))]

    def verify(self, *, head: str | None = None) -> Verification:
        """Look for any change: of an entry, of their order, of the table. See `sentiment.chain.verify`.

        Parameters
        ----------
        head : str, optional
            The hash of an entry seen earlier, which must still be there.
        """
        table = open_table(self._storage, self._uri)
        found = verify([] if table is None else self._rows(table), remembered=head)
        if found.problem or table is None:
            return found
        history = self._storage.persist(table.history, what="read", where=self._uri)
        changes = (said for said in reversed(history) if not _adds_only(said))
        if change := next(changes, None):
            done = change.get("operation", "an unknown operation")
            problem = (
                f"Version {change.get('version')} of {self._uri} was made by {done}, which may have removed entries."
            )
            return Verification(found.entries, found.head, problem)
        return found

    def _rows(self, table: DeltaTable, where: pads.Expression | None = None) -> list[dict[str, Any]]:
        return self._storage.persist(lambda: _read(table, where), what="read", where=self._uri)

    def _open_or_create(self) -> DeltaTable:
        table = open_table(self._storage, self._uri)
        if table is None:
            options = self._storage.options()
            return DeltaTable.create(
                self._uri, schema=SCHEMA, mode="ignore", configuration=_PROPERTIES, storage_options=options
            )
        if table.metadata().configuration.items() >= _PROPERTIES.items():
            return table
        with contextlib.suppress(CommitFailedError):  # another writer was faster
            table.alter.set_table_properties(_PROPERTIES)
        return open_table(self._storage, self._uri) or table


def _read(table: DeltaTable, where: pads.Expression | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pyarrow_dataset(schema=SCHEMA).to_table(filter=where).to_pylist()
    return rows


def _head(table: DeltaTable) -> Head:
    """Return the newest entry of a version of the table, reading only the file that has it."""
    files = pa.table(table.get_add_actions(flatten=True))
    highest = pc.max(files["max.sequence"]).as_py() if "max.sequence" in files.column_names else None
    if highest is None:  # nothing there, or nothing that is chained yet
        return head_of(in_order(_read(table)))
    return head_of(_read(table, pads.field("sequence") == highest))


def _is_old(table: DeltaTable) -> bool:
    return not {field.name for field in table.schema().fields}.issuperset(SCHEMA.names)


def _adds_only(commit_info: Mapping[str, Any]) -> bool:
    if commit_info.get("operation") == "WRITE":
        return bool(commit_info.get("operationParameters", {}).get("mode") == "Append")
    return commit_info.get("operation") in _KEEPS_ROWS


def _entry(row: dict[str, Any]) -> LedgerEntry:
    detail, digests = json.loads(row["detail"]), json.loads(row["digests"] or "{}")
    if row["digests"] is None:  # from before there were columns for them
        row = {**row, "run_id": detail.get("run_id")}
        digests = {"model": detail["digest"]} if row["run_id"] and "digest" in detail else {}
    return LedgerEntry(**{**row, "detail": detail, "digests": digests})


def this_user() -> str:
    """Return the name of the user of this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return f"uid {os.getuid()}"
