"""Ingest: files from the inbox, or from given paths, into the reviews table, predictions and feedback into theirs.

Feedback about predictions becomes labelled reviews (`sentiment.reviews.feedback_join`).

A file that cannot be read is left where it is and does not stop the others; the error at the end names it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from sentiment.errors import DataError, SentimentError, SourceError
from sentiment.reviews import held, inbox
from sentiment.reviews.batch import Batch, BatchLoader
from sentiment.reviews.feedback import move_feedback
from sentiment.reviews.feedback_join import Joined, join_feedback
from sentiment.reviews.held import HeldError
from sentiment.reviews.landing import Moved
from sentiment.reviews.lock import exclusive
from sentiment.reviews.predictions import move_predictions
from sentiment.reviews.remote import fetched, is_remote
from sentiment.reviews.sources import fingerprint
from sentiment.reviews.table import latest_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage

PROCESSED = "processed"


@dataclass(frozen=True)
class _Landed:
    predictions: Moved = field(default_factory=Moved)
    feedback: Moved = field(default_factory=Moved)
    joined: Joined = field(default_factory=Joined)


@dataclass(frozen=True)
class IngestResult:
    """What one ingestion did.

    Attributes
    ----------
    files : int
        Files ingested.
    skipped : int
        Files left out because their content had been ingested before.
    accepted, duplicates : int
        Rows added; rows sent to the quarantine because they were there already. Feedback is among them.
    refused : dict of str to int
        Rows sent to the quarantine for what is wrong with them, by reason.
    predictions : int
        Predictions moved from the landing zone.
    feedback : dict of str to int
        Feedback ``received``, moved from the landing zone; ``accepted`` as labelled reviews, ``agreeing`` with what is
        known, ``held`` in the quarantine, and still ``waiting`` for its prediction.
    redacted : dict of str to int
        Personal data replaced in reviews, predictions and comments, by kind.
    waiting : int
        Files left in the inbox because they are still being written.
    snapshot : str or None
        The newest snapshot, whether or not this ingestion made it.
    seconds : float
        How long it took.
    """

    files: int
    skipped: int
    accepted: int
    duplicates: int
    refused: dict[str, int]
    predictions: int
    feedback: dict[str, int]
    redacted: dict[str, int]
    waiting: int
    snapshot: str | None
    seconds: float

    @property
    def new_rows(self) -> bool:
        """Whether there is a new snapshot."""
        return self.accepted > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


def ingest(
    settings: Settings,
    *,
    paths: Sequence[Path | str] = (),
    text: str | None = None,
    label: str | None = None,
    time: str | None = None,
    source: str | None = None,
) -> IngestResult:
    """Ingest files; without any, everything in the inbox and the landing zone.

    Parameters
    ----------
    settings : Settings
        Storage, label scheme, limits.
    paths : sequence of Path or str
        Files, folders of text files, or ``https://`` and ``s3://`` addresses; they are left where they are.
    text, label, time : str, optional
        Names of the columns, see `sentiment.reviews.sources.read_batches`.
    source : str, optional
        Source of all these reviews; otherwise the file's own column, or the name of the file.

    Raises
    ------
    SourceError
        Some files cannot be read. All others are ingested; ``error.result`` says what was.
    HeldError
        Some files are beyond policy (`sentiment.reviews.policy`) and held as a whole.
    DataError
        The contract refused every row of a given path.
    """
    started = monotonic()
    storage = Storage(settings)
    batches: list[Batch] = []
    failures: list[SentimentError] = []
    landed = _Landed()
    with exclusive(settings, "ingest"):
        loader = BatchLoader(settings, storage, text=text, label=label, time=time, source=source)
        loader.clean()
        found = [] if paths else inbox.entries(storage)
        ready = inbox.settled(storage, found, seconds=settings.data.settle_seconds)
        deliveries = _given(settings, loader, storage, paths) if paths else _inbox(loader, storage, ready)
        for load in deliveries:
            try:
                batches.append(load())
            except DataError as error:
                failures.append(error)
        if not paths:
            landed = _land(settings)
    result = _result(storage, batches, landed, waiting=len(found) - len(ready), seconds=monotonic() - started)
    if failures:
        raise _combined(failures, result)
    return result


def _given(
    settings: Settings, loader: BatchLoader, storage: Storage, paths: Sequence[Path | str]
) -> Iterator[Callable[[], Batch]]:
    for path in paths:
        if is_remote(path):
            yield partial(_load_remote, settings, loader, storage, str(path))
        else:
            yield partial(_load_given, loader, storage, Path(path))


def _load_remote(settings: Settings, loader: BatchLoader, storage: Storage, address: str) -> Batch:
    with fetched(address, settings) as path:
        return _load_given(loader, storage, path)


def _load_given(loader: BatchLoader, storage: Storage, path: Path) -> Batch:
    try:
        batch = loader.load(path)
    except HeldError as error:
        if error.held:
            held.keep_copy(storage, error.held, path)
        raise
    if batch.refused and not batch.accepted and not batch.duplicates:
        reasons = ", ".join(f"{reason} {count}" for reason, count in batch.refused.items())
        raise DataError(
            f"All {sum(batch.refused.values())} rows of {path} were refused: {reasons}.",
            fix=f"See them at {loader.quarantine_uri}; {_cure(batch.refused)}.",
        )
    return batch


def _cure(refused: Mapping[str, int]) -> str:
    match max(refused, key=lambda reason: refused[reason]):
        case "bad_encoding":
            return "save the file as UTF-8"
        case "malformed_row":
            return "check its delimiters and quotes"
        case "too_long":
            return "split the texts or raise data.max_characters"
        case "future_timestamp":
            return "check the column of the moments (--time) and the clocks"
        case "wrong_language":
            return "add the language to data.languages, or empty it to take any"
        case _:
            return "check the columns (--text, --label) and the label scheme (data.scheme)"


def _inbox(loader: BatchLoader, storage: Storage, ready: Sequence[inbox.Entry]) -> Iterator[Callable[[], Batch]]:
    for entry in ready:
        yield partial(_load_entry, loader, storage, entry)


def _load_entry(loader: BatchLoader, storage: Storage, entry: inbox.Entry) -> Batch:
    with inbox.local(storage, entry) as path:
        read = fingerprint(path)
        try:
            batch = loader.load(path)
        except HeldError as error:
            if error.held:
                inbox.retire(storage, entry, held.place(error.held), read=read)
            raise
    inbox.retire(storage, entry, f"{PROCESSED}/{batch.batch_id[:12]}-{entry.name}", read=read)
    return batch


def _land(settings: Settings) -> _Landed:
    """Take in what the servers wrote: predictions first, since feedback is about them."""
    predictions, feedback = move_predictions(settings), move_feedback(settings)
    return _Landed(predictions, feedback, join_feedback(settings, now=datetime.now(UTC)))


def _result(
    storage: Storage, batches: Sequence[Batch], landed: _Landed, *, waiting: int, seconds: float
) -> IngestResult:
    joined = landed.joined
    refused = Counter(joined.refused)
    redacted = Counter(landed.predictions.redacted) + Counter(landed.feedback.redacted)
    for batch in batches:
        refused.update(batch.refused)
        redacted.update(batch.redacted)
    snapshot = latest_snapshot(storage)
    return IngestResult(
        files=sum(batch.is_new for batch in batches),
        skipped=sum(not batch.is_new for batch in batches),
        accepted=sum(batch.accepted for batch in batches) + joined.accepted,
        duplicates=sum(batch.duplicates for batch in batches) + joined.agreeing,
        refused=dict(refused),
        predictions=landed.predictions.rows,
        feedback={
            "received": landed.feedback.rows,
            "accepted": joined.accepted,
            "agreeing": joined.agreeing,
            "held": sum(joined.refused.values()),
            "waiting": joined.waiting,
        },
        redacted=dict(redacted),
        waiting=waiting,
        snapshot=str(snapshot) if snapshot else None,
        seconds=round(seconds, 3),
    )


def _combined(failures: Sequence[SentimentError], result: IngestResult) -> SentimentError:
    """Return one error for all files that failed, with what was done as its ``result``."""
    error = failures[0]
    if len(failures) > 1:
        error = SourceError(
            f"{len(failures)} files were not ingested: " + " ".join(failure.message for failure in failures),
            fix="Correct or remove them and ingest again; all other files are ingested. "
            + " ".join(dict.fromkeys(failure.fix for failure in failures)),
        )
    error.result = result
    return error
