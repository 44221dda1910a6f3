"""The landing zone, written by servers without slowing an answer.

A thread of its own collects records and writes them as small immutable files, one JSON object a line.
A request is never delayed and never fails because of what it leaves here: while the storage is away, records
wait (bounded) and the same file is tried again; beyond the bound they are dropped and counted.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sentiment.settings import Settings
from sentiment.storage import Storage

FILE_RECORDS = 2_000  # records that make a file before log_flush_seconds are over
MAX_CHARACTERS = 64_000_000  # of text waiting, whatever the number of records
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 30.0

log = logging.getLogger(__name__)


class Record(Protocol):
    """What a server leaves in the landing zone."""

    @property
    def characters(self) -> int:
        """How much text it holds."""
        ...


T = TypeVar("T", bound=Record)


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    data: bytes
    records: int
    characters: int


class LandingLog(ABC, Generic[T]):
    """Writes records to a folder of the landing zone from a thread of its own.

    Parameters
    ----------
    settings : Settings
        ``serving.log_flush_seconds`` and ``serving.log_queue`` bound the wait and the queue. The storage is
        opened by the thread, so one that is away does not keep a server from starting.
    """

    folder: ClassVar[str]
    what: ClassVar[str]

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limit = settings.serving.log_queue
        self._storage: Storage | None = None
        self._lock = threading.Lock()
        self._queue: list[T] = []
        self._file: _File | None = None
        self._waiting = self._characters = self._written = self._dropped = 0
        self._wake, self._closing = threading.Event(), threading.Event()
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name=f"{self.what}-log", daemon=True)
        self._thread.start()

    @abstractmethod
    def line(self, record: T) -> dict[str, Any]:
        """Return what is written about a record; called by the thread."""

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return self._waiting

    @property
    def written(self) -> int:
        """Records written so far."""
        return self._written

    @property
    def dropped(self) -> int:
        """Records given up because the queue was full, or because the storage was away at the end."""
        return self._dropped

    def record(self, record: T) -> None:
        """Put a record in the queue; returns at once, drops and counts it when the queue is full."""
        with self._lock:
            full = self._waiting >= self._limit or self._characters + record.characters > MAX_CHARACTERS
            if full or self._closing.is_set():
                self._dropped += 1
                return
            self._queue.append(record)
            self._waiting += 1
            self._characters += record.characters
            ready = len(self._queue) >= FILE_RECORDS
        if ready:
            self._wake.set()

    def close(self, *, timeout: float = 10.0) -> None:
        """Write what waits and stop; what is not written within `timeout` seconds is dropped and counted."""
        self._give_up_at = time.monotonic() + timeout
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)
        with self._lock:
            lost, self._waiting = self._waiting, 0
            self._dropped += lost
        if lost:
            log.error("%d lines of %s were lost: the storage did not take them in %g s", lost, self.what, timeout)

    def _run(self) -> None:
        pause = FIRST_RETRY_SECONDS
        while not self._closing.is_set():
            self._wake.wait(self._settings.serving.log_flush_seconds)
            self._wake.clear()
            if self._flush():
                pause = FIRST_RETRY_SECONDS
            else:
                self._closing.wait(pause)
                pause = min(2 * pause, LAST_RETRY_SECONDS)
        while not self._flush() and time.monotonic() < self._give_up_at:
            time.sleep(FIRST_RETRY_SECONDS)

    def _flush(self) -> bool:
        """Write all that waits; False when the storage refused, which leaves the rest for the next call."""
        if not self._waiting:
            return True
        try:
            self._storage = storage = self._storage or self._open()
            while file := self._file or self._next_file():
                self._file = file  # tried again under the same name: a write that succeeded unseen is not doubled
                storage.write(file.path, file.data)
                self._done(file)
        except Exception as error:  # nothing here may end the thread
            log.warning("%d lines of %s wait to be written: %s", self._waiting, self.what, error)
            return False
        return True

    def _open(self) -> Storage:
        """Open the storage, and read from it what the lines need."""
        return Storage(self._settings)

    def _next_file(self) -> _File | None:
        with self._lock:
            records, self._queue = self._queue[:FILE_RECORDS], self._queue[FILE_RECORDS:]
        if not records:
            return None
        path = f"{self.folder}/{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex}.jsonl"
        data = _encode([self.line(record) for record in records])
        return _File(path, data, len(records), sum(record.characters for record in records))

    def _done(self, file: _File) -> None:
        with self._lock:
            self._file = None
            self._waiting = max(0, self._waiting - file.records)
            self._characters -= file.characters
            self._written += file.records


def _encode(lines: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
