"""The feedback table, as callers gave it, and the table of what became of each piece of it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from sentiment.reviews.landing import Moved, moment, move_landed, word
from sentiment.reviews.table import TIMESTAMP, Table
from sentiment.settings import Settings
from sentiment.storage import Storage

FEEDBACK_SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("label", pa.string()),
        ("comment", pa.string()),
        ("reporter", pa.string()),
        ("client", pa.string()),
        ("received_at", TIMESTAMP),
        ("file", pa.string()),
        ("row_number", pa.int64()),
    ]
)
"""``reporter`` and ``client`` are hashes, see `sentiment.serving.feedback`; ``file`` is that of the landing zone."""

VERDICTS_SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("join", pa.int64()),
        ("outcome", pa.string()),
        ("file", pa.string()),
        ("row_number", pa.int64()),
        ("request_id", pa.string()),
        ("reporter", pa.string()),
        ("client", pa.string()),
        ("received_at", TIMESTAMP),
        ("label", pa.string()),
        ("text_id", pa.string()),
        ("text", pa.string()),
        ("predicted_at", TIMESTAMP),
        ("decided_at", TIMESTAMP),
    ]
)
"""One row for each piece of feedback that is decided: by ``file`` and ``row_number`` that of the feedback table."""

KEY = ["file", "row_number"]


class Feedback(Table):
    """What callers said about answers."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, "feedback", FEEDBACK_SCHEMA)


class Verdicts(Table):
    """What became of it."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, "feedback_verdicts", VERDICTS_SCHEMA)


def move_feedback(settings: Settings) -> Moved:
    """Move the landing zone into the feedback table; comments are redacted if ``data.redact`` says so."""
    storage = Storage(settings)
    return move_landed(settings, storage, Feedback(storage), parse=_row, text="comment")


def waiting_feedback(storage: Storage) -> pd.DataFrame:
    """Return the feedback that nothing was decided about yet, without the comments."""
    names = [name for name in FEEDBACK_SCHEMA.names if name != "comment"]
    decided = Verdicts(storage).read(columns=KEY)
    return Feedback(storage).read(columns=names).join(decided, keys=KEY, join_type="left anti").to_pandas()


def _row(record: dict[str, Any]) -> dict[str, Any]:
    words = {name: word(record, name) for name in ("request_id", "label", "comment", "reporter", "client")}
    return {**words, "received_at": moment(record, "received_at")}
