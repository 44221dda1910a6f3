"""The timeline of the drift checks: where each mark goes in a picture that the server draws and no script moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil, floor
from typing import TYPE_CHECKING

from sentiment_drift_scale import Scale, find_breaks, find_gaps

from sentiment.drift.records import STATES, UNREADABLE, WORDS, CheckRecord

if TYPE_CHECKING:
    from sentiment.drift.aftermath import Retraining
    from sentiment.history import Reign

LANE, PANEL, TALL, TOP, AXIS = 24, 46, 64, 14, 26
SHAPES = {
    "stable": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "watch": "M0-5 5 4H-5z",
    "drifted": "M0-6 6 0 0 6-6 0z",
    "insufficient_data": "M-4-4H4V4H-4z",
    UNREADABLE: "M-4-4 4 4M4-4-4 4",
}
"""The outline of each state, around (0, 0): told apart without colour."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """One check, or one training, where it is drawn."""

    x: float
    y: float
    kind: str
    link: str
    said: str


@dataclass(frozen=True)
class Panel:
    """The values of one signal, or of the accuracy, over time; `lines` and `limits` break where there are gaps."""

    title: str
    top: float
    height: float
    low: str
    high: str
    last: str
    note: str
    lines: list[list[Point]]
    limits: list[list[Point]] = field(default_factory=list)
    dots: list[Point] = field(default_factory=list)
    over: list[Point] = field(default_factory=list)
    held_out: list[list[Point]] = field(default_factory=list)
    whiskers: list[tuple[float, float, float]] = field(default_factory=list)
    estimates: list[Point] = field(default_factory=list)


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
    size = round(min(1.0, max(0.5, (right - left) / len(dated) / 11)), 2)
    gaps = find_gaps(sorted(times))
    breaks = find_breaks([check.end for check in dated], sorted(times), gaps)
    y, lanes, marks, spans, champion = float(TOP), [], [], [], None
    if whole:
        lanes, marks, y = _lanes(dated, x, y)
        if reigns:
            champion, spans = y + LANE / 2, _spans(reigns, x)
            marks += _trainings(retrainings, x, champion + LANE)
            lanes += [(champion, "champion", "Champion"), (champion + LANE, "trained", "Trained")]
            y += 2 * LANE
    head = 28 if narrow else 10
    panels = []
    for panel in [_accuracy(dated, x, y + head, breaks) if whole else None]:
        if panel:
            panels.append(panel)
            y += head + TALL
    for name in names:
        panels.append(_signal(dated, name, title(name), x, y + head, breaks))
        y += head + PANEL
    changes = [x(reign.since) for reign in reigns if reign.since in x]
    return Timeline(
        width=width, height=y + AXIS, left=left, right=right, bottom=y + 4, ticks=x.ticks(),
        gaps=[(x(start), x(end), length) for start, end, length in gaps], changes=changes, lanes=lanes, marks=marks,
        reigns=spans, champion_lane=champion, panels=panels, stacked=narrow,
        size=size,
    )  # fmt: skip


def by_movement(checks: Sequence[CheckRecord]) -> list[str]:
    """Return the names of all signals, those first that came nearest to their threshold, or farthest over it."""
    most: dict[str, float] = {}
    for check in checks:
        for signal in check.signals:
            reached = signal.distance / signal.threshold if signal.threshold else signal.distance
            most[signal.name] = max(most.get(signal.name, 0.0), reached + signal.counts)
    return sorted(most, key=lambda name: -most[name])


def _lanes(dated: Sequence[CheckRecord], x: Scale, y: float) -> tuple[list[tuple[float, str, str]], list[Mark], float]:
    states = [*STATES, *([UNREADABLE] if any(check.state == UNREADABLE for check in dated) else [])]
    place = {state: y + LANE * (row + 0.5) for row, state in enumerate(states)}
    lanes = [(place[state], state, WORDS[state]) for state in states]
    marks = [
        Mark(x(c.end), place[c.state], c.state, f"checks/{c.id}", _said(c))
        for c in dated
    ]  # fmt: skip
    return lanes, marks, y + LANE * len(states)


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
    return [
        Mark(x(r.trained.time), y, "trained", f"day?on={r.trained.time:%Y-%m-%d}",
             f"{_moment(r.trained.time)}: trained {r.because}. {r.outcome}")
        for r in retrainings if r.trained.time in x
    ]  # fmt: skip


def _signal(dated: Sequence[CheckRecord], name: str, title: str, x: Scale, top: float, breaks: set[datetime]) -> Panel:
    found = [(check, check.signal(name)) for check in dated]
    values = [(check.end, signal.distance if signal else None) for check, signal in found]
    limits = [(check.end, signal.threshold if signal else None) for check, signal in found]
    most = max([0.02, *(value for _, value in (*values, *limits) if value is not None)]) * 1.12
    y = lambda value: round(top + PANEL * (1 - value / most), 1)  # noqa: E731
    last = next((signal for _, signal in reversed(found) if signal), None)
    limit = f"counts from {last.threshold:.3f}" if last and last.threshold is not None else "threshold not recorded"
    return Panel(
        title=title, top=top, height=PANEL, low="0", high=f"{most:.2f}", last=f"{last.distance:.3f}" if last else "",
        note=limit, lines=_runs(values, x, y, breaks), limits=_runs(limits, x, y, breaks),
        dots=[(x(time), y(value)) for time, value in values if value is not None] if is_roomy(dated, x) else [],
        over=[(x(check.end), y(signal.distance)) for check, signal in found if signal and signal.counts],
    )  # fmt: skip


def _accuracy(dated: Sequence[CheckRecord], x: Scale, top: float, breaks: set[datetime]) -> Panel | None:
    live = [(check.end, check.live_accuracy) for check in dated]
    held_out = [(check.end, check.reference_accuracy) for check in dated]
    guessed = [(check.end, check.estimated_accuracy) for check in dated]
    labelled = [(time, accuracy.value) for time, accuracy in live if accuracy]  # not every check has new labels
    known = [accuracy for _, accuracy in (*live, *guessed) if accuracy]
    if not known:
        return None
    values = [*(a.low for a in known), *(a.high for a in known), *(a.value for _, a in held_out if a)]
    low, high = max(0.0, floor(min(values) * 20) / 20), min(1.0, ceil(max(values) * 20) / 20)
    y = lambda value: round(top + TALL * (high - value) / ((high - low) or 1), 1)  # noqa: E731
    last = next((accuracy for _, accuracy in reversed(live) if accuracy), None)
    return Panel(
        title="Live accuracy", top=top, height=TALL, low=f"{low:.0%}", high=f"{high:.0%}",
        last=f"{last.value:.1%}" if last else "", note="rings are estimates",
        lines=_runs(labelled, x, y, {end for _, end, _ in find_gaps([time for time, _ in labelled])}),
        held_out=_runs([(time, a and a.value) for time, a in held_out], x, y, breaks),
        dots=[(x(time), y(a.value)) for time, a in live if a] if is_roomy(dated, x) else [],
        whiskers=[(x(time), y(a.low), y(a.high)) for time, a in live if a],
        estimates=[(x(time), y(a.value)) for time, a in guessed if a] if is_roomy(dated, x) else [],
    )  # fmt: skip


def is_roomy(dated: Sequence[CheckRecord], x: Scale) -> bool:
    """Whether every check has room for a dot of its own on the lines."""
    return len(dated) * 7 <= x.right - x.left


def _runs(values, x, y, breaks) -> list[list[Point]]:
    """Return the lines between values, broken where there is none and before the times in `breaks`."""
    runs: list[list[Point]] = [[]]
    for time, value in values:
        if (value is None or time in breaks) and runs[-1]:
            runs.append([])
        if value is not None:
            runs[-1].append((x(time), y(value)))
    return [run for run in runs if len(run) > 1]


def _said(check: CheckRecord) -> str:
    return f"{_moment(check.end)}: {check.word}. {''.join(check.reasons[:1])}"


def _moment(time: datetime) -> str:
    return f"{time.day} {time:%b %Y %H:%M}"
