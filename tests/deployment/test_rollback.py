"""Rolling back: alias and release together, once for each request, and only to what is fit to serve."""

from collections.abc import Iterator
from typing import Any

import pytest
from registered import crown, register

from sentiment.deployment import free_port, status, stop
from sentiment.deployment.rollback import rollback
from sentiment.errors import IntegrityError, ModelError, StorageError
from sentiment.ledger import Ledger
from sentiment.registry import Registry
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.training.approval import reject
from sentiment.training.gate import Decision, Outcome

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

VERSIONS = ("1", "2", "3", "4")  # the last is registered only


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Registry]]:
    """A registry with four versions, the first three of which were champion, and one daemon that serves."""
    settings = load_settings(
        storage={"root": str(tmp_path_factory.mktemp("rollback") / "var")},
        platform={"api_port": free_port("127.0.0.1")},
        deployment={"ready_timeout_seconds": 120, "drain_seconds": 1},
    )
    registry = register(settings, VERSIONS)
    try:
        yield settings, registry
    finally:
        stop(settings)


@pytest.fixture
def champions(platform: tuple[Settings, Registry]) -> tuple[Settings, Registry]:
    """The platform, after versions 1, 2 and 3 became champion in this order."""
    _, registry = platform
    crown(registry, *VERSIONS[:3])
    return platform


def rolled_back(settings: Settings) -> list[tuple[str | None, Any]]:
    entries = Ledger(Storage(settings)).entries()
    return [(entry.model_version, entry.detail["from"]) for entry in entries if entry.event == "rolled_back"]


def served(settings: Settings) -> str | None:
    release = status(settings).release
    return release.model_version if release else None


def lose_the_ledger_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the entry of the rollback fail, which comes after everything else."""
    append = Ledger.append

    def failing(self: Ledger, event: str, **facts: Any) -> None:
        if event == "rolled_back":
            monkeypatch.setattr(Ledger, "append", append)
            raise StorageError("The store is down.")
        append(self, event, **facts)

    monkeypatch.setattr(Ledger, "append", failing)


def test_a_retry_of_the_same_request_goes_back_once(
    champions: tuple[Settings, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, registry = champions
    before = len(rolled_back(settings))
    lose_the_ledger_once(monkeypatch)
    with pytest.raises(StorageError, match="The store is down"):
        rollback(settings, registry=registry, reason="kettles", request="run-1")
    assert (registry.champion().version, served(settings)) == ("2", "2"), "only the entry is missing"
    for _ in range(2):
        found = rollback(settings, registry=registry, reason="kettles", request="run-1")
        assert (found.release.model_version, found.left, found.changed) == ("2", "3", True)
    assert (registry.champion().version, served(settings)) == ("2", "2")
    assert rolled_back(settings)[before:] == [("2", "3")]
    assert rollback(settings, registry=registry, request="run-2").release.model_version == "1", "another wish goes on"
    assert (registry.champion().version, served(settings)) == ("1", "1")
    with pytest.raises(ModelError, match="Roll back anew"):
        rollback(settings, registry=registry, request="run-1")


def test_a_new_wish_finishes_what_was_interrupted_before_it_goes_further(
    champions: tuple[Settings, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, registry = champions
    before = len(rolled_back(settings))
    lose_the_ledger_once(monkeypatch)
    with pytest.raises(StorageError):
        rollback(settings, registry=registry, reason="kettles")
    for _ in range(2):
        assert rollback(settings, registry=registry, request="later").left == "3"
    assert rolled_back(settings)[before:] == [("2", "3")]
    assert registry.champion().version == "2"


def test_it_says_when_there_is_nothing_to_do(champions: tuple[Settings, Registry]) -> None:
    settings, registry = champions
    rollback(settings, registry=registry, to="2")
    before = rolled_back(settings)
    again = rollback(settings, registry=registry, to="v2")
    assert (again.left, again.changed) == (None, False)
    assert again.said == "Version 2 is the champion already and is served: there is nothing to do."
    assert rolled_back(settings) == before
    stop(settings)
    again = rollback(settings, registry=registry, to="2")
    assert again.changed
    assert "served again" in again.said


def test_what_is_not_fit_is_refused_before_anything_moves(
    champions: tuple[Settings, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, registry = champions
    rollback(settings, registry=registry, to="2")
    before = rolled_back(settings)

    with pytest.raises(ModelError, match="Version 4 cannot be rolled back to, it never was champion"):
        rollback(settings, registry=registry, to="4")

    decision = Decision(Outcome.promote, "2", "reviews@v1", (), {})
    reject(settings, version=registry.version("3"), decision=decision, reason="angry about kettles", actor="ada")
    with pytest.raises(ModelError, match=r"Version 3 cannot be rolled back to: ada rejected it .*angry about kettles"):
        rollback(settings, registry=registry, to="3")

    path = registry.artifact(registry.version("1"), "scorer.npz")
    good = path.read_bytes()
    path.write_bytes(registry.artifact(registry.version("4"), "scorer.npz").read_bytes())
    try:
        with pytest.raises(IntegrityError):
            rollback(settings, registry=registry, to="1")
    finally:
        path.write_bytes(good)
    assert (registry.champion().version, served(settings)) == ("2", "2")
    assert rolled_back(settings) == before
    assert Ledger(Storage(settings)).verify().problem == ""
