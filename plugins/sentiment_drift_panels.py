"""The panels of the timeline: the distance of each signal, and the accuracy, over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from math import ceil, floor

from sentiment_drift_scale import Scale, find_gaps

from sentiment.drift.records import CheckRecord

PANEL, TALL = 46, 64

Point = tuple[float, float]
Place = Callable[[float], float]


@dataclass(frozen=True)
class Panel:
    """The values of one signal, or of the accuracy, over time; lines break where there are gaps.

    `limits` is the threshold, `over` the checks in which the signal counted, `whiskers` the intervals of the accuracy.
    """

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


def draw_panels(
    dated: Sequence[CheckRecord],
    names: Iterable[str],
    *,
    x: Scale,
    top: float,
    head: float,
    breaks: set[datetime],
    title: Callable[[str], str],
    accuracy: bool,
) -> list[Panel]:
    """Return the panels one below the other, each with `head` above it; the accuracy first, if any was measured."""
    panels = []
    if accuracy and any(check.live_accuracy or check.estimated_accuracy for check in dated):
        panels.append(_accuracy(dated, x=x, top=top + head, breaks=breaks))
        top += head + TALL
    for name in names:
        panels.append(_signal(dated, name, title=title(name), x=x, top=top + head, breaks=breaks))
        top += head + PANEL
    return panels


def _signal(
    dated: Sequence[CheckRecord], name: str, *, title: str, x: Scale, top: float, breaks: set[datetime]
) -> Panel:
    found = [(check.end, check.signal(name)) for check in dated]
    values = [(time, signal.distance if signal else None) for time, signal in found]
    limits = [(time, signal.threshold if signal else None) for time, signal in found]
    most = max([0.02, *(value for _, value in (*values, *limits) if value is not None)]) * 1.12
    y = partial(_height, top=top, height=PANEL, low=0.0, high=most)
    last = next((signal for _, signal in reversed(found) if signal), None)
    limit = f"counts from {last.threshold:.3f}" if last and last.threshold is not None else "threshold not recorded"
    return Panel(
        title=title,
        top=top,
        height=PANEL,
        low="0",
        high=f"{most:.2f}",
        last=f"{last.distance:.3f}" if last else "",
        note=limit,
        lines=_runs(values, x, y, breaks),
        limits=_runs(limits, x, y, breaks, alone=6.0),
        dots=_dots(values, x, y) if _is_roomy(dated, x) else [],
        over=[(x(time), y(signal.distance)) for time, signal in found if signal and signal.counts],
    )


def _accuracy(dated: Sequence[CheckRecord], *, x: Scale, top: float, breaks: set[datetime]) -> Panel:
    live = [(check.end, check.live_accuracy) for check in dated if check.live_accuracy]  # new labels are not everywhere
    guessed = [(check.end, check.estimated_accuracy.value) for check in dated if check.estimated_accuracy]
    held_out = [(check.end, check.reference_accuracy and check.reference_accuracy.value) for check in dated]
    values = [value for _, value in (*guessed, *held_out) if value is not None]
    values += [end for _, accuracy in live for end in (accuracy.low, accuracy.high)]
    low, high = max(0.0, floor(min(values) * 20) / 20), min(1.0, ceil(max(values) * 20) / 20)
    y = partial(_height, top=top, height=TALL, low=low, high=high)
    measured = [(time, accuracy.value) for time, accuracy in live]
    unlabelled = {end for _, end, _ in find_gaps([time for time, _ in live])}
    roomy = _is_roomy(dated, x)
    return Panel(
        title="Live accuracy",
        top=top,
        height=TALL,
        low=f"{low:.0%}",
        high=f"{high:.0%}",
        last=f"{live[-1][1].value:.1%}" if live else "",
        note="rings are estimates",
        lines=_runs(measured, x, y, breaks | unlabelled),
        held_out=_runs(held_out, x, y, breaks),
        dots=_dots(measured, x, y) if roomy else [],
        whiskers=[(x(time), y(accuracy.low), y(accuracy.high)) for time, accuracy in live],
        estimates=_dots(guessed, x, y) if roomy else [],
    )


def _height(value: float, *, top: float, height: float, low: float, high: float) -> float:
    return round(top + height * (high - value) / ((high - low) or 1), 1)


def _is_roomy(dated: Sequence[CheckRecord], x: Scale) -> bool:
    """Whether every check has room for a dot of its own on the lines."""
    return len(dated) * 7 <= x.right - x.left


def _dots(values: Iterable[tuple[datetime, float | None]], x: Scale, y: Place) -> list[Point]:
    return [(x(time), y(value)) for time, value in values if value is not None]


def _runs(
    values: Iterable[tuple[datetime, float | None]], x: Scale, y: Place, breaks: set[datetime], *, alone: float = 0.0
) -> list[list[Point]]:
    """Return the lines between values, broken where there is none and before the times in `breaks`.

    A value without a neighbour becomes a line `alone` to each side.
    """
    runs: list[list[Point]] = [[]]
    for time, value in values:
        if (value is None or time in breaks) and runs[-1]:
            runs.append([])
        if value is not None:
            runs[-1].append((x(time), y(value)))
    single = ([(x_at - alone, y_at), (x_at + alone, y_at)] for (x_at, y_at), *rest in filter(None, runs) if not rest)
    return [run for run in runs if len(run) > 1] + (list(single) if alone else [])
