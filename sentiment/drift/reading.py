"""Reads one side of a comparison: at most so many of its rows, however many it has, with their labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import singledispatch
from itertools import repeat

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from sentiment.drift.sampling import LoggedAnswer, Row, SampledRows, sample
from sentiment.drift.sides import FileSide, Side, SnapshotSide, WindowSide
from sentiment.errors import DataError
from sentiment.reviews.contract import labels_of
from sentiment.reviews.predictions import Predictions
from sentiment.reviews.redaction import redact_all
from sentiment.reviews.sources import read_batches
from sentiment.reviews.table import TIMESTAMP, Reviews, check_version
from sentiment.reviews.versions import reviews_of
from sentiment.settings import Settings
from sentiment.storage import Storage

LABELS_SHOWN = 5
_ANSWERED = ("model_version", "label", "score", "unknown_share")  # the last is not in tables of older versions


def read_side(settings: Settings, side: Side, *, most: int, role: str) -> SampledRows:
    """Return at most so many rows of a side: a fair part, the same one every time, read in one pass.

    Personal data is replaced if ``data.redact`` says so. A side without rows gives none.

    Parameters
    ----------
    settings : Settings
    side : Side
    most : int
    role : str
        ``reference`` or ``current``; they take rows at other places.

    Raises
    ------
    SourceError
        A file is missing, empty, not readable or lacks a column.
    DataError
        There is no such snapshot, or it is not kept any more.
    """
    kept, of = sample(_rows(side, settings), most=most, salt=role)
    if not settings.data.redact or not kept:
        return SampledRows(kept, of)
    texts, _ = redact_all(pd.Series([row.text for row in kept], dtype=object))
    return SampledRows(tuple(row._replace(text=text) for row, text in zip(kept, texts, strict=True)), of)


def with_labels_of(
    rows: Sequence[Row], known: Collection[str], *, side: Side, must_know: bool
) -> tuple[str | None, ...]:
    """Return the labels of rows, without those that a label scheme does not have.

    Parameters
    ----------
    rows : sequence of Row
    known : collection of str
        The labels of the scheme.
    side : Side
        Where the rows come from.
    must_know : bool
        There is a champion, which answers in this scheme. Otherwise labels of a scheme of their own stay.

    Raises
    ------
    DataError
        There are labels, and none of them is known.
    """
    labels = [row.label for row in rows]
    given = sorted({label for label in labels if label is not None})
    if not given or not set(given).isdisjoint(known):
        return tuple(label if label in known else None for label in labels)
    if must_know:
        shown = ", ".join(given[:LABELS_SHOWN]) + (", ..." if len(given) > LABELS_SHOWN else "")
        raise DataError(
            f"{side} is labelled in another scheme than the champion's: it has {shown}; "
            f"the champion answers {', '.join(known)}.",
            fix="Set data.label_words or data.rating_labels to what these labels mean, name another column with "
            "--label, or compare without the champion (--no-champion).",
        )
    return tuple(labels)


@singledispatch
def _rows(side: object, settings: Settings) -> Iterator[tuple[str, Row]]:
    raise TypeError(f"{type(side).__name__} is no side of a comparison")


@_rows.register
def _of_file(side: FileSide, settings: Settings) -> Iterator[tuple[str, Row]]:
    number = 0
    words = settings.data.label_words
    for batch in read_batches(
        side.path, text=side.text, label=side.label, words=words, batch_rows=settings.data.batch_rows
    ):
        columns = (batch["text"], labels_of(batch, settings.data), batch["source"])
        for text, label, source in zip(*columns, strict=True):
            if isinstance(text, str) and text.strip():
                yield str(number), Row(text, label, source if isinstance(source, str) else None)
            number += 1


@_rows.register
def _of_snapshot(side: SnapshotSide, settings: Settings) -> Iterator[tuple[str, Row]]:
    storage, columns = Storage(settings), ["review_id", "text", "label", "source"]
    if side.held_out:
        reviews = Reviews(storage)
        check_version(reviews, side.version)
        where = pads.field("label").is_valid() & (pads.field("split") == "test")
        batches = reviews.read_batches(columns=columns, where=where, version=side.version)
    else:
        batches = reviews_of(storage, side.version, columns=columns)
    for batch in batches:
        for review_id, *row in zip(*(batch[name].to_pylist() for name in columns), strict=True):
            yield review_id, Row(*row)


@_rows.register
def _of_window(side: WindowSide, settings: Settings) -> Iterator[tuple[str, Row]]:
    made, start, end = pads.field("predicted_at"), *(pa.scalar(bound, TIMESTAMP) for bound in (side.start, side.end))
    where = (made >= start) & (made < end)
    if side.answered_by is not None:
        where &= pads.field("model_version") == side.answered_by
    if side.known_by is not None:
        taken_in = pads.field("ingested_at")
        where &= taken_in.is_null() | (taken_in < pa.scalar(side.known_by, TIMESTAMP))
    table = Predictions(Storage(settings))
    columns = [name for name in ("request_id", "text", *_ANSWERED) if name in table.schema.names]
    for batch in table.read_batches(columns=columns, where=where):
        given = dict(zip(columns, (batch[name].to_pylist() for name in columns), strict=True))
        answers = zip(*(given.get(name, repeat(None)) for name in _ANSWERED), strict=False)
        for request_id, text, answer in zip(given["request_id"], given["text"], answers, strict=True):
            if text and text.strip():
                yield request_id, Row(text, answer=_answer(*answer))


def _answer(version: str | None, label: str | None, score: float | None, unknown: float | None) -> LoggedAnswer | None:
    if version is None or label is None or score is None or not 0 <= score <= 1:
        return None
    return LoggedAnswer(version, label, score, unknown if unknown is not None and 0 <= unknown <= 1 else None)
