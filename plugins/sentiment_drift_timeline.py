"""The timeline of the drift checks: where each mark goes in a picture that the server draws and no script moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sentiment_drift_panels import Panel, draw_panels
from sentiment_drift_scale import Scale, find_breaks, find_gaps

from sentiment.drift.records import STATES, UNREADABLE, WORDS, CheckRecord

if TYPE_CHECKING:
    from sentiment.drift.aftermath import Retraining
    from sentiment.history import Reign

LANE, TOP, AXIS = 24, 14, 26
SHAPES = {
    "stable": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "watch": "M0-5 5 4H-5z",
    "drifted": "M0-6 6 0 0 6-6 0z",
    "insufficient_data": "M-4-4H4V4H-4z",
    UNREADABLE: "M-4-4 4 4M4-4-4 4",
}
"""The outline of each state, around (0, 0): told apart without colour."""


@dataclass(frozen=True)
class Mark:
    """One check, or one training, where it is drawn."""

    x: float
    y: float
    kind: str
    link: str
    said: str


@dataclass(frozen=True)
class Timeline:
    """A whole picture, in units of CSS pixels at its natural width."""

    width: float
    height: float
    left: float
    right: float
    bottom: float
    ticks: list[tuple[float, str]]
    gaps: list[tuple[float, float, str]]
    changes: list[float]
    lanes: list[tuple[float, str, str]]
    marks: list[Mark]
    reigns: list[tuple[float, float, str, str]]
    champion_lane: float | None
    panels: list[Panel]
    stacked: bool
    size: float


def draw(
    checks: Sequence[CheckRecord],
    *,
    reigns: Sequence[Reign] = (),
    retrainings: Sequence[Retraining] = (),
    times: Sequence[datetime],
    title: Callable[[str], str],
    names: Sequence[str],
    whole: bool = True,
    narrow: bool = False,
) -> Timeline | None:
    """Return the picture of the checks that have a time; None if there are none.

    Parameters
    ----------
    checks : sequence of CheckRecord
        In any order.
    reigns, retrainings : sequences
        Who was champion when, and what was trained.
    times : sequence of datetime
        Of all checks of that stretch of time, those included that are not drawn: a line does not pass over them.
    title : callable
        What people call a signal.
    names : sequence of str
        The signals to draw, from the top.
    whole : bool
        With the lanes of the verdicts, champions and accuracy; otherwise the signals alone.
    narrow : bool
        For a phone.
    """
    dated = sorted((check for check in checks if check.end), key=lambda check: check.end)
    if not dated:
        return None
    width, left, right = (360.0, 104.0, 354.0) if narrow else (1180.0, 168.0, 1112.0)
    x = Scale(dated[0].end, dated[-1].end, left, right)
    gaps = find_gaps(sorted(times))
    breaks = find_breaks([check.end for check in dated], sorted(times), gaps)
    lanes, marks, y = _lanes(dated, x) if whole else ([], [], float(TOP))
    spans, champion = _spans(reigns, x), y + LANE / 2 if whole and reigns else None
    if champion is not None:
        marks += _trainings(retrainings, x, champion + LANE)
        lanes += [(champion, "champion", "Champion"), (champion + LANE, "trained", "Trained")]
        y += 2 * LANE
    panels = draw_panels(
        dated, names, x=x, top=y, head=28 if narrow else 10, breaks=breaks, title=title, accuracy=whole
    )
    bottom = panels[-1].top + panels[-1].height if panels else y
    return Timeline(
        width=width,
        height=bottom + AXIS,
        left=left,
        right=right,
        bottom=bottom + 4,
        ticks=x.ticks(),
        gaps=[(x(start), x(end), length) for start, end, length in gaps],
        changes=[x(reign.since) for reign in reigns if reign.since in x],
        lanes=lanes,
        marks=marks,
        reigns=spans if champion is not None else [],
        champion_lane=champion,
        panels=panels,
        stacked=narrow,
        size=round(min(1.0, max(0.5, (right - left) / len(dated) / 11)), 2),
    )


def by_movement(checks: Sequence[CheckRecord]) -> list[str]:
    """Return the names of all signals, those first that came nearest to their threshold, or farthest over it."""
    most: dict[str, float] = {}
    for check in checks:
        for signal in check.signals:
            reached = signal.distance / signal.threshold if signal.threshold else signal.distance
            most[signal.name] = max(most.get(signal.name, 0.0), reached + signal.counts)
    return sorted(most, key=lambda name: -most[name])


def _lanes(dated: Sequence[CheckRecord], x: Scale) -> tuple[list[tuple[float, str, str]], list[Mark], float]:
    states = [*STATES, *([UNREADABLE] if any(check.state == UNREADABLE for check in dated) else [])]
    place = {state: TOP + LANE * (row + 0.5) for row, state in enumerate(states)}
    lanes = [(place[state], state, WORDS[state]) for state in states]
    marks = [Mark(x(c.end), place[c.state], c.state, f"checks/{c.id}", _said(c)) for c in dated]
    return lanes, marks, TOP + LANE * len(states)


def _spans(reigns: Sequence[Reign], x: Scale) -> list[tuple[float, float, str, str]]:
    spans = []
    for reign in reigns:
        until = reign.until or x.last
        if until < x.first or reign.since > x.last:
            continue
        start, end = x(reign.since), x(until)
        shown = f"v{reign.version}" if end - start > 10 + 7 * len(reign.version) else ""
        said = f"Version {reign.version} since {_moment(reign.since)}. {reign.why}"
        spans.append((start, max(end - start - 2, 1.5), shown, said))
    return spans


def _trainings(retrainings: Sequence[Retraining], x: Scale, y: float) -> list[Mark]:
    marks = []
    for retraining in retrainings:
        time = retraining.trained.time
        if time in x:
            said = f"{_moment(time)}: trained {retraining.because}. {retraining.outcome}"
            marks.append(Mark(x(time), y, "trained", f"day?on={time:%Y-%m-%d}", said))
    return marks


def _said(check: CheckRecord) -> str:
    return f"{_moment(check.end)}: {check.word}. {''.join(check.reasons[:1])}"


def _moment(time: datetime) -> str:
    return f"{time.day} {time:%b %Y %H:%M}"
