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
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError

from sentiment.errors import storage_errors
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
        self._uri = storage.uri(TABLE)
        self._options = storage.options()

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
        with storage_errors(self._uri):
            table = self._table()
            if key and table is not None and table.transaction_version(key) is not None:
                return
            row = {
                "time": datetime.now(UTC),
                "event": event,
                "actor": actor or _actor(),
                "model_version": model_version,
                "snapshot": snapshot,
                "reason": reason,
                "detail": json.dumps(dict(detail or {}), sort_keys=True),
            }
            transactions = [Transaction(key, 1)] if key else None
            write_deltalake(
                table or self._uri,
                pa.Table.from_pylist([row], schema=SCHEMA),
                mode="append",
                storage_options=self._options or None,
                commit_properties=CommitProperties(app_transactions=transactions),
            )

    def entries(self) -> list[LedgerEntry]:
        """Return all entries, oldest first."""
        with storage_errors(self._uri):
            table = self._table()
            rows = [] if table is None else table.to_pyarrow_table().to_pylist()
        entries = [LedgerEntry(**{**row, "detail": json.loads(row["detail"])}) for row in rows]
        return sorted(entries, key=lambda entry: entry.time)

    def _table(self) -> DeltaTable | None:
        try:
            return DeltaTable(self._uri, storage_options=self._options or None)
        except TableNotFoundError:
            return None


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return f"uid {os.getuid()}"
