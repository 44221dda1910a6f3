"""Who was champion when, read from the ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sentiment.errors import SettingsError
from sentiment.ledger import LedgerEntry

PROMOTED, ROLLED_BACK = "promoted", "rolled_back"


@dataclass(frozen=True)
class Reign:
    """A stretch of time in which one version was champion.

    Attributes
    ----------
    since, until : datetime
        From the entry that made it champion to the one that replaced it; `until` is None while it lasts.
    began : LedgerEntry
        ``promoted`` or ``rolled_back``: by whom and why.
    approved : LedgerEntry or None
        The approval that counted, if one was needed.
    """

    version: str
    since: datetime
    until: datetime | None
    began: LedgerEntry
    approved: LedgerEntry | None = None

    @property
    def why(self) -> str:
        """Why it became champion, in plain words."""
        reason = self.began.reason or "no reason given"
        if self.began.event == ROLLED_BACK:
            return f"Rolled back from version {self.began.detail.get('from')}: {reason}"
        return f"{reason} Approved by {self.approved.actor}: {self.approved.reason}" if self.approved else reason

    def to_dict(self) -> dict[str, Any]:
        """Return the reign as JSON types."""
        return {
            "version": self.version,
            "since": self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "event": self.began.event,
            "actor": self.began.actor,
            "why": self.why,
            "snapshot": self.began.snapshot,
            "run_id": self.began.run_id,
            "approved_by": self.approved and self.approved.actor,
        }


def reigns(entries: Iterable[LedgerEntry]) -> list[Reign]:
    """Return the champions one after the other, oldest first; entries come in the order of the ledger."""
    found: list[Reign] = []
    approvals: dict[str | None, LedgerEntry] = {}
    for entry in entries:
        if entry.event == "approved":
            approvals[entry.model_version] = entry
        if entry.event not in (PROMOTED, ROLLED_BACK) or entry.model_version is None:
            continue
        if found and found[-1].until is None:
            last = found[-1]
            found[-1] = Reign(last.version, last.since, entry.time, last.began, last.approved)
        approved = approvals.get(entry.model_version) if "approved_by" in entry.detail else None
        found.append(Reign(entry.model_version, entry.time, None, entry, approved))
    return found


def champions_at(entries: Iterable[LedgerEntry], at: str) -> list[Reign]:
    """Return who was champion on a date, during which it may have changed, or at a moment.

    Parameters
    ----------
    at : str
        ``2026-03-14`` for the whole day in UTC, ``2026-03-14T09:30`` for a moment; UTC unless it says otherwise.

    Raises
    ------
    SettingsError
        It is neither.
    """
    start, end = _interval(at)
    return [r for r in reigns(entries) if r.since < end and (r.until is None or r.until > start)]


def _interval(at: str) -> tuple[datetime, datetime]:
    try:
        day = date.fromisoformat(at)
    except ValueError:
        try:
            moment = datetime.fromisoformat(at)
        except ValueError as error:
            raise SettingsError(
                f"{at!r} is neither a date nor a moment.", fix="Write it like 2026-03-14 or 2026-03-14T09:30."
            ) from error
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment, moment + timedelta(microseconds=1)
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)
