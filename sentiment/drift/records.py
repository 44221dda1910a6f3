"""What the files of earlier drift checks say, for those who look back: lenient, and cheap to import.

A decision about a model reads a check by `sentiment.drift.archive`, which wants every field. Here an old file, one
from a newer version or a broken one is shown as far as it can be read, so that one file never hides the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

REPORTS = "reports/drift"  # as in sentiment.drift.archive, whose import would cost every Airflow process seconds
STATES = ("drifted", "watch", "stable", "insufficient_data")
UNREADABLE = "unknown"
WORDS = MappingProxyType(
    {
        "stable": "Stable",
        "watch": "Watch",
        "drifted": "Drifted",
        "insufficient_data": "Not enough data",
        UNREADABLE: "Unreadable",
    }
)
"""What people call each state."""

_ID = re.compile(r"[0-9A-Za-z-]{1,128}")
_TIME = re.compile(r"\d{8}T\d{6}(?=-|$)")
_VERSION = re.compile(r"-v(\d{1,9})(?=-|$)")


@dataclass(frozen=True)
class AccuracyRecord:
    """A share of correct answers, with its interval where the file has one."""

    value: float
    low: float
    high: float
    rows: int | None = None


@dataclass(frozen=True)
class SignalRecord:
    """One signal; `threshold` is the distance from which it counts, None in files from before there was one."""

    name: str
    distance: float
    counts: bool = False
    threshold: float | None = None
    detectable: float | None = None
    adjusted_p: float | None = None
    reference: float | None = None
    current: float | None = None
    description: str = ""


@dataclass(frozen=True)
class CheckRecord:
    """One drift check; what its file does not say is None or empty."""

    id: str
    state: str = UNREADABLE
    reasons: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    champion: str | None = None
    snapshot: str | None = None
    current_rows: int | None = None
    reference_rows: int | None = None
    signals: tuple[SignalRecord, ...] = ()
    live_accuracy: AccuracyRecord | None = None
    reference_accuracy: AccuracyRecord | None = None
    estimated_accuracy: AccuracyRecord | None = None
    actions: tuple[str, ...] = ()
    alone: str | None = None
    confirmation: Mapping[str, Any] | None = None
    level: float | None = None
    false_alarm_days: int | None = None
    detectable: tuple[str, ...] = ()
    reference_name: str | None = None
    current_name: str | None = None
    made: datetime | None = None

    @property
    def time(self) -> datetime | None:
        """The end of the window; when the file was written if two sides were compared that have no window."""
        return self.end or self.made

    @property
    def word(self) -> str:
        """Its state, as people call it."""
        return WORDS[self.state]

    @property
    def window(self) -> str:
        """Length of the window of live traffic, in words."""
        if not (self.start and self.end):
            return ""
        return length(self.end - self.start)

    def signal(self, name: str) -> SignalRecord | None:
        """Return the signal of that name."""
        return next((signal for signal in self.signals if signal.name == name), None)


def length(time: timedelta) -> str:
    """Return a length of time in words."""
    hours = round(time.total_seconds() / 3600)
    count, unit = (round(hours / 24), "day") if hours >= 48 else (hours, "hour")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def is_id(text: str) -> bool:
    """Whether a check may be called that."""
    return _ID.fullmatch(text) is not None


def time_in(check_id: str) -> datetime | None:
    """Return the end of the window that a check is named after; None for a comparison of files."""
    found = _TIME.match(check_id)
    try:
        return datetime.strptime(found[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def version_in(check_id: str) -> str | None:
    """Return the champion's version that a check is named after."""
    found = _VERSION.search(check_id)
    return found[1] if found else None


def parse_check(check_id: str, data: object) -> CheckRecord:
    """Return what a ``verdict.json`` says, whatever of it is there."""
    check, verdict = _mapping(data), _mapping(_mapping(data).get("verdict"))
    state = verdict.get("state")
    actions = verdict.get("actions", ["retrain"] if verdict.get("retrain") is True else [])
    signals = (_signal(item) for item in _list(verdict.get("signals")))
    return CheckRecord(
        id=check_id,
        state=state if isinstance(state, str) and state in STATES else UNREADABLE,
        reasons=tuple(map(str, _list(verdict.get("reasons")))),
        start=_time(check.get("start")),
        end=_time(check.get("end")) or time_in(check_id),
        champion=_text(check.get("champion")) or version_in(check_id),
        snapshot=_text(check.get("snapshot")),
        current_rows=_count(verdict.get("current_rows")),
        reference_rows=_count(verdict.get("reference_rows")),
        signals=tuple(signal for signal in signals if signal),
        live_accuracy=_accuracy(verdict.get("live_accuracy")),
        reference_accuracy=_accuracy(verdict.get("reference_accuracy")),
        estimated_accuracy=_accuracy(verdict.get("estimated_accuracy")),
        actions=tuple(map(str, _list(actions))),
        alone=_text(verdict.get("alone")),
        confirmation=_mapping(verdict.get("confirmation")) or None,
        level=_number(verdict.get("level")),
        false_alarm_days=_count(verdict.get("false_alarm_days")),
        detectable=tuple(map(str, _list(verdict.get("detectable")))),
        reference_name=_text(check.get("reference_name")),
        current_name=_text(check.get("current_name")),
    )


def _signal(data: object) -> SignalRecord | None:
    signal = _mapping(data)
    name, distance = _text(signal.get("name")), _number(signal.get("distance"))
    if name is None or distance is None:
        return None
    return SignalRecord(
        name=name,
        distance=distance,
        counts=signal.get("counts") is True,
        threshold=_number(signal.get("threshold")),
        detectable=_number(signal.get("detectable")),
        adjusted_p=_number(signal.get("adjusted_p")),
        reference=_number(signal.get("reference")),
        current=_number(signal.get("current")),
        description=_text(signal.get("description")) or "",
    )


def _accuracy(data: object) -> AccuracyRecord | None:
    accuracy = _mapping(data)
    value = _number(accuracy.get("value"))
    if value is None:
        return None
    low, high = _number(accuracy.get("low")), _number(accuracy.get("high"))
    return AccuracyRecord(
        value, value if low is None else low, value if high is None else high, _count(accuracy.get("rows"))
    )


def _mapping(data: object) -> Mapping[str, Any]:
    return data if isinstance(data, Mapping) else {}


def _list(data: object) -> list[Any]:
    return data if isinstance(data, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
