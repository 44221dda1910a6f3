"""The predictions table: what the servers answered, moved from their landing zone exactly once."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from sentiment.errors import DataError
from sentiment.reviews.landing import Moved, moment, move_landed, word
from sentiment.reviews.table import TIMESTAMP, Table
from sentiment.settings import Settings
from sentiment.storage import Storage

PREDICTIONS_SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("model_version", pa.string()),
        ("predicted_at", TIMESTAMP),
        ("abstained", pa.bool_()),
        ("ingested_at", TIMESTAMP),
        ("text_sha256", pa.string()),
        ("unknown_share", pa.float64()),
    ]
)
"""``text`` is null where the servers keep only its hash; ``ingested_at``, ``text_sha256`` and ``unknown_share`` (of the
tokens, those that the model does not know) are null in rows from before there were such columns."""


class Predictions(Table):
    """The predictions table."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, "predictions", PREDICTIONS_SCHEMA)


def ingest_predictions(settings: Settings) -> int:
    """Move the landing zone into the predictions table and return how many predictions that added."""
    return move_predictions(settings).rows


def move_predictions(settings: Settings) -> Moved:
    """Move the landing zone into the predictions table; texts are redacted if ``data.redact`` says so."""
    storage = Storage(settings)
    return move_landed(settings, storage, Predictions(storage), parse=_row, text="text")


def read_predictions(
    storage: Storage,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    model_version: str | None = None,
    newest: int | None = None,
    request_ids: Collection[str] | None = None,
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
    request_ids : collection of str, optional
        Only these answers.

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
        limit = pa.scalar(bound, TIMESTAMP)
        part = pads.field("predicted_at") >= limit if is_start else pads.field("predicted_at") < limit
        where = part if where is None else where & part
    if request_ids is not None:
        named = pads.field("request_id").isin(pa.array(request_ids, pa.string()))
        where = named if where is None else where & named
    return Predictions(storage).read_newest(newest, by=("predicted_at", "request_id"), where=where)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    score, predicted_at = float(record["score"]), moment(record, "predicted_at")
    if not 0 <= score <= 1:
        raise ValueError(f"score {score} is not between 0 and 1")
    words = {name: word(record, name) for name in ("request_id", "label", "model_version")}
    texts = {name: word(record, name) if record.get(name) is not None else None for name in ("text", "text_sha256")}
    if texts == {"text": None, "text_sha256": None}:
        raise ValueError("there is neither a text nor its hash")
    abstained, unknown = record.get("abstained"), record.get("unknown_share")  # servers of older versions do not say
    if not isinstance(abstained, bool | None):
        raise TypeError("abstained must be true or false")
    if unknown is not None and not 0 <= float(unknown) <= 1:
        raise ValueError(f"unknown_share {unknown} is not between 0 and 1")
    return {
        **words,
        **texts,
        "score": score,
        "predicted_at": predicted_at,
        "abstained": abstained,
        "unknown_share": unknown,
    }
