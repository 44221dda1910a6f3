"""The append-only record of every training, decision, promotion, deployment and rollback.

A Delta table under ``tables/ledger``. Entries are never changed; an entry with a key is written once,
however often its stage is retried.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

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
    ]
)


@dataclass(frozen=True)
class LedgerEntry:
    """One thing that happened.

    Attributes
    ----------
    event : str
        ``trained``, ``registered``, ``decided``, ``promoted``, ``packaged``, ``deployed`` or ``rolled_back``.
    """

    time: datetime
    event: str
    actor: str
    model_version: str | None
    snapshot: str | None
    reason: str
    detail: dict[str, Any]

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
        snapshot: str | None = None,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
        actor: str | None = None,
        key: str | None = None,
    ) -> None:
        """Add an entry; with a `key`, at most once ever. The actor is the user of this process if not given."""
        row = {
            "time": datetime.now(UTC),
            "event": event,
            "actor": actor or _actor(),
            "model_version": model_version,
            "snapshot": snapshot,
            "reason": reason,
            "detail": json.dumps(dict(detail or {}), sort_keys=True),
        }

        def write(table: DeltaTable, properties: CommitProperties) -> None:
            rows = pa.Table.from_pylist([row], schema=SCHEMA)
            write_deltalake(table, rows, mode="append", commit_properties=properties)

        ids = [key] if key else []
        commit(self._storage, self._uri, ids=ids, opened=self._open_or_create, write=write)

    def entries(self) -> list[LedgerEntry]:
        """Return all entries, oldest first."""
        table = open_table(self._storage, self._uri)
        if table is None:
            return []
        rows = self._storage.persist(lambda: table.to_pyarrow_table().to_pylist(), what="read", where=self._uri)
        entries = [LedgerEntry(**{**row, "detail": json.loads(row["detail"])}) for row in rows]
        return sorted(entries, key=lambda entry: entry.time)

    def _open_or_create(self) -> DeltaTable:
        options = self._storage.options()
        return open_table(self._storage, self._uri) or DeltaTable.create(
            self._uri, schema=SCHEMA, mode="ignore", storage_options=options
        )


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return f"uid {os.getuid()}"
