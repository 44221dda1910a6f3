"""The time axis of the timeline: places, round times, and where checks are missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

STEPS = tuple(timedelta(hours=hours) for hours in (1, 3, 6, 12)) + tuple(
    timedelta(days=days) for days in (1, 2, 7, 14, 28, 91, 182, 365, 730, 1826)
)
DAILY = timedelta(hours=36)  # the DAG checks at least every day

Gap = tuple[datetime, datetime, str]


class Scale:
    """Times to places between two edges."""

    def __init__(self, first: datetime, last: datetime, left: float, right: float) -> None:
        room = max((last - first) * 0.02, timedelta(hours=6))
        self.first, self.last, self.left, self.right = first - room, last + room, left, right

    def __call__(self, time: datetime) -> float:
        """Return where a time lies, from left to right."""
        share = (time - self.first) / (self.last - self.first)
        return round(self.left + min(1.0, max(0.0, share)) * (self.right - self.left), 1)

    def __contains__(self, time: datetime) -> bool:
        return self.first <= time <= self.last

    def ticks(self) -> list[tuple[float, str]]:
        """Return round times with what is written under them, none too near to the next."""
        room = (self.last - self.first) / max(2, (self.right - self.left) / 82)
        step = next((step for step in STEPS if step >= room), STEPS[-1])
        origin = self.first.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
        number = -((origin - self.first) // step)
        found = []
        while (time := origin + number * step) <= self.last:
            if self(time) > self.left + 8:
                day = "" if found or step >= timedelta(days=1) or not time.hour else f"{time.day} {time:%b} "
                found.append((self(time), day + _written(time, step)))
            number += 1
        return found


def _written(time: datetime, step: timedelta) -> str:
    if step > timedelta(days=28):
        return f"{time:%b %Y}"
    return f"{time.day} {time:%b}" if step >= timedelta(days=1) or time.hour == 0 else f"{time:%H:%M}"


def find_gaps(times: Sequence[datetime]) -> list[Gap]:
    """Return where checks are missing: more than 36 hours without one, and much more than usual."""
    steps = [after - before for before, after in pairwise(times)]
    if not steps:
        return []
    usual = max(DAILY, timedelta(seconds=2.5 * median(step.total_seconds() for step in steps)))
    return [
        (before, after, f"{round((after - before) / timedelta(days=1))} days")
        for before, after in pairwise(times)
        if after - before > usual
    ]


def find_breaks(drawn: Sequence[datetime], times: Sequence[datetime], gaps: Sequence[Gap]) -> set[datetime]:
    """Return the times before which a line ends: after a gap, and after checks that are not drawn."""
    shown = set(drawn)
    after_hidden = {after for before, after in pairwise(times) if after in shown and before not in shown}
    return after_hidden | {next((time for time in drawn if time >= end), end) for _, end, _ in gaps}
