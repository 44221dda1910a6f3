"""How much is worked on at a time: bounded numbers of requests, and of bytes that wait in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bento.problems import busy

SMALL_BYTES = 64 * 1024
"""What every request may hold; only what is above it is counted, so that large bodies do not keep out small ones."""

LARGE_BODIES = 4
"""Bodies of the largest size that may be in memory at a time."""


class Load:
    """What one server does at the moment.

    Parameters
    ----------
    requests : int
        Most requests that are worked on, once their bodies are there.
    bytes_held : int
        Most bytes of bodies beyond `SMALL_BYTES` each.
    """

    def __init__(self, *, requests: int, bytes_held: int) -> None:
        self._most_requests, self._most_bytes = requests, bytes_held
        self.requests = self.bytes_held = 0

    @contextmanager
    def work(self) -> Iterator[None]:
        """Count a request while it is worked on; `Refusal` when there are too many."""
        if self.requests >= self._most_requests:
            raise busy(f"{self.requests} requests are being worked on, which is all at a time. Try again in a moment.")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def body(self) -> Iterator[Held]:
        """Count the bytes of one body until the request is over."""
        held = Held(self)
        try:
            yield held
        finally:
            self.bytes_held -= held.counted

    def add(self, number: int) -> None:
        """Count more bytes; `Refusal` when there are too many."""
        if self.bytes_held + number > self._most_bytes:
            raise busy("Too many large requests are being received. Try again in a moment, or send less at a time.")
        self.bytes_held += number


class Held:
    """The bytes of one body."""

    def __init__(self, load: Load) -> None:
        self._load, self.size, self.counted = load, 0, 0

    def grow(self, number: int) -> None:
        """Count bytes that have come in; `Refusal` when there are too many in all."""
        self.size += number
        more = max(0, self.size - SMALL_BYTES) - self.counted
        if more > 0:
            self._load.add(more)
            self.counted += more
