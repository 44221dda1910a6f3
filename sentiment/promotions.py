"""The sequence of promotions: who may be champion next is whoever writes the next number first.

MLflow moves an alias unconditionally. Here each promotion is an object ``registry/promotions/<number>.json``,
created by a write that fails if the object exists, on a local disk and on S3 alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import PurePosixPath

from sentiment.storage import Storage

FOLDER = "registry/promotions"


@dataclass(frozen=True)
class Promotion:
    """One change of the champion.

    Attributes
    ----------
    was : str or None
        The champion that was replaced; None for the first.
    now : str
        The champion from here on.
    previous : str or None
        What a rollback goes back to from here.
    rollback : bool
        Whether this was one.
    request : str or None
        What asked for the rollback, so that a retry finds what it did.
    """

    number: int
    was: str | None
    now: str
    previous: str | None
    rollback: bool
    reason: str
    at: str
    request: str | None = None


class Promotions:
    """The promotions under one storage root."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def last(self) -> Promotion | None:
        """Return the newest promotion."""
        paths = self._storage.list(FOLDER)
        return self._read(paths[-1]) if paths else None

    def claim(self, promotion: Promotion) -> Promotion:
        """Write a promotion unless its number is taken; return the one that stands."""
        path = f"{FOLDER}/{promotion.number:08d}.json"
        content = {name: value for name, value in asdict(promotion).items() if name != "number"}
        self._storage.create(path, json.dumps(content).encode())
        return self._read(path)

    def won(self, version: str) -> bool:
        """Whether `version` was ever promoted for its own merit, whatever the gate says about it by now."""
        return any(p.now == version and not p.rollback for p in map(self._read, self._storage.list(FOLDER)))

    def taken_back(self, version: str) -> bool:
        """Whether the champion was rolled back from `version`, and it has not become champion since."""
        for path in reversed(self._storage.list(FOLDER)):
            promotion = self._read(path)
            if version in (promotion.now, promotion.was):
                return promotion.rollback and promotion.was == version
        return False

    def replaced_by(self, version: str) -> str | None:
        """Return the champion that `version` replaced when it was last promoted for its own merit."""
        for path in reversed(self._storage.list(FOLDER)):
            promotion = self._read(path)
            if promotion.now == version and not promotion.rollback:
                return promotion.was
        return None

    def before(self, moment: datetime) -> Promotion | None:
        """Return the newest promotion that was claimed before a moment."""
        found = (promotion for promotion in self._newest_first() if datetime.fromisoformat(promotion.at) < moment)
        return next(found, None)

    def made(self, version: str) -> Promotion | None:
        """Return the newest promotion of `version`."""
        return next((promotion for promotion in self._newest_first() if promotion.now == version), None)

    def requested(self, request: str) -> Promotion | None:
        """Return the rollback that a request made, if it has got so far."""
        return next((promotion for promotion in self._newest_first() if promotion.request == request), None)

    def _newest_first(self) -> Iterator[Promotion]:
        return map(self._read, reversed(self._storage.list(FOLDER)))

    def _read(self, path: str) -> Promotion:
        return Promotion(number=int(PurePosixPath(path).stem), **self._storage.read_json(path))
