"""Feedback joined to predictions by request id, judged, and made labelled reviews of, exactly once.

A join first writes down what it decided, as one commit of the table of verdicts, and then does it: what was
accepted is delivered as a batch like any file, what is held goes to the quarantine, in one commit that records
the join. A join that was killed between is finished by the next one, which decides nothing before that; so what
arrives meanwhile changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from sentiment.errors import StorageError
from sentiment.labels import LabelScheme
from sentiment.reviews.batch import Batch, BatchLoader
from sentiment.reviews.contract import CONTRACT
from sentiment.reviews.feedback import VERDICTS_SCHEMA, Verdicts, waiting_feedback
from sentiment.reviews.feedback_policy import (
    ACCEPTED,
    AGREES,
    DISAGREEMENT,
    HELD,
    TEXT_NOT_KEPT,
    UNMATCHED,
    Judged,
    Opinion,
    evidence_start,
    judge_feedback,
    window_of,
)
from sentiment.reviews.identity import review_id_of
from sentiment.reviews.predictions import read_predictions
from sentiment.reviews.table import FEEDBACK, TIMESTAMP, OvertakenError, Quarantine
from sentiment.settings import FeedbackPolicy, Settings
from sentiment.storage import Storage

logger = logging.getLogger(__name__)

SOURCE = "feedback"
REPORTERS = f"{SOURCE}/"
"""With the reporter's hash, what stands for the source file of held feedback."""

_ATTEMPTS = 5
_OPINION = list(Opinion.__slots__)


@dataclass(frozen=True)
class Joined:
    """What a join did.

    Attributes
    ----------
    accepted : int
        New labelled reviews.
    agreeing : int
        Feedback that says what is known already.
    refused : dict of str to int
        Feedback sent to the quarantine, by reason.
    waiting : int
        Feedback whose prediction is not there yet.
    """

    accepted: int = 0
    agreeing: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0


def join_feedback(settings: Settings, *, now: datetime) -> Joined:
    """Decide about the feedback whose predictions are there, and do so; hold the ingest lock meanwhile."""
    storage = Storage(settings)
    done = []
    for attempt in range(_ATTEMPTS):
        table = Verdicts(storage).open()
        version = 0 if table is None else table.version()
        done.append(_finish(settings, storage))
        try:
            waiting = _decide(storage, settings.feedback, version, now=now)
        except OvertakenError as error:  # by another machine: judge beside what it decided
            logger.info("feedback: judged again: %s (attempt %d)", error, attempt + 1)
            continue
        done.append(_finish(settings, storage))
        refused = sum((Counter(part.refused) for part in done), Counter[str]())
        accepted, agreeing = (sum(getattr(part, name) for part in done) for name in ("accepted", "agreeing"))
        return Joined(accepted, agreeing, dict(refused), waiting)
    raise StorageError(
        f"Feedback was not joined: {_ATTEMPTS} attempts lost against other writers.",
        fix="Run the same command again; nothing of it was written.",
    )


