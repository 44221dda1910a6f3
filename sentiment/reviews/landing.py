"""From the landing zone into a table, exactly once.

A server writes small immutable files, ``landing/<table>/<utc>-<uuid>.parquet``, with no coordination between
servers; older ones wrote ``.jsonl``, one JSON object a line. The move reads many of them into one Delta commit that
records every file name, and then deletes them. A file that a commit has recorded is only deleted, so a move that
was killed anywhere can be repeated, and a file that a server sends again adds nothing. A file that cannot be read
is moved to ``landing/rejected/``, with the reason beside it, redacted like everything else; never lost.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentiment.errors import one_line
from sentiment.redaction import redact
from sentiment.reviews.redaction import redact_all
from sentiment.reviews.table import Table
from sentiment.settings import Settings
from sentiment.storage import Object, Storage

logger = logging.getLogger(__name__)

REJECTED, REASON = "landing/rejected", ".reason.json"
REASON_CHARACTERS = 500
FILES_PER_COMMIT, BYTES_PER_COMMIT = 1_000, 32 * 2**20  # compressed
PARQUET, JSON_LINES = ".parquet", ".jsonl"

Parse: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes a row of what a line holds; raises ValueError, KeyError or TypeError for what is none."""


@dataclass(frozen=True)
class Moved:
    """What a move did: rows added, and personal data replaced, by kind."""

    rows: int = 0
    redacted: Mapping[str, int] = field(default_factory=dict)


def move_landed(settings: Settings, storage: Storage, table: Table, *, parse: Parse, text: str) -> Moved:
    """Move what landed for a table into it; the column `text` is redacted if ``data.redact`` says so.

    Rows also get the ``file`` and ``row_number`` that they come from, and ``ingested_at``, if the table has these
    columns.
    """
    waiting = [item for item in storage.objects(f"landing/{table.name}") if item.path.endswith((PARQUET, JSON_LINES))]
    rows, redacted = 0, Counter[str]()
    for paths in _portions(waiting):
        moved = _move(storage, table, paths, parse=parse, text=text if settings.data.redact else None)
        rows += moved.rows
        redacted.update(moved.redacted)
    if waiting:
        logger.info("%s: %d rows from %d landing files", table.name, rows, len(waiting))
    return Moved(rows, dict(redacted))


def records_of(name: str, data: bytes, *, request_id: str | None = None) -> list[dict[str, Any]]:
    """Return what a landing file holds, or only what it says of one answer.

    Raises
    ------
    Exception
        It is damaged; what the libraries raise then is of many kinds.
    """
    if name.endswith(PARQUET):
        wanted = None if request_id is None else pc.field("request_id") == request_id
        rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(data), filters=wanted).to_pylist()
        return rows
    records = [json.loads(line) for line in data.decode().split("\n") if line.strip()]
    return [record for record in records if request_id is None or record["request_id"] == request_id]


def word(record: Mapping[str, Any], name: str) -> str:
    """Return a field that must be a string; half a surrogate pair cannot be stored and becomes a question mark."""
    value = record[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string")
    return value.encode(errors="replace").decode()


def moment(record: Mapping[str, Any], name: str) -> datetime:
    """Return a field that must be a moment with its timezone."""
    given = record[name]
    found = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    if found.tzinfo is None:
        raise ValueError(f"{name} {given} has no timezone")
    return found.astimezone(UTC)


def _portions(waiting: Sequence[Object]) -> Iterator[list[str]]:
    """Yield the files of one commit after the other: what is read at a time is bounded."""
    portion: list[str] = []
    size = 0
    for item in waiting:
        if portion and (len(portion) == FILES_PER_COMMIT or size + item.size > BYTES_PER_COMMIT):
            yield portion
            portion, size = [], 0
        portion.append(item.path)
        size += item.size
    if portion:
        yield portion


def _move(storage: Storage, table: Table, paths: list[str], *, parse: Parse, text: str | None) -> Moved:
    redacted, now = Counter[str](), datetime.now(UTC)
    while True:
        recorded = table.recorded(_name(path) for path in paths)
        new = [path for path in paths if _name(path) not in recorded]
        batches = _read_all(storage, table, new, parse, redacting=text is not None)
        rows = [{**row, "ingested_at": now} for batch in batches.values() for row in batch]
        frame = pd.DataFrame(rows, columns=table.schema.names)
        if text is not None:
            frame[text], redacted = redact_all(frame[text])
        if not batches or table.append(frame, ids=[_name(path) for path in batches]):
            break
    for path in paths:
        if path in batches or _name(path) in recorded:
            storage.delete(path)
    return Moved(len(frame), redacted)


def _read_all(
    storage: Storage, table: Table, paths: list[str], parse: Parse, *, redacting: bool
) -> dict[str, list[dict[str, Any]]]:
    batches = {}
    for path in paths:
        try:
            data = storage.read(path)
        except FileNotFoundError:  # another mover was here
            continue
        try:
            batches[path] = _rows(_name(path), data, parse)
        except MemoryError:  # says nothing about the file
            raise
        except Exception as error:
            logger.warning("%s: %s is not readable (%s); moved to %s/", table.name, path, error, REJECTED)
            _reject(storage, table, path, data, reason=error, redacting=redacting)
    return batches


def _reject(storage: Storage, table: Table, path: str, data: bytes, *, reason: Exception, redacting: bool) -> None:
    """Put a file aside. A Parquet file is kept as it is: servers redact before they write one."""
    if redacting and path.endswith(JSON_LINES):
        data = redact(data.decode(errors="replace"))[0].encode()
    said = redact(one_line(reason))[0][:REASON_CHARACTERS]
    why = {"table": table.name, "reason": said, "kind": type(reason).__name__, "at": datetime.now(UTC).isoformat()}
    storage.write(f"{REJECTED}/{_name(path)}", data)
    storage.write(f"{REJECTED}/{_name(path)}{REASON}", json.dumps(why, indent=2).encode())
    storage.delete(path)


def _rows(name: str, data: bytes, parse: Parse) -> list[dict[str, Any]]:
    records = records_of(name, data)
    if not records:
        raise ValueError("it holds nothing")
    return [{**parse(record), "file": name, "row_number": n} for n, record in enumerate(records, start=1)]


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
