"""The picture of the drift checks: what is drawn where, from records alone."""

import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from sentiment.drift.aftermath import retrainings
from sentiment.drift.records import AccuracyRecord, CheckRecord, SignalRecord
from sentiment.history import reigns
from sentiment.ledger import LedgerEntry

END = datetime(2026, 11, 14, 6, 30, tzinfo=UTC)


@pytest.fixture
def timeline(monkeypatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[2] / "plugins"), *sys.path])
    import sentiment_drift_timeline

    return sentiment_drift_timeline


def check(day: float, state: str = "stable", *, distance: float = 0.1, threshold: float | None = 0.2, **facts):
    end = END + timedelta(days=day)
    signal = SignalRecord("scores", distance, threshold is not None and distance >= threshold, threshold)
    return CheckRecord(f"{end:%Y%m%dT%H%M%S}-v1-aa", state, ("Why.",), end=end, signals=(signal,), **facts)


def draw(timeline, checks, *, times=None, **asked):
    times = [c.end for c in checks if c.end] if times is None else times
    return timeline.draw(checks, times=times, title=str.upper, names=["scores"], **asked)


def test_each_check_is_a_mark_in_the_lane_of_its_verdict(timeline) -> None:
    checks = [check(2, "drifted"), check(1, "watch"), check(0), CheckRecord("files-77", "drifted")]
    found = draw(timeline, checks)
    lanes = {kind: y for y, kind, _ in found.lanes}
    assert [(mark.kind, mark.y) for mark in found.marks] == [
        (kind, lanes[kind]) for kind in ("stable", "watch", "drifted")
    ]
    assert found.marks[0].x < found.marks[1].x < found.marks[2].x
    assert found.marks[2].link == f"checks/{checks[0].id}"
    assert found.marks[2].said == "16 Nov 2026 06:30: Drifted. Why."
    assert all(found.left <= mark.x <= found.right for mark in found.marks)
    assert len({timeline.SHAPES[kind] for kind in lanes}) == len(lanes), "told apart without colour"


def test_without_a_check_that_has_a_time_there_is_no_picture(timeline) -> None:
    assert draw(timeline, []) is None
    assert draw(timeline, [CheckRecord("files-77")]) is None


def test_a_threshold_is_drawn_where_it_is_known_and_what_reached_it_is_marked(timeline) -> None:
    found = draw(timeline, [check(0, threshold=None), check(1, threshold=None), check(2), check(3, distance=0.4)])
    (panel,) = found.panels
    assert len(panel.lines) == len(panel.limits) == 1
    assert (len(panel.lines[0]), len(panel.limits[0])) == (4, 2)
    assert len(panel.over) == 1
    assert panel.over[0][1] < panel.limits[0][-1][1], "farther from the reference is higher"
    assert (panel.title, panel.last, panel.note) == ("SCORES", "0.400", "counts from 0.200")
    assert draw(timeline, [check(0, threshold=None)]).panels[0].note == "threshold not recorded"


def test_one_check_has_its_threshold_and_its_day(timeline) -> None:
    found = draw(timeline, [check(0)])
    ((left, right),) = found.panels[0].limits
    assert left[0] < found.marks[0].x < right[0]
    assert found.ticks[0][1].startswith("14 Nov ")


def test_days_without_checks_break_the_lines_and_are_named(timeline) -> None:
    found = draw(timeline, [check(day) for day in (0, 1, 2, 9, 10)])
    ((start, end, length),) = found.gaps
    assert length == "7 days"
    assert [len(line) for line in found.panels[0].lines] == [3, 2]
    assert found.panels[0].lines[0][-1][0] == start
    assert found.panels[0].lines[1][0][0] == end


def test_a_late_check_is_no_gap_and_hourly_checks_may_pause_for_a_day(timeline) -> None:
    assert draw(timeline, [check(day) for day in (0, 1, 2.4, 3)]).gaps == []
    assert draw(timeline, [check(day) for day in (0, 0.1, 0.2, 1.4, 1.5)]).gaps == []
    assert draw(timeline, [check(day) for day in (0, 7, 14, 21)]).gaps == [], "weekly checks are no gaps"


def test_no_line_is_drawn_over_checks_that_the_filter_hides(timeline) -> None:
    shown = [check(0, "drifted"), check(1, "drifted"), check(5, "drifted"), check(6, "drifted")]
    found = draw(timeline, shown, times=[END + timedelta(days=day) for day in range(7)])
    assert found.gaps == []
    assert [len(line) for line in found.panels[0].lines] == [2, 2]


def test_champions_and_trainings_are_drawn_where_the_ledger_has_them(timeline) -> None:
    def entry(day: float, event: str, version: str | None, **detail) -> LedgerEntry:
        return LedgerEntry(END + timedelta(days=day), event, "airflow", version, None, "Better.", detail, run_id="run")

    cause = {"what": "drift", "check": check(5).id, "reasons": []}
    entries = [entry(-30, "promoted", "1"), entry(5.1, "trained", None, cause=cause), entry(5.2, "promoted", "2")]
    found = draw(timeline, [check(day) for day in range(10)], reigns=reigns(entries), retrainings=retrainings(entries))
    assert [shown for _, _, shown, _ in found.reigns] == ["v1", "v2"]
    assert found.reigns[0][0] == found.left
    assert found.reigns[1][0] == found.changes[0]
    (trained,) = [mark for mark in found.marks if mark.kind == "trained"]
    assert trained.link == "day?on=2026-11-19"
    assert "because the drift check of 19 Nov 2026 at 06:30 asked for it" in trained.said


def test_accuracy_has_its_interval_and_estimates_are_told_from_it(timeline) -> None:
    live, guessed = AccuracyRecord(0.9, 0.87, 0.93, 400), AccuracyRecord(0.8, 0.78, 0.82)
    found = draw(
        timeline, [check(0, live_accuracy=live), check(1, estimated_accuracy=guessed), check(2, live_accuracy=live)]
    )
    accuracy = found.panels[0]
    assert (len(accuracy.whiskers), len(accuracy.estimates), len(accuracy.lines[0])) == (2, 1, 2)
    _, low, high = accuracy.whiskers[0]
    assert high < accuracy.lines[0][0][1] < low < accuracy.estimates[0][1]
    assert (accuracy.low, accuracy.high, accuracy.last) == ("80%", "95%", "90.0%")
    assert len(draw(timeline, [check(0)]).panels) == 1, "without labels there is no such panel"


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("days", [0.04, 1, 3, 12, 60, 400, 1500])
def test_round_times_stand_under_the_picture_and_not_on_each_other(timeline, days, narrow) -> None:
    found = draw(timeline, [check(0), check(days)], narrow=narrow)
    places = [x for x, _ in found.ticks]
    assert 1 <= len(places) <= 14
    assert all(after - before >= 40 for before, after in pairwise(places))
    assert all(found.left <= x <= found.right for x in places)


def test_the_signals_that_moved_most_come_first(timeline) -> None:
    def signals(**distances: float) -> CheckRecord:
        return CheckRecord("x", signals=tuple(SignalRecord(n, d, threshold=0.2) for n, d in distances.items()))

    assert timeline.by_movement([signals(a=0.1, b=0.15, c=0.01), signals(a=0.3)]) == ["a", "b", "c"]