def _decide(storage: Storage, policy: FeedbackPolicy, version: int, *, now: datetime) -> int:
    """Write down what becomes of the feedback that can be judged; return how much goes on waiting."""
    verdicts, waiting = Verdicts(storage), waiting_feedback(storage)
    rows = waiting if waiting.empty else _matched(storage, waiting, policy, now=now)
    if rows.empty:
        return len(waiting)
    last = verdicts.read(columns=["number", "join"])
    number, join = (1 + (pc.max(last[name]).as_py() or 0) for name in ("number", "join"))
    decided = _judged(verdicts, rows, policy)
    decided = decided.assign(join=join, number=range(number, number + len(rows)), decided_at=now)
    table = pa.Table.from_pandas(decided, schema=VERDICTS_SCHEMA, preserve_index=False)
    written = verdicts.append_batches(table.to_batches, ids=[_name(join)], nbytes=table.nbytes // 2, expected=version)
    if written is None:
        raise OvertakenError(f"{verdicts.uri} has a join {join} already.")
    return len(waiting) - len(rows)


def _matched(storage: Storage, waiting: pd.DataFrame, policy: FeedbackPolicy, *, now: datetime) -> pd.DataFrame:
    """Return the feedback to decide about, in order: with its prediction, or beyond the time to wait for one."""
    horizon = timedelta(days=policy.horizon_days)
    oldest = waiting["received_at"].min().to_pydatetime() - horizon
    answers = read_predictions(storage, start=oldest, request_ids=waiting["request_id"].unique().tolist())
    answers = answers.drop_duplicates("request_id")[["request_id", "text", "predicted_at"]]
    rows = waiting.merge(answers, on="request_id", how="left")
    late = rows["predicted_at"] < rows["received_at"] - horizon
    rows.loc[late, ["text", "predicted_at"]] = None
    rows = rows[rows["predicted_at"].notna() | (rows["received_at"] < now - horizon)]
    ids = [None if pd.isna(text) else review_id_of(text) for text in rows["text"]]
    return rows.assign(text_id=pd.Series(ids, index=rows.index, dtype=object)).sort_values(
        ["received_at", "reporter", "file", "row_number"], ignore_index=True
    )


def _judged(verdicts: Verdicts, rows: pd.DataFrame, policy: FeedbackPolicy) -> pd.DataFrame:
    found = rows["text_id"].notna()
    opinions = [Opinion(*row) for row in rows.loc[found, _OPINION].itertuples(index=False)]
    outcomes = pd.Series(UNMATCHED, index=rows.index, dtype=object)
    outcomes[rows["predicted_at"].notna()] = TEXT_NOT_KEPT
    if opinions:
        outcomes[found] = judge_feedback(opinions, past=_past(verdicts, opinions, policy), policy=policy)
    return rows.assign(outcome=outcomes)


def _past(verdicts: Verdicts, opinions: list[Opinion], policy: FeedbackPolicy) -> list[Judged]:
    texts = pa.array({opinion.text_id for opinion in opinions}, pa.string())
    start = pa.scalar(evidence_start(opinions, policy), TIMESTAMP)
    where = pads.field("text_id").isin(texts) | (pads.field("received_at") >= start)
    rows = verdicts.read(columns=[*_OPINION, "outcome"], where=where).to_pandas()
    return [Judged(Opinion(*row[:-1]), row[-1]) for row in rows.itertuples(index=False)]


def _finish(settings: Settings, storage: Storage) -> Joined:
    """Do what the last join decided, unless it is done."""
    verdicts, quarantine = Verdicts(storage), Quarantine(storage)
    join = pc.max(verdicts.read(columns=["join"])["join"]).as_py()
    if join is None or quarantine.recorded([_name(join)]):
        return Joined()
    rows = verdicts.read(where=pads.field("join") == join).to_pandas().sort_values("number")
    counts = Counter(rows["outcome"].tolist())
    batch = _deliver(settings, storage, join, rows[rows["outcome"] == ACCEPTED])
    held = rows[rows["outcome"].isin(HELD)]
    quarantine.append(_refused(held, settings.feedback), ids=[_name(join)])  # last: the join is done
    refused = Counter({reason: counts[reason] for reason in HELD if counts[reason]}) + Counter(batch.refused)
    logger.info("feedback: join %d accepted %d, refused %s", join, batch.accepted, dict(refused) or 0)
    return Joined(batch.accepted, counts[AGREES] + batch.duplicates, dict(refused))


def _deliver(settings: Settings, storage: Storage, join: int, rows: pd.DataFrame) -> Batch:
    """Take accepted feedback in like a file; the same rows give the same bytes, and so the same batch."""
    if rows.empty:
        return Batch("", is_new=False, accepted=0, duplicates=0, refused={})
    field = "rating" if settings.data.scheme is LabelScheme.five_star else "label"
    with tempfile.TemporaryDirectory(prefix="sentiment-") as folder:
        path = Path(folder, f"{SOURCE}-{join}.jsonl")
        with path.open("w") as file:
            for row in rows.itertuples(index=False):
                line = {"text": row.text, field: row.label, "source": SOURCE, "number": row.number}
                file.write(json.dumps({**line, "written_at": row.predicted_at.isoformat()}) + "\n")
        return BatchLoader(settings, storage, origin=FEEDBACK).load(path, despite_policy=True)


def _refused(rows: pd.DataFrame, policy: FeedbackPolicy) -> pd.DataFrame:
    """Return held feedback as rows of the quarantine; what belongs together is one batch, to be reviewed as one."""
    return pd.DataFrame(
        {
            "reason": rows["outcome"],
            "source_file": [f"{REPORTERS}{reporter}" for reporter in rows["reporter"]],
            "row_number": rows["number"],
            "text": rows["text"],
            "label": rows["label"],
            "source": SOURCE,
            "stars": None,
            "batch_id": [_case(row, policy) for row in rows.to_dict("records")],
            "quarantined_at": rows["decided_at"],
            "origin": FEEDBACK,
            "written": [moment.isoformat() if pd.notna(moment) else None for moment in rows["predicted_at"]],
            "contract": CONTRACT,
        }
    )


def _case(row: Mapping[str, object], policy: FeedbackPolicy) -> str:
    """Return the batch of a held row: all about one text, or all of one reporter for one reason in one window."""
    window = window_of(row["received_at"], policy)  # type: ignore[arg-type]
    about = [row["text_id"]] if row["outcome"] == DISAGREEMENT else [row["reporter"], window]
    return hashlib.sha256(json.dumps([SOURCE, row["outcome"], *about]).encode()).hexdigest()


def _name(join: int) -> str:
    return f"feedback/{join}"
