"""Ingest: files from the inbox, or from given paths, into the reviews table, and predictions into theirs.

A file that cannot be read is left where it is and does not stop the others; the error at the end names it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sentiment.errors import DataError, SentimentError, SourceError, storage_errors
from sentiment.reviews.batch import Batch, BatchLoader
from sentiment.reviews.lock import exclusive
from sentiment.reviews.predictions import ingest_predictions
from sentiment.reviews.table import latest_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage

INBOX = "inbox"
PROCESSED = "processed"


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
        Rows added; rows that were there already.
    refused : dict of str to int
        Rows sent to the quarantine, by reason.
    predictions : int
        Predictions moved from the landing zone.
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
    paths: Sequence[Path] = (),
    text: str | None = None,
    label: str | None = None,
    source: str | None = None,
) -> IngestResult:
    """Ingest files; without any, everything in the inbox and the prediction landing zone.

    Parameters
    ----------
    settings : Settings
        Storage, label scheme, limits.
    paths : sequence of Path
        Files, or folders of text files; they are left where they are.
    text, label : str, optional
        Names of the columns, see `sentiment.reviews.sources.read_batches`.
    source : str, optional
        Source of all these reviews; otherwise the file's own column, or the name of the file.

    Raises
    ------
    SourceError
        Some files cannot be read. All others are ingested; ``error.result`` says what was.
    DataError
        The contract refused every row of a given path.
    """
    started = time.monotonic()
    storage = Storage(settings)
    batches: list[Batch] = []
    failures: list[SentimentError] = []
    predictions = 0
    with exclusive(settings, "ingest"):
        loader = BatchLoader(settings, storage, text=text, label=label, source=source)
        deliveries = _given(loader, paths) if paths else _inbox(loader, storage)
        for load in deliveries:
            try:
                batches.append(load())
            except DataError as error:
                failures.append(error)
        if not paths:
            predictions = ingest_predictions(settings)
    result = _result(storage, batches, predictions, time.monotonic() - started)
    if failures:
        raise _combined(failures, result)
    return result


def _given(loader: BatchLoader, paths: Sequence[Path]) -> Iterator[Callable[[], Batch]]:
    for path in paths:
        yield partial(_load_given, loader, Path(path))


def _load_given(loader: BatchLoader, path: Path) -> Batch:
    batch = loader.load(path)
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
        case _:
            return "check the columns (--text, --label) and the label scheme (data.scheme)"


def _inbox(loader: BatchLoader, storage: Storage) -> Iterator[Callable[[], Batch]]:
    entries = defaultdict(list)  # a folder with a subfolder a label is one delivery of many objects
    for path in storage.list(INBOX):
        entries[path.removeprefix(f"{INBOX}/").split("/", 1)[0]].append(path)
    for name, objects in entries.items():
        yield partial(_load_entry, loader, storage, name, objects)


def _load_entry(loader: BatchLoader, storage: Storage, name: str, objects: Sequence[str]) -> Batch:
    with _local(storage, name, objects) as path:
        batch = loader.load(path)
    _retire(storage, name, objects, f"{PROCESSED}/{batch.batch_id[:12]}-{name}")
    return batch


@contextmanager
def _local(storage: Storage, name: str, objects: Sequence[str]) -> Iterator[Path]:
    """Give an inbox entry as a local file or folder, fetched if the storage is elsewhere."""
    if storage.is_local:
        yield Path(storage.uri(f"{INBOX}/{name}"))
        return
    with tempfile.TemporaryDirectory(prefix="sentiment-") as folder:
        for path in objects:
            copy = Path(folder, path.removeprefix(f"{INBOX}/"))
            with storage_errors(str(copy)):
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(storage.read(path))
        yield Path(folder, name)


def _retire(storage: Storage, name: str, objects: Sequence[str], target: str) -> None:
    """Move an inbox entry away; on this machine as one rename, folder or not."""
    if not storage.is_local:
        for path in objects:
            storage.move(path, path.replace(f"{INBOX}/{name}", target, 1))
        return
    source, destination = Path(storage.uri(f"{INBOX}/{name}")), Path(storage.uri(target))
    with storage_errors(str(source)):
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.is_dir():  # the same content, moved before
            shutil.rmtree(destination)
        source.replace(destination)


def _result(storage: Storage, batches: Sequence[Batch], predictions: int, seconds: float) -> IngestResult:
    refused: Counter[str] = Counter()
    for batch in batches:
        refused.update(batch.refused)
    snapshot = latest_snapshot(storage)
    return IngestResult(
        files=sum(batch.is_new for batch in batches),
        skipped=sum(not batch.is_new for batch in batches),
        accepted=sum(batch.accepted for batch in batches),
        duplicates=sum(batch.duplicates for batch in batches),
        refused=dict(refused),
        predictions=predictions,
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
