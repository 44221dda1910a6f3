"""The inbox: what lies there, whether it is complete, and where it goes afterwards.

A file on this machine that changed moments ago may still be on its way: it is given a moment, and left for the
next ingestion if it keeps changing. Objects on S3 are complete or absent.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sentiment.errors import SourceError, storage_errors
from sentiment.reviews.sources import fingerprint
from sentiment.storage import Storage

logger = logging.getLogger(__name__)

INBOX = "inbox"
_CLOCK_TOLERANCE = 60.0


@dataclass(frozen=True)
class Entry:
    """One delivery: a file, or a folder with a subfolder a label, which is many objects."""

    name: str
    objects: tuple[str, ...]


def entries(storage: Storage) -> list[Entry]:
    """Return what lies in the inbox, by name."""
    found = defaultdict(list)
    for path in storage.list(INBOX):
        found[path.removeprefix(f"{INBOX}/").split("/", 1)[0]].append(path)
    return [Entry(name, tuple(objects)) for name, objects in found.items()]


def settled(storage: Storage, waiting: Sequence[Entry], *, seconds: float) -> list[Entry]:
    """Return the entries that have not changed for some `seconds`; those that changed just now get that time."""
    if not storage.is_local or seconds <= 0:
        return list(waiting)
    deadline = time.time() + seconds
    while (ages := [_age(storage, entry) for entry in waiting]) and min(ages) < seconds and time.time() < deadline:
        time.sleep(min(0.1, seconds))
    ready = [entry for entry, age in zip(waiting, ages, strict=True) if age >= seconds]
    for entry in set(waiting) - set(ready):
        logger.warning("ingest: %s/%s is still being written; left for the next time", INBOX, entry.name)
    return ready


def complete(storage: Storage, waiting: Sequence[Entry], *, seconds: float) -> list[Entry]:
    """Return the entries that have not changed for some `seconds` by now."""
    if not storage.is_local or seconds <= 0:
        return list(waiting)
    return [entry for entry in waiting if _age(storage, entry) >= seconds]


@contextmanager
def local(storage: Storage, entry: Entry) -> Iterator[Path]:
    """Give an entry as a local file or folder, fetched if the storage is elsewhere."""
    if storage.is_local:
        yield Path(storage.uri(f"{INBOX}/{entry.name}"))
        return
    with tempfile.TemporaryDirectory(prefix="sentiment-") as folder:
        for path in entry.objects:
            storage.fetch(path, Path(folder, path.removeprefix(f"{INBOX}/")))
        yield Path(folder, entry.name)


def retire(storage: Storage, entry: Entry, target: str, *, read: object) -> None:
    """Move an entry away; on this machine as one rename, folder or not.

    Parameters
    ----------
    target : str
        Where to, under the root.
    read : object
        The `fingerprint` of what was read. A file that changed since is put back, to be read again.

    Raises
    ------
    SourceError
        It changed since it was read.
    """
    if not storage.is_local:
        for path in entry.objects:
            storage.move(path, path.replace(f"{INBOX}/{entry.name}", target, 1))
        return
    source, destination = Path(storage.uri(f"{INBOX}/{entry.name}")), Path(storage.uri(target))
    with storage_errors(str(source)):
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.is_dir():  # the same content, moved before
            shutil.rmtree(destination)
        source.replace(destination)
        if fingerprint(destination) != read and not source.exists():
            destination.replace(source)
            raise SourceError(
                f"{source} grew after it was read; what was read is taken in.",
                fix="Ingest again when it is complete: only what is new will be added.",
            )


def _age(storage: Storage, entry: Entry) -> float:
    """Return the seconds since the last change; a moment in the future counts as long ago."""
    try:
        changed = max(Path(storage.uri(path)).stat().st_mtime for path in entry.objects)
    except FileNotFoundError:  # an upload that was renamed: it will be seen next time
        return 0.0
    age = time.time() - changed
    return age if age >= -_CLOCK_TOLERANCE else _CLOCK_TOLERANCE
