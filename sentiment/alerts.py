"""What people are told without asking: about a drift check, about a task that failed; and that they are told once.

An alert is sent when the state changes, and while it stays the same, once a day (UTC). What was told last is kept
under ``alerts/``, channel by channel, so that a retry tells only whom the attempt before did not reach.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from html import escape
from typing import TYPE_CHECKING

from sentiment.storage import Storage

if TYPE_CHECKING:
    from sentiment.drift.archive import DriftCheck

FOLDER = "alerts"

_TITLES = {
    "stable": "No drift",
    "watch": "Drift: something moved",
    "drifted": "Drift: the champion is asked what it did not learn",
    "insufficient_data": "Drift: too little data to judge",
}
_DOES = {"retrain": "The champion is being retrained.", "ask_for_labels": "Please have some of these texts labelled."}
_ERROR_CHARACTERS = 1_000


@dataclass(frozen=True)
class Alert:
    """What to tell.

    Attributes
    ----------
    topic : str
        What it is about; of each topic, the last thing told is remembered.
    state : str
        What is the matter. While it is the same, it is told once a day.
    at : datetime
        The moment that it is about.
    title : str
        One line.
    lines : tuple of str
        In plain words, the most important first.
    link : str
        Where to read on; may be empty.
    """

    topic: str
    state: str
    at: datetime
    title: str
    lines: tuple[str, ...]
    link: str = ""

    @property
    def text(self) -> str:
        """The alert without its title, as plain text."""
        return "\n".join([*self.lines, *([self.link] if self.link else [])])

    @property
    def html(self) -> str:
        """The alert without its title, as HTML."""
        link = f'<p><a href="{escape(self.link)}">{escape(self.link)}</a></p>' if self.link else ""
        return "".join(f"<p>{escape(line)}</p>" for line in self.lines) + link


def alert_of_check(check: DriftCheck, *, link: str, moment: datetime) -> Alert:
    """Return what to tell about a drift check; `moment` counts where it has no window."""
    verdict = check.verdict
    about = f"Champion: version {check.champion}." if check.champion else ""
    window = f"Window: {check.start:%Y-%m-%d %H:%M} to {check.end:%Y-%m-%d %H:%M} UTC." if check.start else ""
    does = (_DOES[action] for action in verdict.actions)
    return Alert(
        topic="drift",
        state="+".join([check.champion or "", verdict.state, *verdict.actions]),
        at=check.end or moment,
        title=_TITLES[verdict.state],
        lines=tuple(line for line in (*verdict.reasons, *does, about, window) if line),
        link=link,
    )


def alert_of_failure(*, dag: str, task: str, error: str, link: str, moment: datetime) -> Alert:
    """Return what to tell about a task that failed for good."""
    return Alert(
        topic=f"failed/{dag}/{task}",
        state=hashlib.sha256(error.encode(errors="replace")).hexdigest()[:12],
        at=moment,
        title=f"{dag}: {task} failed",
        lines=(error[:_ERROR_CHARACTERS] or "It gave no reason; look at its log.",),
        link=link,
    )


def untold(storage: Storage, alert: Alert, channels: Sequence[str]) -> list[str]:
    """Return the channels that have not been told this today; none if something newer was told since."""
    last = _last(storage, alert)
    if last is not None and last.at > alert.at:
        return []
    known = last.channels if last is not None and last.says(alert) else ()
    return [channel for channel in channels if channel not in known]


def remember(storage: Storage, alert: Alert, channels: Collection[str]) -> None:
    """Keep that these channels know; none, where the state is one that nobody wants to hear of.

    With those that an earlier attempt reached. Nothing newer is forgotten.
    """
    last = _last(storage, alert)
    if last is not None and last.at > alert.at:
        return
    known = last.channels if last is not None and last.says(alert) else ()
    content = {"state": alert.state, "at": alert.at.isoformat(), "channels": sorted({*channels, *known})}
    storage.write(_path(alert), json.dumps(content).encode())


@dataclass(frozen=True)
class _Told:
    state: str
    at: datetime
    channels: tuple[str, ...]

    def says(self, alert: Alert) -> bool:
        return self.state == alert.state and _day(self.at) == _day(alert.at)


def _last(storage: Storage, alert: Alert) -> _Told | None:
    data = storage.read_json(_path(alert))
    return data and _Told(data["state"], datetime.fromisoformat(data["at"]), tuple(data["channels"]))


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _path(alert: Alert) -> str:
    return f"{FOLDER}/{alert.topic}.json"
