"""The ledger keeps every entry, once, in order."""

import os
import pwd

import pytest

from sentiment.ledger import Ledger
from sentiment.settings import Settings
from sentiment.storage import Storage


def test_entries_come_back_in_order_with_their_details(settings: Settings) -> None:
    ledger = Ledger(Storage(settings))
    assert ledger.entries() == []
    ledger.append("trained", snapshot="reviews@v1", detail={"run_id": "a"})
    ledger.append("promoted", model_version="1", reason="first model")
    found = ledger.entries()
    assert [(entry.event, entry.model_version, entry.snapshot) for entry in found] == [
        ("trained", None, "reviews@v1"),
        ("promoted", "1", None),
    ]
    assert found[0].detail == {"run_id": "a"}
    assert found[0].time.tzinfo is not None


def test_an_entry_with_a_key_is_written_once(settings: Settings) -> None:
    ledger = Ledger(Storage(settings))
    for _ in range(3):
        ledger.append("promoted", model_version="1", key="promoted-1")
    ledger.append("promoted", model_version="2", key="promoted-2")
    assert [entry.model_version for entry in ledger.entries()] == ["1", "2"]


def test_a_user_without_a_name_is_an_actor_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nameless)
    ledger = Ledger(Storage(settings))
    ledger.append("trained")
    assert ledger.entries()[0].actor == f"uid {os.getuid()}"
