"""What a drift check can compare: a file, a snapshot of the reviews, or a window of live traffic.

A side is written the way people name it, and `parse_side` reads back what ``str()`` of a side gives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TypeAlias

from sentiment.errors import DataError

HELD_OUT = "held-out"

_SNAPSHOT = re.compile(rf"reviews@v?(\d{{1,18}})(:{HELD_OUT})?", re.IGNORECASE)
_WINDOW = re.compile(r"(\d{4}-[^/\\]*?)\.\.(\d{4}-[^/\\]*)")


@dataclass(frozen=True)
class FileSide:
    """A file, or a folder of labelled texts, of any form that `sentiment.reviews.sources.read_batches` reads.

    `text` and `label` name its columns; found by their usual names otherwise.
    """

    path: Path
    text: str | None = None
    label: str | None = None

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class SnapshotSide:
    """The reviews of a snapshot; `held_out` leaves only the labelled ones that no model learns from."""

    version: int
    held_out: bool = False

    def __str__(self) -> str:
        return f"reviews@v{self.version}{f':{HELD_OUT}' if self.held_out else ''}"


@dataclass(frozen=True)
class WindowSide:
    """What was asked in a window of live traffic, `end` excluded.

    `answered_by` leaves only what that model version answered, `known_by` only what was in the tables before.

    Raises
    ------
    DataError
        A bound has no timezone, or the window does not end after it starts.
    """

    start: datetime
    end: datetime
    answered_by: str | None = None
    known_by: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            bound: datetime = getattr(self, name)
            if bound.tzinfo is None:
                raise DataError(
                    f"The {name} of the window, {bound.isoformat()}, has no timezone.",
                    fix="Give it in UTC, as in ...+00:00.",
                )
            object.__setattr__(self, name, bound.astimezone(UTC))
        if self.start >= self.end:
            raise DataError(
                f"The window is empty: it starts at {self.start.isoformat()} and ends at {self.end.isoformat()}.",
                fix="Give a start before the end.",
            )

    def __str__(self) -> str:
        return f"{_short(self.start)}..{_short(self.end)}"


Side: TypeAlias = FileSide | SnapshotSide | WindowSide


def parse_side(text: str, *, text_column: str | None = None, label_column: str | None = None) -> Side:
    """Return the side that a text names.

    Parameters
    ----------
    text : str
        ``reviews@v12`` or ``reviews@v12:held-out``; ``2026-11-01..2026-11-08`` (dates, or times as in
        ``2026-11-01T06:30``; UTC unless they say otherwise; the end is excluded); anything else is a file.
    text_column, label_column : str, optional
        The columns of a file.

    Raises
    ------
    DataError
        It looks like a snapshot or a window, and is none.
    """
    text = text.strip()
    if not text:
        raise DataError("A side of the comparison is empty.", fix=_fix())
    if text.lower().startswith("reviews@"):
        if found := _SNAPSHOT.fullmatch(text):
            return SnapshotSide(int(found[1]), held_out=found[2] is not None)
        raise DataError(f"{text!r} is not a snapshot.", fix=f"Write it like reviews@v12, or reviews@v12:{HELD_OUT}.")
    if found := _WINDOW.fullmatch(text):
        return WindowSide(_moment(found[1], text), _moment(found[2], text))
    return FileSide(Path(text), text=text_column, label=label_column)


def _moment(written: str, whole: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(written), time(), UTC)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(written)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{written!r} in the window {whole!r} is neither a date nor a time.",
            fix="Write it like 2026-11-01..2026-11-08, or 2026-11-01T06:30..2026-11-01T12:00 (UTC). A file of that "
            "name is ./2026-...",
        ) from error


def _short(moment: datetime) -> str:
    return moment.date().isoformat() if moment.time() == time() else moment.isoformat()


def _fix() -> str:
    return "Name a file, a snapshot like reviews@v12, or a window like 2026-11-01..2026-11-08."
