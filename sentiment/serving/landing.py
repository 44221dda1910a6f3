"""The landing zone, written by servers without slowing an answer.

A request leaves its record in a queue. Every 20 ms a thread redacts what is queued and hands it to the kernel, in
the spool (`sentiment.serving.spool`): from then on it survives the process. A second thread sends what is spooled
as small immutable Parquet files (`sentiment.serving.sender`). Neither ever delays or fails a request: what does
not fit is dropped and counted, in memory the newest, on disk the oldest.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from arro3.core import Schema
from pydantic_core import to_json

from sentiment.serving.sender import FILE_BYTES, FILE_RECORDS, Sender
from sentiment.serving.spool import Segment, framed, in_memory
from sentiment.settings import Settings

SPOOL_SECONDS = 0.02  # what is recorded within it is handed to the kernel together
SPOOL_RECORDS, SPOOL_CHARACTERS = 200, 100_000  # but no more at a time: what is made ready is not safe yet
MAX_CHARACTERS = 64_000_000  # in memory, whatever the number of records
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class Record(Protocol):
    """What a server leaves in the landing zone."""

    @property
    def characters(self) -> int:
        """How much text it holds."""
        ...


T = TypeVar("T", bound=Record)


class LandingLog(ABC, Generic[T]):
    """Writes records to a folder of the landing zone.

    Parameters
    ----------
    settings : Settings
        Section ``serving``. Neither a storage that is away nor a full disk keeps a server from starting.
    """

    kind: ClassVar[str]
    columns: ClassVar[Schema]

    def __init__(self, settings: Settings) -> None:
        self._limit, self._flush_seconds = settings.serving.log_queue, settings.serving.log_flush_seconds
        self._lock = threading.Lock()
        self._queue: list[T] = []
        self._queued_at = 0.0
        self._held: list[bytes] = []  # lines that the disk has not taken
        self._held_at = 0.0
        self._taken = self._characters = self._held_bytes = self._dropped = 0
        self._synced_at = self._disk_failed_at = 0.0
        self._give_up_at = float("inf")
        self._recorded, self._closing = threading.Event(), threading.Event()
        self._sender = Sender(settings, kind=self.kind, columns=self.columns)
        self._thread = threading.Thread(target=self._run, name=f"{self.kind}-spooler", daemon=True)
        self._thread.start()

    @abstractmethod
    def line(self, record: T) -> dict[str, Any]:
        """Return what is written about a record, redacted; called by the thread."""

    def ready(self) -> bool:
        """Whether lines can be made; called by the thread, again and again until it is so."""
        return True

    @property
    def queued(self) -> int:
        """Records in memory, which a killed process loses."""
        return len(self._queue) + self._taken + self._sender.in_memory

    @property
    def waiting(self) -> int:
        """Records that are not in the storage yet, in memory or on disk."""
        return len(self._queue) + self._taken + sum(segment.records for segment in self._unsent)

    @property
    def spooled_bytes(self) -> int:
        """Bytes on the local disk."""
        return sum(segment.size for segment in self._unsent)

    @property
    def oldest_seconds(self) -> float:
        """Age of the oldest record that is not in the storage yet; 0 when there is none."""
        begun = [segment.began for segment in self._unsent]
        begun += [self._queued_at] * bool(self._queue) + [self._held_at] * bool(self._taken)
        return max(0.0, time.time() - min(begun)) if begun else 0.0

    @property
    def written(self) -> int:
        """Records sent to the storage so far, those of dead processes included."""
        return self._sender.written

    @property
    def dropped(self) -> int:
        """Records given up: no room in memory or on disk, damaged, or not to be written at all."""
        return self._dropped + self._sender.dropped

    def record(self, record: T) -> None:
        """Put a record in the queue; returns at once, drops and counts it when memory is full."""
        size = record.characters
        with self._lock:
            full = len(self._queue) + self._taken + self._sender.in_memory >= self._limit
            text = self._characters + self._held_bytes + self._sender.bytes_in_memory + size
            if full or text > MAX_CHARACTERS or self._closing.is_set():
                self._dropped += 1
                return
            if not self._queue:
                self._queued_at = time.time()
            self._queue.append(record)
            self._characters += size
        if not self._recorded.is_set():
            self._recorded.set()

    def close(self, *, timeout: float = 10.0) -> None:
        """Send what there is and stop.

        What is not sent within `timeout` seconds stays on disk for the next process; what could not be put there is
        dropped and counted.
        """
        self._give_up_at = time.monotonic() + timeout
        self._closing.set()
        self._recorded.set()
        self._thread.join(timeout)
        self._sender.close(give_up_at=self._give_up_at)
        with self._lock:
            lost, left = self.queued, self.waiting - self.queued
            self._dropped += lost
            self._queue, self._taken = [], 0
            self._sender.forget()
        if lost:
            log.error("%d %s were lost: neither the disk nor the storage took them", lost, self.kind)
        if left:
            log.warning("%d %s wait on disk for the next process to send them", left, self.kind)

    @property
    def _unsent(self) -> tuple[Segment, ...]:
        spool = self._sender.spool
        now = spool.open_segment if spool else None
        return (*self._sender.segments, *([now] if now else []))

    def _run(self) -> None:
        while not self._closing.is_set():
            self._recorded.wait(self._patience())
            self._recorded.clear()
            self._closing.wait(SPOOL_SECONDS)
            self._pass()
        while not self._pass() and time.monotonic() + RETRY_SECONDS < self._give_up_at:
            time.sleep(RETRY_SECONDS)

    def _patience(self) -> float | None:
        """Return how long there is nothing to do unless something is recorded."""
        if not (self._queue or self._held or self._unsent):
            return None
        return min(RETRY_SECONDS, self._flush_seconds)

    def _pass(self) -> bool:
        """Do what is to be done now; False when something stays in the queue."""
        try:
            if self._queue and not self.ready():
                return False
            while self._take():
                self._spool()
                self._seal_if_due()
            self._spool()
            self._seal_if_due()
        except Exception:  # nothing may end the thread
            log.exception("%s: the log goes on after what was not foreseen", self.kind)
        return not self._queue

    def _take(self) -> bool:
        """Make lines of some records of the queue; False when there are none."""
        with self._lock:
            end = size = 0
            while end < min(len(self._queue), SPOOL_RECORDS) and size < SPOOL_CHARACTERS:
                size += self._queue[end].characters
                end += 1
            records, self._queue = self._queue[:end], self._queue[end:]
            self._held_at = self._held_at if self._taken else self._queued_at
            self._taken += end
            self._characters -= size
        lines = [line for record in records if (line := self._encoded(record))]
        self._held += lines
        with self._lock:
            self._dropped += len(records) - len(lines)
            self._taken -= len(records) - len(lines)
            self._held_bytes += sum(map(len, lines))
        return bool(records)

    def _encoded(self, record: T) -> bytes | None:
        try:
            return framed(to_json(self.line(record), inf_nan_mode="null"))
        except Exception as error:
            log.warning("One of the %s was dropped: %s", self.kind, error)
            return None

    def _spool(self) -> None:
        """Hand the lines to the kernel; those that the disk does not take are held."""
        spool, lines = self._sender.spool, self._held
        if not (spool and lines) or _apart(time.time(), self._disk_failed_at) < RETRY_SECONDS:
            return
        try:
            spool.append(b"".join(lines), records=len(lines), began=self._held_at)
        except OSError as error:
            if not self._disk_failed_at:
                log.warning("%s stay in memory until they are sent, the disk does not take them: %s", self.kind, error)
            self._disk_failed_at = time.time()
            return
        self._disk_failed_at = 0.0
        with self._lock:
            self._held, self._held_bytes, self._taken = [], 0, 0

    def _seal_if_due(self) -> None:
        """Give what makes a file to the sender; while the storage is away, the files grow instead of their number."""
        now, spool, idle = time.time(), self._sender.spool, not self._sender.segments
        if spool and (segment := spool.open_segment):
            full = segment.records >= FILE_RECORDS or segment.size >= FILE_BYTES
            old = _apart(now, segment.began) >= self._flush_seconds
            if full or (old and idle) or self._closing.is_set():
                self._sender.add(*filter(None, [spool.seal()]))
            elif old and _apart(now, self._synced_at) >= self._flush_seconds:
                self._synced_at = now
                spool.sync()
        held = len(self._held)
        old = _apart(now, self._held_at) >= self._flush_seconds or self._closing.is_set()
        if held and (held >= FILE_RECORDS or (old and (idle or self._closing.is_set()))):
            self._send_from_memory()

    def _send_from_memory(self) -> None:
        lines, self._held = self._held, []
        with self._lock:
            self._sender.add(in_memory(b"".join(lines), began=self._held_at, records=len(lines)))
            self._held_bytes = self._taken = 0


def _apart(one: float, other: float) -> float:
    """Return the seconds between two moments; a clock that is set back ends a wait too."""
    return abs(one - other)
