"""The predictions table: what the servers answered, moved from their landing zone exactly once.

A server writes small immutable files, ``landing/predictions/<utc>-<uuid>.jsonl``, with no coordination
between servers. The move reads up to a thousand of them into one Delta commit that records every file name,
and then deletes them. A file that a commit has recorded is only deleted, so a move that was killed anywhere
can be repeated. A file that cannot be read is moved to ``landing/rejected/``, never lost.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from sentiment.errors import DataError
from sentiment.reviews.redaction import redact_all
from sentiment.reviews.table import TIMESTAMP, Table
from sentiment.settings import Settings
from sentiment.storage import Storage

logger = logging.getLogger(__name__)

LANDING = "landing/predictions"
REJECTED = "landing/rejected"
FILES_PER_COMMIT = 1_000

PREDICTIONS_SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("model_version", pa.string()),
        ("predicted_at", TIMESTAMP),
    ]
)


class Predictions(Table):
    """The predictions table."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, "predictions", PREDICTIONS_SCHEMA)


@dataclass(frozen=True)
class Moved:
    """What moving predictions did: rows added, and personal data replaced, by kind."""

    rows: int = 0
    redacted: Mapping[str, int] = field(default_factory=dict)


def ingest_predictions(settings: Settings) -> int:
    """Move the landing zone into the predictions table and return how many predictions that added."""
    return move_predictions(settings).rows


def move_predictions(settings: Settings) -> Moved:
    """Move the landing zone into the predictions table; texts are redacted if ``data.redact`` says so."""
    storage = Storage(settings)
    table = Predictions(storage)
    waiting = [path for path in storage.list(LANDING) if path.endswith(".jsonl")]
    rows, redacted = 0, Counter[str]()
    for start in range(0, len(waiting), FILES_PER_COMMIT):
        moved = _move(storage, table, waiting[start : start + FILES_PER_COMMIT], redact=settings.data.redact)
        rows += moved.rows
        redacted.update(moved.redacted)
    if waiting:
        logger.info("predictions: %d rows from %d landing files", rows, len(waiting))
    return Moved(rows, dict(redacted))


def read_predictions(
    storage: Storage,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    model_version: str | None = None,
    newest: int | None = None,
) -> pd.DataFrame:
    """Read predictions made at or after `start` and before `end`, oldest first.

    Parameters
    ----------
    storage : Storage
        Where the table lives.
    start, end : datetime, optional
        Half-open interval, timezone-aware; pushed down to the files.
    model_version : str, optional
        Only what this version answered.
    newest : int, optional
        Only the newest so many of them.

    Raises
    ------
    DataError
        A bound has no timezone.
    """
    where = None if model_version is None else pads.field("model_version") == model_version
    for bound, is_start in ((start, True), (end, False)):
        if bound is None:
            continue
        if bound.tzinfo is None:
            raise DataError(f"The bound {bound.isoformat()} has no timezone.", fix="Give it in UTC, as in ...+00:00.")
        moment = pa.scalar(bound, TIMESTAMP)
        part = pads.field("predicted_at") >= moment if is_start else pads.field("predicted_at") < moment
        where = part if where is None else where & part
    return Predictions(storage).read_newest(newest, by=("predicted_at", "request_id"), where=where)


def _move(storage: Storage, table: Predictions, paths: list[str], *, redact: bool) -> Moved:
    while True:
        recorded = table.recorded(_name(path) for path in paths)
        batches = _read_all(storage, [path for path in paths if _name(path) not in recorded])
        frame = _frame([row for batch in batches.values() for row in batch])
        frame["text"], redacted = redact_all(frame["text"]) if redact else (frame["text"], Counter())
        if not batches or table.append(frame, ids=[_name(path) for path in batches]):
            break
    for path in paths:
        if path in batches or _name(path) in recorded:
            storage.delete(path)
    return Moved(len(frame), redacted)


def _read_all(storage: Storage, paths: list[str]) -> dict[str, list[dict[str, Any]]]:
    batches = {}
    for path in paths:
        try:
            batches[path] = _parse(storage.read(path))
        except FileNotFoundError:  # another mover was here
            continue
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("predictions: %s is not readable (%s); moved to %s/", path, error, REJECTED)
            storage.move(path, f"{REJECTED}/{_name(path)}")
    return batches


def _parse(data: bytes) -> list[dict[str, Any]]:
    lines = [line for line in data.decode().split("\n") if line.strip()]
    if not lines:
        raise ValueError("it holds no line")
    return [_row(json.loads(line)) for line in lines]


def _row(record: dict[str, Any]) -> dict[str, Any]:
    score, predicted_at = float(record["score"]), datetime.fromisoformat(record["predicted_at"])
    if not 0 <= score <= 1:
        raise ValueError(f"score {score} is not between 0 and 1")
    if predicted_at.tzinfo is None:
        raise ValueError(f"predicted_at {record['predicted_at']} has no timezone")
    words = {name: record[name] for name in ("request_id", "text", "label", "model_version")}
    if not all(isinstance(word, str) for word in words.values()):
        raise TypeError("request_id, text, label and model_version must be strings")
    words["text"] = words["text"].encode(errors="replace").decode()  # half a surrogate pair cannot be stored
    return {**words, "score": score, "predicted_at": predicted_at}


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=PREDICTIONS_SCHEMA.names)
    return frame.assign(predicted_at=pd.to_datetime(frame["predicted_at"], utc=True))


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
