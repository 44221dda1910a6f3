"""The watch over the inbox, as real asynchronous code on a real folder and on S3."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from faults import Fault, S3Server

from sentiment.settings import Settings
from sentiment.storage import Storage

LIMIT = 20.0


class Kept:
    """What Airflow keeps for the asset."""

    def __init__(self, value: Any = None) -> None:
        self.value = value

    async def aget(self, _: str) -> Any:
        return self.value

    async def aset(self, _: str, value: Any) -> None:
        self.value = value


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_DATA__WATCH_SECONDS", "0.1")


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings as the triggerer reads them, on a folder and on S3."""
    if request.param == "s3":
        settings: Settings = request.getfixturevalue("s3")
        monkeypatch.setenv("SENTIMENT_STORAGE__ENDPOINT", settings.storage.endpoint)
        monkeypatch.setenv("SENTIMENT_STORAGE__ATTEMPTS", "2")
    else:
        settings = request.getfixturevalue("settings")
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    return settings


def watch(story: Callable[[Any], Any], kept: Kept | None = None) -> None:
    """Run a story beside the trigger, with the queue of what it has told."""
    from sentiment_inbox import InboxTrigger

    async def run() -> None:
        trigger = InboxTrigger()
        trigger.asset_state_store = kept  # type: ignore[assignment]
        events: asyncio.Queue[list[str]] = asyncio.Queue()

        async def collect(stream: AsyncIterator[Any]) -> None:
            async for event in stream:
                await events.put(event.payload["names"])

        task = asyncio.create_task(collect(trigger.run()))
        try:
            await asyncio.wait_for(story(events), LIMIT)
        finally:
            task.cancel()

    asyncio.run(run())


def test_each_delivery_is_told_once(root: Settings) -> None:
    storage = Storage(root)
    storage.write("inbox/first.csv", b"1")
    kept = Kept()

    async def story(events: Any) -> None:
        assert await events.get() == ["first.csv"]
        storage.write("inbox/second.csv", b"1")
        storage.write("inbox/third/positive/1.txt", b"1")
        told = await events.get()
        told += [] if "third" in told else await events.get()
        assert sorted(told) == ["second.csv", "third"], "what stays is not told again"
        storage.write("inbox/first.csv", b"corrected")
        assert await events.get() == ["first.csv"], "what was replaced is"
        for name in ("first.csv", "second.csv", "third/positive/1.txt"):
            storage.delete(f"inbox/{name}")
        while kept.value != {}:
            await asyncio.sleep(0.05)
        storage.write("inbox/second.csv", b"1")
        assert await events.get() == ["second.csv"], "the same file delivered again is a delivery"

    watch(story, kept)


def test_what_was_told_is_remembered_over_a_restart(root: Settings) -> None:
    storage = Storage(root)
    storage.write("inbox/stays.csv", b"cannot be read")
    kept = Kept()

    async def first(events: Any) -> None:
        assert await events.get() == ["stays.csv"]
        while not kept.value:
            await asyncio.sleep(0.05)

    async def second(events: Any) -> None:
        storage.write("inbox/new.csv", b"1")
        assert await events.get() == ["new.csv"]

    watch(first, kept)
    watch(second, kept)


def test_what_is_still_being_written_is_not_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", settings.storage.root)
    monkeypatch.setenv("SENTIMENT_DATA__SETTLE_SECONDS", "1")
    storage = Storage(settings)

    async def story(events: Any) -> None:
        for n in range(15):
            storage.write("inbox/slow.csv", b"x" * (n + 1))
            await asyncio.sleep(0.1)
        grown = time.monotonic()
        assert events.empty()
        assert await events.get() == ["slow.csv"]
        assert time.monotonic() - grown > 0.5

    watch(story)


def test_the_watch_survives_a_store_that_is_down(
    s3: Settings, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ROOT": s3.storage.root, "ENDPOINT": s3.storage.endpoint, "ATTEMPTS": "1"}.items():
        monkeypatch.setenv(f"SENTIMENT_STORAGE__{name}", value)
    storage = Storage(s3)
    store.misbehave(Fault("drop"))

    async def story(events: Any) -> None:
        while not await asyncio.to_thread(store.injected):
            await asyncio.sleep(0.05)
        await asyncio.to_thread(store.misbehave)
        await asyncio.to_thread(storage.write, "inbox/first.csv", b"1")
        assert await events.get() == ["first.csv"]

    watch(story)
