"""Sends what is spooled to the storage, oldest first, in a thread of its own, for as long as it takes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections import deque
from pathlib import Path

from arro3.core import Schema

from sentiment.serving.landing_file import parquet
from sentiment.serving.spool import Segment, Spool, joined, sync_file
from sentiment.settings import Settings
from sentiment.storage import Storage

FILE_RECORDS, FILE_BYTES = 2_000, 8 * 2**20  # make a file before log_flush_seconds are over
ADOPT_SECONDS = 15.0  # between two looks for what dead processes left
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 30.0

_FORMAT = "v1"  # of the spool: code that writes another one leaves this alone

log = logging.getLogger(__name__)


class Sender:
    """Takes sealed segments, and those that dead processes left, to ``landing/<kind>/``.

    Parameters
    ----------
    settings : Settings
        Where the storage and the spool are. The storage is opened by the thread, so one that is away does not keep
        a server from starting; a spool that cannot be opened is tried again.
    kind : str
        Folder of the landing zone, and of the spool.
    columns : arro3.core.Schema
        What a record holds.
    """

    def __init__(self, settings: Settings, *, kind: str, columns: Schema) -> None:
        self.spool: Spool | None = None
        self._settings, self._kind, self._columns = settings, kind, columns
        self._storage: Storage | None = None
        self._lock = threading.Lock()
        self._segments: deque[Segment] = deque()
        self._sending: Segment | None = None
        self._written = self._dropped = self._in_memory = self._bytes_in_memory = 0
        self._wake, self._closing = threading.Event(), threading.Event()
        self._give_up_at, self._adopt_at = float("inf"), 0.0
        self._open_spool()
        self._thread = threading.Thread(target=self._run, name=f"{kind}-sender", daemon=True)
        self._thread.start()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What waits to be sent, oldest first."""
        with self._lock:
            return tuple(self._segments)

    @property
    def in_memory(self) -> int:
        """Records that wait and are not on disk."""
        return self._in_memory

    @property
    def bytes_in_memory(self) -> int:
        """How much that is."""
        return self._bytes_in_memory

    @property
    def written(self) -> int:
        """Records sent so far."""
        return self._written

    @property
    def dropped(self) -> int:
        """Records given up: beyond ``serving.spool_bytes``, or damaged on the disk."""
        return self._dropped

    def add(self, *segments: Segment) -> None:
        """Send these too; when the spool then holds too much, the oldest are dropped and counted."""
        with self._lock:
            self._segments = deque(sorted((*self._segments, *segments), key=lambda segment: segment.began))
            self._count_memory()
            excess = self._excess()
        for segment in excess:
            self._discard(segment)
        if excess:
            records = sum(segment.records for segment in excess)
            log.error("%d %s were dropped: more waits for the storage than serving.spool_bytes", records, self._kind)
        self._wake.set()

    def close(self, *, give_up_at: float) -> None:
        """Send what there is; what is not sent at that moment of the monotonic clock stays for the next process."""
        self._give_up_at = give_up_at
        self._closing.set()
        self._wake.set()
        self._thread.join(max(0.0, give_up_at - time.monotonic()))
        if self.spool:
            with contextlib.suppress(OSError):
                self.spool.close()

    def forget(self) -> None:
        """Forget what is only in memory; nothing is sent any more."""
        with self._lock:
            self._segments = deque(segment for segment in self._segments if segment.path)
            self._count_memory()

    def _count_memory(self) -> None:
        held = [segment for segment in self._segments if segment.path is None]
        self._in_memory, self._bytes_in_memory = sum(s.records for s in held), sum(len(s.data) for s in held)

    def _excess(self) -> list[Segment]:
        """Take out the oldest segments that are too much on the disk, but for the one that is being sent."""
        size = sum(segment.size for segment in self._segments) + FILE_BYTES  # what is appended to at the moment
        excess = []
        for segment in [segment for segment in self._segments if segment is not self._sending]:
            if size <= self._settings.serving.spool_bytes:
                break
            if segment.size:
                size -= segment.size
                excess.append(segment)
                self._segments.remove(segment)
                self._dropped += segment.records
        return excess

    def _run(self) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            closing = self._closing.is_set()
            if not closing and time.monotonic() >= self._adopt_at:
                self._adopt()
            with self._lock:
                self._sending = segment = self._segments[0] if self._segments else None
            if segment is None:
                if closing:
                    return
                self._wake.wait(ADOPT_SECONDS)
                self._wake.clear()
            elif self._send(segment):
                pause = FIRST_RETRY_SECONDS
            elif time.monotonic() + FIRST_RETRY_SECONDS > self._give_up_at:
                return
            elif closing:
                time.sleep(FIRST_RETRY_SECONDS)
            else:
                self._closing.wait(pause)
                pause = min(2 * pause, LAST_RETRY_SECONDS)

    def _send(self, segment: Segment) -> bool:
        """Send a segment, under the same name however often; False when the storage refused."""
        try:
            lines, damaged = segment.lines()
        except OSError as error:
            log.error("%d %s were dropped: %s", segment.records, self._kind, error)
            lines, damaged = [], segment.records
        try:
            if lines:
                self._storage = storage = self._storage or Storage(self._settings)
                storage.write(*self._file(segment, lines))
        except Exception as error:  # nothing here may end the thread
            log.warning("%d %s wait to be sent: %s", sum(s.records for s in self.segments), self._kind, error)
            if segment.path:
                with contextlib.suppress(OSError):
                    sync_file(segment.path)  # it may have to wait long
            return False
        self._discard(segment)
        with self._lock:
            if segment in self._segments:  # not after `forget`
                self._segments.remove(segment)
            self._count_memory()
            self._written += len(lines)
            self._dropped += damaged
        return True

    def _file(self, segment: Segment, lines: list[bytes]) -> tuple[str, bytes]:
        path = f"landing/{self._kind}/{segment.name}"
        try:
            return f"{path}.parquet", parquet(lines, self._columns)
        except Exception as error:  # written by another version: who reads it says what is wrong
            log.warning("%d %s are sent as they are: %s", len(lines), self._kind, error)
            return f"{path}.jsonl", joined(lines)

    def _discard(self, segment: Segment) -> None:
        if segment.path:
            with contextlib.suppress(OSError):
                segment.path.unlink()

    def _adopt(self) -> None:
        self._adopt_at = time.monotonic() + ADOPT_SECONDS
        self._open_spool()
        try:
            found = self.spool.adopt() if self.spool else []
        except OSError as error:
            log.warning("What other processes left of %s cannot be read: %s", self._kind, error)
            return
        if found:
            log.info("%d %s of processes that ended are sent", sum(s.records for s in found), self._kind)
            self.add(*found)

    def _open_spool(self) -> None:
        if self.spool is None:
            try:
                self.spool = Spool(spool_folder(self._settings, self._kind))
            except OSError as error:
                log.warning("%s are kept in memory only, until they are sent: %s", self._kind, error)


def spool_folder(settings: Settings, kind: str) -> Path:
    """Return where the processes of one platform spool what they log."""
    chosen = settings.serving.spool_folder
    top = Path(chosen) if chosen else settings.local_dir / "serving"
    return top / kind / f"{_FORMAT}-{hashlib.sha256(settings.storage.root.encode()).hexdigest()[:12]}"
