"""Who was champion when, from ledger entries alone."""

from datetime import UTC, datetime

import pytest

from sentiment.errors import SettingsError
from sentiment.history import champions_at, reigns
from sentiment.ledger import LedgerEntry


def entry(day: int, event: str, version: str, reason: str = "", **detail: str) -> LedgerEntry:
    return LedgerEntry(datetime(2026, 3, day, 12, tzinfo=UTC), event, "root", version, "reviews@v1", reason, detail)


STORY = [
    entry(1, "promoted", "1", "First model."),
    entry(2, "rejected", "2", "wrong shop"),
    entry(3, "approved", "2", "right shop"),
    entry(5, "promoted", "2", "No worse.", approved_by="root"),
    entry(6, "deployed", "2"),
    entry(9, "rolled_back", "1", "angry about kettles", **{"from": "2"}),
]


def test_champions_follow_each_other() -> None:
    found = reigns(STORY)
    assert [(r.version, r.since.day, r.until and r.until.day) for r in found] == [
        ("1", 1, 5),
        ("2", 5, 9),
        ("1", 9, None),
    ]
    assert [r.why for r in found] == [
        "First model.",
        "No worse. Approved by root: right shop",
        "Rolled back from version 2: angry about kettles",
    ]
    assert found[1].to_dict()["approved_by"] == "root"
    assert reigns([]) == []


@pytest.mark.parametrize(
    ("at", "versions"),
    [
        ("2026-02-28", []),
        ("2026-03-01", ["1"]),
        ("2026-03-04", ["1"]),
        ("2026-03-05", ["1", "2"]),
        ("2026-03-05T11:59", ["1"]),
        ("2026-03-05T12:00", ["2"]),
        ("2026-03-05T12:30+01:00", ["1"]),
        ("2026-03-08", ["2"]),
        ("2026-03-09T12:00:01Z", ["1"]),
        ("2030-01-01", ["1"]),
    ],
)
def test_a_date_is_a_whole_day_and_a_moment_is_one(at: str, versions: list[str]) -> None:
    assert [reign.version for reign in champions_at(STORY, at)] == versions


@pytest.mark.parametrize("at", ["march", "2026-13-01", "", "14.3.2026"])
def test_what_is_no_date_is_said(at: str) -> None:
    with pytest.raises(SettingsError, match="neither a date nor a moment"):
        champions_at(STORY, at)
