"""From the landing zone into a table, exactly once.

A server writes small immutable files, ``landing/<table>/<utc>-<uuid>.jsonl``, with no coordination between
servers. The move reads up to a thousand of them into one Delta commit that records every file name, and then
deletes them. A file that a commit has recorded is only deleted, so a move that was killed anywhere can be
repeated. A file that cannot be read is moved to ``landing/rejected/``, redacted like everything else, never lost.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pandas as pd

from sentiment.redaction import redact
from sentiment.reviews.redaction import redact_all
from sentiment.reviews.table import Table
from sentiment.settings import Settings
from sentiment.storage import Storage

logger = logging.getLogger(__name__)

REJECTED = "landing/rejected"
FILES_PER_COMMIT = 1_000

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
    waiting = [path for path in storage.list(f"landing/{table.name}") if path.endswith(".jsonl")]
    rows, redacted = 0, Counter[str]()
    for start in range(0, len(waiting), FILES_PER_COMMIT):
        paths = waiting[start : start + FILES_PER_COMMIT]
        moved = _move(storage, table, paths, parse=parse, text=text if settings.data.redact else None)
        rows += moved.rows
        redacted.update(moved.redacted)
    if waiting:
        logger.info("%s: %d rows from %d landing files", table.name, rows, len(waiting))
    return Moved(rows, dict(redacted))


def word(record: Mapping[str, Any], name: str) -> str:
    """Return a field that must be a string; half a surrogate pair cannot be stored and becomes a question mark."""
    value = record[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string")
    return value.encode(errors="replace").decode()


def moment(record: Mapping[str, Any], name: str) -> datetime:
    """Return a field that must be a moment with its timezone."""
    found = datetime.fromisoformat(record[name])
    if found.tzinfo is None:
        raise ValueError(f"{name} {record[name]} has no timezone")
    return found.astimezone(UTC)


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
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("%s: %s is not readable (%s); moved to %s/", table.name, path, error, REJECTED)
            kept = redact(data.decode(errors="replace"))[0].encode() if redacting else data
            storage.write(f"{REJECTED}/{_name(path)}", kept)
            storage.delete(path)
    return batches


def _rows(name: str, data: bytes, parse: Parse) -> list[dict[str, Any]]:
    lines = [line for line in data.decode().split("\n") if line.strip()]
    if not lines:
        raise ValueError("it holds no line")
    return [{**parse(json.loads(line)), "file": name, "row_number": n} for n, line in enumerate(lines, start=1)]


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
