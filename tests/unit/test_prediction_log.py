"""The prediction log writes every answer once, and never at the cost of an answer."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentiment.serving import landing
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage


def answer(number: int, text: str = "fine") -> Answer:
    return Answer(
        request_id=f"r{number}",
        text=text,
        label="positive",
        score=0.75,
        probabilities={"negative": 0.25, "positive": 0.75},
        model_version="3",
        predicted_at=datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC),
        abstained=True,
    )


def with_serving(settings: Settings, **serving: object) -> Settings:
    return load_settings(storage={"root": settings.storage.root}, serving=serving)


def logged(settings: Settings) -> list[str]:
    folder = Path(settings.storage.root) / "landing" / "predictions"
    lines = [line for path in sorted(folder.glob("*")) for line in path.read_text().splitlines()]
    return sorted(json.loads(line)["request_id"] for line in lines)


def until(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_an_answer_lands_in_a_file_of_the_agreed_name_and_form(settings: Settings) -> None:
    log = PredictionLog(settings)
    log.record(answer(1, text='line\nbreak "quote" \u4f60 \u2028'))
    log.close()

    (file,) = (Path(settings.storage.root) / "landing" / "predictions").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{32}\.jsonl", file.name)
    (line,) = file.read_bytes().splitlines()
    assert json.loads(line) == {
        "request_id": "r1",
        "text": 'line\nbreak "quote" \u4f60 \u2028',
        "label": "positive",
        "score": 0.75,
        "probabilities": {"negative": 0.25, "positive": 0.75},
        "model_version": "3",
        "predicted_at": "2030-05-06T07:08:09+00:00",
        "abstained": True,
    }


def test_answers_are_written_after_the_flush_time_without_closing(settings: Settings) -> None:
    log = PredictionLog(with_serving(settings, log_flush_seconds=0.05))
    log.record(answer(1))
    assert until(lambda: log.written == 1)
    assert logged(settings) == ["r1"]
    log.close()


def test_many_answers_do_not_wait_for_the_flush_time(settings: Settings) -> None:
    log = PredictionLog(with_serving(settings, log_flush_seconds=3600))
    for number in range(landing.FILE_RECORDS):
        log.record(answer(number))
    assert until(lambda: log.waiting == 0)
    log.close()
    assert len(logged(settings)) == landing.FILE_RECORDS


def test_nothing_is_lost_while_the_storage_is_away(settings: Settings) -> None:
    root = Path(settings.storage.root)
    root.write_text("a file where the folder should be")
    log = PredictionLog(with_serving(settings, log_flush_seconds=0.02))
    for number in range(3):
        log.record(answer(number))
    time.sleep(0.2)
    assert (log.waiting, log.dropped) == (3, 0)

    root.unlink()
    log.record(answer(3))
    assert until(lambda: log.waiting == 0)
    assert logged(settings) == ["r0", "r1", "r2", "r3"]
    log.close()


def test_a_write_that_succeeded_unseen_is_not_doubled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = Storage.write, []

    def answer_lost(self: Storage, path: str, data: bytes) -> None:
        write(self, path, data)
        calls.append(path)
        if len(calls) == 1:
            raise OSError("the connection broke after the object was stored")

    monkeypatch.setattr(Storage, "write", answer_lost)
    log = PredictionLog(with_serving(settings, log_flush_seconds=0.02))
    log.record(answer(1))
    assert until(lambda: log.written == 1)
    log.close()
    assert len(calls) == 2
    assert logged(settings) == ["r1"]


def test_a_full_queue_drops_and_counts_instead_of_growing(settings: Settings) -> None:
    Path(settings.storage.root).write_text("in the way")
    log = PredictionLog(with_serving(settings, log_queue=5, log_flush_seconds=0.02))
    for number in range(12):
        log.record(answer(number))
    assert (log.waiting, log.dropped) == (5, 7)
    log.close(timeout=0.1)
    assert (log.waiting, log.dropped) == (0, 12)


def test_text_that_waits_is_bounded_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "MAX_CHARACTERS", 100)
    log = PredictionLog(with_serving(settings, log_flush_seconds=3600))
    for number in range(3):
        log.record(answer(number, text="x" * 45))
    assert (log.waiting, log.dropped) == (2, 1)
    log.close()
    assert logged(settings) == ["r0", "r1"]


def test_recording_does_not_wait_for_a_slow_storage(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, release = threading.Event(), threading.Event()

    def slow(self: Storage, path: str, data: bytes) -> None:
        writing.set()
        release.wait(5)

    monkeypatch.setattr(Storage, "write", slow)
    log = PredictionLog(with_serving(settings, log_flush_seconds=0.01))
    log.record(answer(0))
    assert writing.wait(5)
    started = time.perf_counter()
    for number in range(1, 1_000):
        log.record(answer(number))
    assert time.perf_counter() - started < 0.2
    release.set()
    log.close()
    assert log.written == 1_000


def test_an_answer_after_closing_is_counted_as_dropped(settings: Settings) -> None:
    log = PredictionLog(settings)
    log.close()
    log.record(answer(1))
    assert log.dropped == 1
