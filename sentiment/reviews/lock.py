"""One writer at a time on this machine."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sentiment.errors import StorageError, storage_errors
from sentiment.settings import Settings

WAIT_SECONDS = 60.0


@contextmanager
def exclusive(settings: Settings, name: str, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock ``locks/<name>.lock`` of the local folder; the kernel releases it when the process dies.

    Raises
    ------
    StorageError
        Another process held it all the time.
    """
    path = settings.local_dir / "locks" / f"{name}.lock"
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        deadline = time.monotonic() + wait_seconds
        while not _taken(file.fileno()):
            if time.monotonic() >= deadline:
                raise StorageError(
                    f"Another {name} is still running: {path} was locked for {wait_seconds:.0f} s.",
                    fix="Wait for it to end, then run the same command again.",
                )
            time.sleep(0.05)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
