"""Noticing what lands in the inbox: each delivery once, when it is complete."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment.reviews.inbox import INBOX, Entry, complete
from sentiment.settings import Settings
from sentiment.storage import Object, Storage

if TYPE_CHECKING:
    import boto3


_UNFINISHED = re.compile(r"#\d+$")
"""What a file is called on a local disk while `Storage.upload` writes it; nobody else sees it either."""


@dataclass(frozen=True)
class Found:
    """What a look found.

    Attributes
    ----------
    landed : tuple of str
        Names of the deliveries that were not announced before and are complete.
    announced : dict of str to str
        All that lies there and is announced by now, with the mark of its content; give it to the next look.
    """

    landed: tuple[str, ...]
    announced: dict[str, str]


class Inbox:
    """The inbox under the storage root.

    Parameters
    ----------
    settings : Settings
        ``storage`` and ``data.settle_seconds`` count.
    session : boto3.Session, optional
        Credentials for S3; by default the process's own.
    """

    def __init__(self, settings: Settings, *, session: boto3.Session | None = None) -> None:
        self._storage = Storage(settings, session=session)
        self._settle_seconds = settings.data.settle_seconds
        self.seconds = settings.data.watch_seconds

    def look(self, announced: Mapping[str, str]) -> Found:
        """Compare what lies there with what was announced; what is being written is left for the next look.

        Raises
        ------
        StorageError
            The storage does not answer.
        """
        there: dict[str, list[Object]] = defaultdict(list)
        for item in self._storage.objects(INBOX):
            if _UNFINISHED.search(item.path):
                continue
            there[item.path.removeprefix(f"{INBOX}/").split("/", 1)[0]].append(item)
        marks = {name: _mark(items) for name, items in there.items()}
        known = {name: mark for name, mark in marks.items() if announced.get(name) == mark}
        waiting = [Entry(name, tuple(i.path for i in items)) for name, items in there.items() if name not in known]
        ready = complete(self._storage, waiting, seconds=self._settle_seconds)
        landed = {entry.name: marks[entry.name] for entry in ready}
        return Found(tuple(landed), {**known, **landed})


def _mark(items: Iterable[Object]) -> str:
    """Return what changes when a delivery does, from names, sizes and times alone."""
    mark = hashlib.sha256()
    for item in items:
        mark.update(f"{item.path}\n{item.size}\n{item.modified.timestamp()}\n".encode())
    return mark.hexdigest()[:16]
