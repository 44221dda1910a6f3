"""Batches that are held whole, until an operator releases or drops them.

``held/<batch>.json`` says why, ``held/<batch>/`` holds the file as it was delivered. The note is written before
the file moves and removed after it has gone, so that every step can be repeated.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sentiment.errors import DataError
from sentiment.reviews.policy import BatchCounts
from sentiment.storage import Storage

HELD = "held"
DIGITS = 12


class HeldError(DataError):
    """A batch is beyond policy; `held` is its note."""

    def __init__(self, message: str, *, fix: str = "", held: HeldBatch | None = None) -> None:
        super().__init__(message, fix=fix)
        self.held = held


@dataclass(frozen=True)
class HeldBatch:
    """The note about one held batch.

    Attributes
    ----------
    batch_id : str
        Digest of its content.
    name : str
        Its file.
    reasons : tuple of str
        Why, with the numbers.
    counts : dict
        See `sentiment.reviews.policy.BatchCounts`.
    held_at : str
        When, ISO 8601 in UTC.
    columns : dict
        The names of columns and the source that it was delivered with.
    """

    batch_id: str
    name: str
    reasons: tuple[str, ...]
    counts: dict[str, Any]
    held_at: str
    columns: dict[str, str | None]

    @property
    def key(self) -> str:
        """The short name that operators use."""
        return self.batch_id[:DIGITS]

    def to_dict(self) -> dict[str, Any]:
        """Return the note as JSON types."""
        return {**asdict(self), "batch": self.key}

    def error(self) -> HeldError:
        """Return what to tell whoever delivered it."""
        return HeldError(
            f"{self.name} is held as a whole: {'; '.join(self.reasons)}.",
            fix=f"Look at it: `sentiment quarantine show {self.key}`; then `release` or `drop` it in the same way. "
            "The limits are settings (batch.*).",
            held=self,
        )


def hold(
    storage: Storage, batch_id: str, name: str, *, reasons: list[str], counts: BatchCounts, at: str, columns: Any
) -> HeldBatch:
    """Write the note about a batch; the first one stays."""
    batch = HeldBatch(batch_id, name, tuple(reasons), counts.to_dict(), at, dict(columns))
    storage.create(_note(batch_id), json.dumps(asdict(batch), indent=2).encode())
    return find(storage, batch_id) or batch


def find(storage: Storage, batch: str) -> HeldBatch | None:
    """Return the note about a batch, by its digest or the beginning of it."""
    note = storage.read_json(_note(batch)) if len(batch) >= DIGITS else None
    if note is None:
        return None
    found = HeldBatch(**{**note, "reasons": tuple(note["reasons"])})
    return found if found.batch_id.startswith(batch) else None


def held_batches(storage: Storage) -> list[HeldBatch]:
    """Return all notes, oldest first."""
    keys = [path.removeprefix(f"{HELD}/") for path in storage.list(HELD) if path.count("/") == 1]
    notes = [find(storage, key.removesuffix(".json")) for key in keys if key.endswith(".json")]
    return sorted((note for note in notes if note), key=lambda note: (note.held_at, note.batch_id))


def require(storage: Storage, batch: str) -> HeldBatch:
    """Return the note about a batch.

    Raises
    ------
    DataError
        It is not held.
    """
    found = find(storage, batch)
    if found is None:
        raise DataError(f"No batch {batch!r} is held.", fix="`sentiment quarantine list` shows those that are.")
    return found


def place(batch: HeldBatch) -> str:
    """Return where the file or folder of a held batch is, under the root."""
    return f"{HELD}/{batch.key}/{batch.name}"


def keep_copy(storage: Storage, batch: HeldBatch, path: Path) -> None:
    """Copy a file or folder that stays where it is."""
    files = sorted(path.glob("*/*.txt")) if path.is_dir() else [path]
    for file in files:
        inside = f"/{file.relative_to(path).as_posix()}" if path.is_dir() else ""
        storage.upload(file, place(batch) + inside)


@contextmanager
def fetched(storage: Storage, batch: HeldBatch) -> Iterator[Path | None]:
    """Give the held file or folder on this machine; None if it has gone already."""
    objects = [path for path in storage.list(f"{HELD}/{batch.key}") if path.startswith(place(batch))]
    if not objects:
        yield None
    elif storage.is_local:
        yield Path(storage.uri(place(batch)))
    else:
        with tempfile.TemporaryDirectory(prefix="sentiment-") as folder:
            for path in objects:
                storage.fetch(path, Path(folder, path.removeprefix(f"{HELD}/{batch.key}/")))
            yield Path(folder, batch.name)


def forget(storage: Storage, batch: HeldBatch) -> None:
    """Remove the file, then the note."""
    for path in storage.list(f"{HELD}/{batch.key}"):
        storage.delete(path)
    storage.delete(_note(batch.batch_id))


def _note(batch: str) -> str:
    return f"{HELD}/{batch[:DIGITS]}.json"
