"""The feedback log says what callers said, and not who they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentiment.serving.feedback import KEY, Feedback, FeedbackLog, network_of
from sentiment.settings import Settings
from sentiment.storage import Storage


def feedback(*, reporter: str = "", address: str = "203.0.113.7", comment: str = "") -> Feedback:
    return Feedback("ab" * 16, "negative", comment, reporter, address, datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC))


def landed(settings: Settings, *given: Feedback) -> list[dict[str, str]]:
    log = FeedbackLog(settings)
    for one in given:
        log.record(one)
    log.close()
    assert log.written == len(given)
    folder = Path(settings.storage.root, "landing", "feedback")
    lines = [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]
    for path in folder.iterdir():
        path.unlink()
    return lines


def test_feedback_lands_without_address_or_id(settings: Settings) -> None:
    [line] = landed(settings, feedback(reporter="ann@example.org", comment="Ironic."))
    hashes = line.pop("reporter"), line.pop("client")
    assert line == {
        "request_id": "ab" * 16,
        "label": "negative",
        "comment": "Ironic.",
        "received_at": "2030-05-06T07:08:09+00:00",
    }
    assert len({*hashes}) == 2
    assert all(len(digits) == 32 and int(digits, 16) for digits in hashes)


def test_a_reporter_without_an_id_is_known_by_the_address(settings: Settings) -> None:
    [line] = landed(settings, feedback())
    assert line["reporter"] == line["client"]


def test_every_server_gives_a_reporter_the_same_hash_and_every_platform_another(settings: Settings) -> None:
    first, second = (landed(settings, feedback(reporter="ann"))[0] for _ in range(2))
    assert first == second
    Storage(settings).delete(KEY)
    [other] = landed(settings, feedback(reporter="ann"))
    assert other["reporter"] != first["reporter"]
    assert other["client"] != first["client"]


def test_an_id_that_looks_like_an_address_is_another_reporter(settings: Settings) -> None:
    by_id, by_address = landed(settings, feedback(reporter="203.0.113.7"), feedback())
    assert by_id["reporter"] != by_address["reporter"]
    assert by_id["client"] == by_address["client"]


def test_feedback_waits_while_the_key_cannot_be_read(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    read, tried = Storage.read, []

    def away(self: Storage, path: str) -> bytes:
        tried.append(path)
        if len(tried) == 1:
            raise OSError("the storage is away")
        return read(self, path)

    monkeypatch.setattr(Storage, "read", away)
    assert len(landed(settings, feedback())) == 1
    assert len(tried) > 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_a_caller_cannot_change_its_network_at_will(address: str, network: str) -> None:
    assert network_of(address) == network
