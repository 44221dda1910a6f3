"""The feedback log says what callers said, and not who they are."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from landed import landed as what_landed

from sentiment.errors import StorageError
from sentiment.serving.feedback import KEY, Feedback, FeedbackLog, network_of, reporter_key
from sentiment.settings import Settings
from sentiment.storage import Storage


def feedback(*, reporter: str = "", address: str = "203.0.113.7", comment: str = "") -> Feedback:
    return Feedback("ab" * 16, "negative", comment, reporter, address, datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC))


def landed(settings: Settings, *given: Feedback) -> list[dict[str, Any]]:
    log = FeedbackLog(settings)
    for one in given:
        log.record(one)
    log.close()
    assert log.written == len(given)
    found = what_landed(settings, "feedback")
    for path in Path(settings.storage.root, "landing", "feedback").iterdir():
        path.unlink()
    return found


def test_feedback_lands_without_address_or_id(settings: Settings) -> None:
    [line] = landed(settings, feedback(reporter="ann@example.org", comment="Ironic. Ask bob@example.org \ud800"))
    hashes = line.pop("reporter"), line.pop("client")
    assert line == {
        "request_id": "ab" * 16,
        "label": "negative",
        "comment": "Ironic. Ask [email] ?",
        "received_at": datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC),
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


def test_feedback_waits_while_the_key_cannot_be_read_and_tells_the_disk_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, tried, back = Storage.read, [], threading.Event()

    def away(self: Storage, path: str) -> bytes:
        tried.append(path)
        if not back.is_set():
            raise OSError("the storage is away")
        return read(self, path)

    monkeypatch.setattr(Storage, "read", away)
    log = FeedbackLog(settings)
    log.record(feedback(reporter="ann@example.org"))
    deadline = time.monotonic() + 20
    while len(tried) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (log.waiting, log.queued, log.spooled_bytes) == (1, 1, 0)
    assert list(settings.local_dir.rglob("*.lines")) == []
    back.set()
    log.close()
    assert log.written == 1


def test_what_is_spooled_says_who_it_was_as_little_as_what_lands(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Storage, path: str, data: bytes) -> None:
        raise OSError("the storage is away")

    monkeypatch.setattr(Storage, "write", away)
    log = FeedbackLog(settings)
    log.record(feedback(reporter="ann@example.org", comment="bob@example.org"))
    deadline = time.monotonic() + 20
    while log.queued and time.monotonic() < deadline:
        time.sleep(0.01)
    (segment,) = settings.local_dir.rglob("*.lines")
    assert "[email]" in segment.read_text()
    assert [secret for secret in ("ann@", "bob@", "203.0.113") if secret in segment.read_text()] == []
    log.close(timeout=0.5)
    assert (log.waiting, log.dropped) == (1, 0)


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


class Unlisted(Storage):
    """A store whose role may not list: of what is not there it says that it is forbidden."""

    def read(self, path: str) -> bytes:
        try:
            return super().read(path)
        except FileNotFoundError as error:
            raise StorageError("403", fix="") from error


def test_a_server_that_may_not_list_makes_the_key_once(settings: Settings) -> None:
    made = reporter_key(Unlisted(settings))
    assert len(made) == 32
    assert reporter_key(Unlisted(settings)) == reporter_key(Storage(settings)) == made
