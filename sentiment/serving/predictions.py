"""The prediction log: what was asked and answered, written to the landing zone without slowing an answer.

A thread of its own collects answers and writes them as small immutable files, one JSON object a line.
An answer is never delayed and never fails because of its log: while the storage is away, answers wait
(bounded) and the same file is tried again; beyond the bound they are dropped and counted.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sentiment.settings import Settings
from sentiment.storage import Storage

LANDING = "landing/predictions"
FILE_ANSWERS = 2_000  # answers that make a file before log_flush_seconds are over
MAX_CHARACTERS = 64_000_000  # of text waiting, whatever the number of answers
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """One prediction, as the caller got it."""

    request_id: str
    text: str
    label: str
    score: float
    probabilities: Mapping[str, float]
    model_version: str
    predicted_at: datetime


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    data: bytes
    answers: int
    characters: int


class PredictionLog:
    """Writes answers to ``landing/predictions/`` from a thread of its own.

    Parameters
    ----------
    settings : Settings
        ``serving.log_flush_seconds`` and ``serving.log_queue`` bound the wait and the queue. The storage is
        opened by the thread, so one that is away does not keep a server from starting.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limit = settings.serving.log_queue
        self._storage: Storage | None = None
        self._lock = threading.Lock()
        self._queue: list[Answer] = []
        self._file: _File | None = None
        self._waiting = self._characters = self._written = self._dropped = 0
        self._wake, self._closing = threading.Event(), threading.Event()
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Answers that are not written yet."""
        return self._waiting

    @property
    def written(self) -> int:
        """Answers written so far."""
        return self._written

    @property
    def dropped(self) -> int:
        """Answers given up because the queue was full, or because the storage was away at the end."""
        return self._dropped

    def record(self, answer: Answer) -> None:
        """Put an answer in the queue; returns at once, drops and counts it when the queue is full."""
        with self._lock:
            full = self._waiting >= self._limit or self._characters + len(answer.text) > MAX_CHARACTERS
            if full or self._closing.is_set():
                self._dropped += 1
                return
            self._queue.append(answer)
            self._waiting += 1
            self._characters += len(answer.text)
            ready = len(self._queue) >= FILE_ANSWERS
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
            log.error("%d predictions were not logged: the storage did not take them in %g s", lost, timeout)

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
        try:
            while file := self._file or self._next_file():
                self._file = file  # tried again under the same name: a write that succeeded unseen is not doubled
                self._open().write(file.path, file.data)
                self._done(file)
        except Exception as error:  # nothing here may end the thread
            log.warning("%d predictions wait to be logged: %s", self._waiting, error)
            return False
        return True

    def _open(self) -> Storage:
        self._storage = self._storage or Storage(self._settings)
        return self._storage

    def _next_file(self) -> _File | None:
        with self._lock:
            answers, self._queue = self._queue[:FILE_ANSWERS], self._queue[FILE_ANSWERS:]
        if not answers:
            return None
        path = f"{LANDING}/{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex}.jsonl"
        return _File(path, encode(answers), len(answers), sum(len(answer.text) for answer in answers))

    def _done(self, file: _File) -> None:
        with self._lock:
            self._file = None
            self._waiting = max(0, self._waiting - file.answers)
            self._characters -= file.characters
            self._written += file.answers


def encode(answers: Sequence[Answer]) -> bytes:
    """Return answers as JSON lines, the format of the landing zone."""
    return b"".join(json.dumps(_line(answer)).encode() + b"\n" for answer in answers)


def _line(answer: Answer) -> dict[str, Any]:
    return {**asdict(answer), "predicted_at": answer.predicted_at.astimezone(UTC).isoformat()}
