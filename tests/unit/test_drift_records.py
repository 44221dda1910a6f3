"""What old, new and broken files of drift checks say to those who look back, and which of them are opened."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from sentiment.drift.accuracy import measure_accuracy
from sentiment.drift.archive import REPORTS as ARCHIVE
from sentiment.drift.archive import DriftCheck
from sentiment.drift.records import REPORTS, CheckRecord, parse_check, time_in, version_in
from sentiment.drift.selection import Shelf, Wanted, neighbours, previous, read_record
from sentiment.drift.signals import NAMES
from sentiment.drift.titles import TITLES
from sentiment.drift.verdict import DriftVerdict, JudgedSignal
from sentiment.storage import Storage

END = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
SIGNAL = JudgedSignal(
    "scores", 0.001, 0.31, 0.5, 0.7, "the mean score", adjusted_p=0.004, counts=True, threshold=0.12, detectable=0.2
)


def check(end: datetime = END, champion: str = "3", state="drifted", actions=("retrain",)) -> DriftCheck:
    verdict = DriftVerdict(
        state,
        ("Scores moved.",),
        (SIGNAL,),
        reference_rows=2_000,
        current_rows=640,
        live_accuracy=measure_accuracy(correct=90, rows=100),
        actions=actions,
        level=0.003,
    )
    return DriftCheck(
        id=f"{end:%Y%m%dT%H%M%S}-v{champion}-0123abcd",
        verdict=verdict,
        start=end - timedelta(days=7),
        end=end,
        champion=champion,
        snapshot="reviews@v12",
    )


@pytest.fixture
def storage(settings) -> Storage:
    return Storage(settings)


def write(storage: Storage, found: DriftCheck) -> str:
    storage.write(f"{REPORTS}/{found.id}/report.html", b"")
    storage.write(f"{REPORTS}/{found.id}/verdict.json", json.dumps(found.to_dict()).encode())
    return found.id


def test_a_check_is_read_back_as_it_was_written() -> None:
    written = check()
    found = parse_check(written.id, json.loads(json.dumps(written.to_dict())))
    assert (found.state, found.word, found.reasons, found.actions) == (
        "drifted",
        "Drifted",
        ("Scores moved.",),
        ("retrain",),
    )
    assert (found.start, found.end, found.window) == (written.start, written.end, "7 days")
    assert (found.champion, found.snapshot, found.current_rows, found.level) == ("3", "reviews@v12", 640, 0.003)
    signal = found.signal("scores")
    assert signal
    assert {name: getattr(signal, name) for name in vars(SIGNAL) if name != "p_value"} == {
        name: value for name, value in vars(SIGNAL).items() if name != "p_value"
    }
    assert found.live_accuracy
    assert (found.live_accuracy.value, found.live_accuracy.rows) == (0.9, 100)
    assert found.live_accuracy.low < 0.9 < found.live_accuracy.high
    assert REPORTS == ARCHIVE


def test_a_file_from_before_thresholds_and_actions_is_read() -> None:
    data = check().to_dict()
    for name in ("actions", "alone", "confirmation", "level", "false_alarm_days", "detectable", "estimated_accuracy"):
        del data["verdict"][name]
    for signal in data["verdict"]["signals"]:
        del signal["threshold"], signal["detectable"]
    found = parse_check("20261120T063000-v3-0123abcd", data)
    assert found.state == "drifted"
    assert found.actions == ("retrain",)
    assert found.signals[0].threshold is None
    assert found.signals[0].distance == 0.31


def test_a_file_from_a_later_version_is_read_as_far_as_it_is_known() -> None:
    data = check().to_dict()
    data["verdict"] |= {"state": "panic", "actions": ["call_somebody"], "mood": 3}
    data["verdict"]["signals"] = [{"name": "scores", "distance": 0.2, "smell": "odd"}, {"name": "no distance"}]
    found = parse_check("20261120T063000-v3-0123abcd", data)
    assert (found.state, found.word, found.actions) == ("unknown", "Unreadable", ("call_somebody",))
    assert [signal.name for signal in found.signals] == ["scores"]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"verdict": "?"},
        {"verdict": {"state": [], "signals": {}, "reasons": 3, "current_rows": "many", "level": float("nan")}},
        {"verdict": {"live_accuracy": {"value": "high"}, "confirmation": 3}, "start": 7, "champion": 3},
    ],
)
def test_what_cannot_be_read_is_unreadable_and_keeps_what_its_name_says(data) -> None:
    found = parse_check("20261120T063000-v3-0123abcd", data)
    assert found == CheckRecord("20261120T063000-v3-0123abcd", end=END, champion="3")


def test_names_tell_time_and_version() -> None:
    assert time_in("20261120T063000-v3-0123abcd") == END
    assert version_in("20261120T063000-v3-0123abcd") == "3"
    assert time_in("files-0123abcd") is None
    assert time_in("20261399T063000-v3-0123abcd") is None
    assert version_in("files-0123abcd") is None


def test_checks_come_newest_first_and_comparisons_without_a_window_by_when_they_were_made(storage) -> None:
    ids = [write(storage, check(END - timedelta(days=days))) for days in (2, 0, 1)]
    names = {"reference_name": "reviews@v3", "current_name": "reviews@v5"}
    storage.write(f"{REPORTS}/sides-77/verdict.json", json.dumps(names).encode())
    storage.write(f"{REPORTS}/20991120T063000-v3-half/report.html", b"its verdict is not there yet")
    found = Shelf().select(storage, Wanted())
    sides = next(one for one in found.found if one.id == "sides-77")
    assert sides.made
    assert [one.id for one in found.found if one is not sides] == [ids[1], ids[2], ids[0]]
    assert [one.time for one in found.found] == sorted((one.time for one in found.found), reverse=True)
    assert (sides.reference_name, sides.current_name, sides.time) == ("reviews@v3", "reviews@v5", sides.made)
    today = sides.made.date()
    assert sides in Shelf().select(storage, Wanted(since=today, until=today)).found
    assert (found.total, found.unread) == (4, 0)


def test_checks_are_filtered_by_state_champion_days_and_action(storage) -> None:
    old = write(storage, check(END - timedelta(days=9), champion="2", state="stable", actions=()))
    watched = write(storage, check(END - timedelta(days=1), state="watch", actions=("ask_for_labels",)))
    newest = write(storage, check())
    shelf = Shelf()

    def select(**wanted) -> list[str]:
        return [one.id for one in shelf.select(storage, Wanted(**wanted)).found]

    assert select(states=frozenset({"watch", "stable"})) == [watched, old]
    assert select(champion="2") == [old]
    assert select(since=date(2026, 11, 19)) == [newest, watched]
    assert select(until=date(2026, 11, 19), since=date(2026, 11, 19)) == [watched]
    assert select(action="ask_for_labels") == [watched]
    assert select(action="none") == [old]
    assert select(champion="2", action="retrain") == []
    found = shelf.select(storage, Wanted(states=frozenset({"watch"}), champion="3"))
    assert found.states == {"drifted": 1, "watch": 1}, "what the other states would show"
    assert found.champions == ("3", "2")
    assert len(found.times) == 3, "a gap is where no check was made, whatever is asked for"


def test_no_more_checks_are_opened_than_the_bound_and_each_once(storage, monkeypatch) -> None:
    ids = [write(storage, check(END - timedelta(hours=hours))) for hours in range(30)]
    opened: list[str] = []
    read = storage.read_json
    monkeypatch.setattr(storage, "read_json", lambda path: opened.append(path) or read(path))
    shelf = Shelf()
    first = shelf.select(storage, Wanted(), most=10)
    assert [one.id for one in first.found] == ids[:10]
    assert len(opened) == 10
    assert (first.total, first.unread, first.oldest) == (30, 20, END - timedelta(hours=9))
    assert shelf.select(storage, Wanted(), most=10) == first
    assert shelf.select(storage, Wanted(until=date(2026, 11, 18)), most=10).found == ()
    assert len(opened) == 10, "what a name excludes is not opened, and nothing twice"


def test_a_check_that_is_written_again_is_read_again(storage) -> None:
    shelf, name = Shelf(), write(storage, check(state="watch"))
    assert shelf.select(storage, Wanted()).found[0].state == "watch"
    assert write(storage, check(state="insufficient_data")) == name
    assert shelf.select(storage, Wanted()).found[0].state == "insufficient_data"


def test_a_check_has_neighbours_in_time(storage) -> None:
    older, newer = (write(storage, check(END - timedelta(days=days))) for days in (3, 0))
    write(storage, check(END - timedelta(days=1), champion="2"))
    assert previous(storage, read_record(storage, newer)) == older
    assert previous(storage, read_record(storage, older)) is None
    also = [datetime(2026, 11, 21, tzinfo=UTC)]
    assert neighbours(storage, date(2026, 11, 18), also=also) == (date(2026, 11, 17), date(2026, 11, 19))
    assert neighbours(storage, date(2026, 11, 20), also=also) == (date(2026, 11, 19), date(2026, 11, 21))
    assert neighbours(storage, date(2020, 1, 1)) == (None, date(2026, 11, 17))


def test_every_signal_has_a_title() -> None:
    assert set(TITLES) == set(NAMES)


@pytest.mark.parametrize("name", ["20200101T000000-v1-00", "..", "../../secret", "a.b", "", "x" * 129])
def test_there_is_no_check_of_another_name(storage, name) -> None:
    storage.write("secret/verdict.json", b"{}")
    assert read_record(storage, name) is None
