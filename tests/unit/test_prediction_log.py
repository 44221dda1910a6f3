"""The prediction log writes every answer once, and never at the cost of an answer."""

from __future__ import annotations

import hashlib
import re
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from landed import landed

from sentiment.deployment.backend import environment, log_environment
from sentiment.serving import landing, sender
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.serving.spool import Spool
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage


def answer(number: int, text: str = "fine", **changes: object) -> Answer:
    facts: dict[str, object] = {
        "request_id": f"r{number}",
        "text": text,
        "label": "positive",
        "score": 0.75,
        "probabilities": {"negative": 0.25, "positive": 0.75},
        "model_version": "3",
        "predicted_at": datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC),
        "abstained": True,
        "unknown_share": 0.5,
    }
    return Answer(**{**facts, **changes})  # type: ignore[arg-type]


def with_serving(settings: Settings, *, redact: bool = True, **serving: object) -> Settings:
    """The root and the spool are two places, as on a server with S3."""
    spool = str(Path(settings.storage.root).parent / "spool")
    return load_settings(
        storage={"root": settings.storage.root},
        data={"redact": redact},
        serving={"spool_folder": spool, "log_flush_seconds": 0.05, **serving},
    )


def logged(settings: Settings) -> list[str]:
    return sorted((record["request_id"] for record in landed(settings)), key=lambda name: int(name[1:]))


def spooled(settings: Settings) -> list[Path]:
    return sorted(Path(settings.serving.spool_folder).rglob("*.lines"))


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@contextmanager
def storage_away(settings: Settings) -> Iterator[None]:
    root = Path(settings.storage.root)
    root.write_text("a file where the folder should be")
    yield
    root.unlink()


def killed(log: PredictionLog) -> None:
    """Leave a log as SIGKILL does: threads end where they are, the kernel releases the lock."""
    log._closing.set()
    log._recorded.set()
    log._thread.join()
    log._sender._give_up_at = 0
    log._sender._closing.set()
    log._sender._wake.set()
    log._sender._thread.join()
    assert log._sender.spool is not None
    log._sender.spool._lock.close()


def test_an_answer_lands_in_a_file_of_the_agreed_name_and_form(settings: Settings) -> None:
    log = PredictionLog(settings)
    log.record(answer(1, text='line\nbreak "quote" \u4f60 \u2028 \x00 \U0001f600'))
    log.close()

    (file,) = (Path(settings.storage.root) / "landing" / "predictions").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{32}\.parquet", file.name)
    assert landed(settings) == [
        {
            "request_id": "r1",
            "text": 'line\nbreak "quote" \u4f60 \u2028 \x00 \U0001f600',
            "text_sha256": hashlib.sha256('line\nbreak "quote" \u4f60 \u2028 \x00 \U0001f600'.encode()).hexdigest(),
            "label": "positive",
            "score": 0.75,
            "probabilities": [("negative", 0.25), ("positive", 0.75)],
            "model_version": "3",
            "predicted_at": datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC),
            "abstained": True,
            "unknown_share": 0.5,
        }
    ]
    assert pq.ParquetFile(file).metadata.row_group(0).column(1).compression == "LZ4"
    assert (log.written, log.waiting, log.dropped, log.spooled_bytes, log.oldest_seconds) == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("mode", "redact", "kept"),
    [
        ("text", True, "Write to [email] ?"),
        ("text", False, "Write to eve@example.org ?"),
        ("hash", True, None),
        (True, True, "Write to [email] ?"),
    ],
)
def test_neither_disk_nor_storage_gets_more_of_a_text_than_the_settings_say(
    settings: Settings, mode: object, redact: bool, kept: str | None
) -> None:
    asked = with_serving(settings, redact=redact, log_predictions=mode)
    with storage_away(asked):
        log = PredictionLog(asked)
        log.record(answer(1, text="Write to eve@example.org \ud800"))
        assert until(lambda: log.queued == 0)
        (segment,) = spooled(asked)
        spool = segment.read_text()
        assert ("eve@example.org" in spool) == (not redact)
        assert ("Write to" in spool) == (kept is not None)
    log.close()
    (record,) = landed(asked)
    assert record["text"] == kept
    as_stored = "Write to [email] ?" if redact else "Write to eve@example.org ?"
    assert record["text_sha256"] == hashlib.sha256(as_stored.encode()).hexdigest()


@pytest.mark.parametrize(("given", "read"), [(True, "text"), ("true", "text"), (False, "off"), ("hash", "hash")])
def test_what_is_logged_may_still_be_a_boolean(given: object, read: str) -> None:
    assert load_settings(serving={"log_predictions": given}).serving.log_predictions == read


def test_a_bento_logs_as_the_platform_that_serves_it_and_where_the_next_one_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert log_environment(load_settings()) == {}
    asked = load_settings(storage={"root": "s3://bucket/x"}, data={"redact": False})
    for name, value in {**environment(asked, sections=("storage", "serving")), **log_environment(asked)}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "bento").mkdir()
    monkeypatch.chdir(tmp_path / "bento")
    served = load_settings()
    assert not served.data.redact
    assert sender.spool_folder(served, "predictions").is_relative_to(tmp_path / "var" / "serving" / "predictions")
    chosen = load_settings(storage={"root": "s3://bucket/x"}, serving={"spool_folder": "/srv/spool"})
    assert "SENTIMENT_SERVING__SPOOL_FOLDER" not in log_environment(chosen)


def test_every_server_logs_the_same_share_of_the_answers(settings: Settings) -> None:
    chosen = []
    for _ in range(2):
        log = PredictionLog(with_serving(settings, log_share=0.3))
        for number in range(2_000):
            log.record(answer(number))
        log.close()
        chosen.append(logged(settings))
        for path in Path(settings.storage.root, "landing", "predictions").iterdir():
            path.unlink()
    assert chosen[0] == chosen[1]
    assert 500 < len(chosen[0]) < 700
    assert (log.dropped, log.waiting) == (0, 0)


def test_answers_are_written_after_the_flush_time_without_closing(settings: Settings) -> None:
    log = PredictionLog(with_serving(settings))
    log.record(answer(1))
    assert until(lambda: log.written == 1)
    assert logged(settings) == ["r1"]
    log.close()


def test_many_answers_do_not_wait_for_the_flush_time(settings: Settings) -> None:
    log = PredictionLog(with_serving(settings, log_flush_seconds=3600))
    for number in range(sender.FILE_RECORDS):
        log.record(answer(number))
    assert until(lambda: log.waiting == 0)
    log.close()
    assert len(logged(settings)) == sender.FILE_RECORDS


def test_nothing_is_lost_while_the_storage_is_away_and_it_is_seen(settings: Settings) -> None:
    asked = with_serving(settings, log_queue=100)
    with storage_away(asked):
        log = PredictionLog(asked)
        for number in range(400):  # more than memory may hold
            log.record(answer(number))
            assert until(lambda: log.queued < 50)
        assert until(lambda: log.queued == 0)
        assert (log.waiting, log.dropped, log.written) == (400, 0, 0)
        assert log.spooled_bytes == sum(path.stat().st_size for path in spooled(asked)) > 0
        waited = log.oldest_seconds
        time.sleep(0.01)
        assert log.oldest_seconds > waited > 0
        assert len(spooled(asked)) <= 2, "the files grow while the storage is away, not their number"
    assert until(lambda: log.waiting == 0)
    assert logged(settings) == [f"r{number}" for number in range(400)]
    log.close()


def test_what_is_not_sent_at_the_end_is_sent_by_the_next_process(settings: Settings) -> None:
    asked = with_serving(settings)
    with storage_away(asked):
        first = PredictionLog(asked)
        first.record(answer(1))
        first.close(timeout=1)
        assert (first.dropped, first.waiting) == (0, 1)
    second = PredictionLog(asked)
    assert until(lambda: second.written == 1)
    second.close()
    assert logged(settings) == ["r1"]
    assert [path.name for path in Path(asked.serving.spool_folder).glob("predictions/*/*")] == ["lock"]


def test_of_two_processes_one_takes_over_what_a_killed_one_left_and_none_what_a_living_one_has(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "ADOPT_SECONDS", 0.02)
    asked = with_serving(settings)
    with storage_away(asked):
        dead, living = PredictionLog(asked), PredictionLog(asked)
        dead.record(answer(1))
        living.record(answer(2))
        assert until(lambda: dead.queued + living.queued == 0)
        killed(dead)
        assert until(lambda: living.waiting == 2)
        third = PredictionLog(asked)
        third.record(answer(3))
        time.sleep(0.1)
        assert (third.waiting, living.waiting) == (1, 2)
    living.close()
    third.close()
    assert (living.written, third.written) == (2, 1)
    assert logged(settings) == ["r1", "r2", "r3"]


def test_lines_that_are_not_whole_are_left_out_and_counted(settings: Settings) -> None:
    asked = with_serving(settings)
    with storage_away(asked):
        log = PredictionLog(asked)
        for number in range(4):
            log.record(answer(number))
        assert until(lambda: log.queued == 0)
        killed(log)
        (segment,) = spooled(asked)
        first, second, third, fourth, _ = segment.read_bytes().split(b"\n")
        second = second[:40] + bytes(8) + second[48:]  # a page that never reached the disk
        segment.write_bytes(b"\n".join([first, second, bytes(30), b"no sum at all", third, fourth[:-9]]))
    log = PredictionLog(asked)
    assert until(lambda: log.written == 2)
    log.close()
    assert logged(settings) == ["r0", "r2"]
    assert log.dropped == 4


def test_a_write_that_succeeded_unseen_is_not_doubled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = Storage.write, []

    def answer_lost(self: Storage, path: str, data: bytes) -> None:
        write(self, path, data)
        calls.append(path)
        if len(calls) == 1:
            raise OSError("the connection broke after the object was stored")

    monkeypatch.setattr(Storage, "write", answer_lost)
    log = PredictionLog(with_serving(settings))
    log.record(answer(1))
    assert until(lambda: log.written == 1)
    log.close()
    assert len(calls) == 2
    assert len(set(calls)) == 1
    assert logged(settings) == ["r1"]


def test_on_a_disk_with_too_much_the_oldest_are_dropped_and_counted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "FILE_BYTES", 2**20)
    asked = with_serving(settings, spool_bytes=2**24)
    with storage_away(asked):
        log = PredictionLog(asked)
        for number in range(300):
            log.record(answer(number, text="x" * 100_000))
            assert until(lambda: log.queued < 20)
        assert until(lambda: log.queued == 0)
        assert log.spooled_bytes <= 2**24
        assert log.dropped > 100
        assert log.waiting + log.dropped == 300
    log.close()
    kept = {int(name[1:]) for name in logged(settings)}
    first = kept & set(range(50))  # what was being sent cannot be dropped
    assert kept - first == set(range(300 - len(kept - first), 300))
    assert len(kept) == log.written == 300 - log.dropped


@contextmanager
def disk_full(*, size: int = 0) -> Iterator[None]:
    """No file of this process may grow beyond `size`: the kernel refuses as it does on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_fails_nothing_and_what_memory_holds_is_sent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, sent = with_serving(settings, log_queue=50), {}
    monkeypatch.setattr(Storage, "write", lambda _, path, data: sent.update({path: data}))  # a storage elsewhere
    log = PredictionLog(asked)
    with disk_full():
        for number in range(20):
            log.record(answer(number))
        assert until(lambda: log.written == 20)
    assert log.dropped == 0
    log.record(answer(20))
    assert until(lambda: log.written == 21)
    log.close()
    assert all(path.endswith(".parquet") for path in sent)


def test_a_disk_that_fills_in_the_middle_of_a_write_doubles_nothing(settings: Settings, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    lines = landing.framed(b"x" * 1_000)
    spool.append(lines, records=1, began=time.time())
    with disk_full(size=2_500), pytest.raises(OSError, match="too large"):
        spool.append(lines * 5, records=5, began=time.time())
    spool.append(lines, records=1, began=time.time())
    segment = spool.seal()
    assert segment is not None
    assert segment.lines() == ([b"x" * 1_000] * 2, 0)
    assert segment.path is not None
    assert segment.path.stat().st_size == segment.size
    spool.close()


def test_without_disk_and_storage_memory_is_bounded_and_the_newest_are_dropped(settings: Settings) -> None:
    asked = with_serving(settings, log_queue=5)
    with storage_away(asked):
        Path(asked.serving.spool_folder).write_text("in the way")
        log = PredictionLog(asked)
        for number in range(12):
            log.record(answer(number))
        assert (log.waiting, log.queued, log.dropped, log.spooled_bytes) == (5, 5, 7, 0)
        log.close(timeout=0.3)
        assert (log.waiting, log.dropped) == (0, 12)


def test_text_that_waits_in_memory_is_bounded_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "MAX_CHARACTERS", 100)
    monkeypatch.setattr(landing, "SPOOL_SECONDS", 3600)
    log = PredictionLog(with_serving(settings))
    for number in range(3):
        log.record(answer(number, text="x" * 45))
    assert (log.waiting, log.dropped) == (2, 1)
    log.close()
    assert logged(settings) == ["r0", "r1"]


def test_lines_that_no_disk_takes_count_as_memory_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "MAX_CHARACTERS", 3_000)
    asked = with_serving(settings)
    with storage_away(asked):
        Path(asked.serving.spool_folder).write_text("in the way")
        log = PredictionLog(asked)
        for number in range(8):
            log.record(answer(number, text="x" * 450))
            assert until(lambda: not log._queue), "they are lines, held or on their way to the storage"
        assert 2 <= log.waiting <= 4
        assert log.waiting + log.dropped == 8
        log.close(timeout=0.3)


def test_recording_does_not_wait_for_a_storage_or_a_disk_that_hangs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, release = threading.Event(), threading.Event()
    write = Storage.write

    def slow(self: Storage, path: str, data: bytes) -> None:
        writing.set()
        release.wait(30)
        write(self, path, data)

    monkeypatch.setattr(Storage, "write", slow)
    log = PredictionLog(with_serving(settings))
    log.record(answer(0))
    assert writing.wait(30)
    append, hangs = Spool.append, threading.Event()

    def hanging(self: Spool, lines: bytes, *, records: int, began: float) -> None:
        hangs.set()
        release.wait(30)
        append(self, lines, records=records, began=began)

    monkeypatch.setattr(Spool, "append", hanging)
    log.record(answer(1))
    assert hangs.wait(30)
    for number in range(2, 1_000):
        log.record(answer(number))
    assert log.waiting == 1_000, "all are taken while both threads stand still"
    release.set()
    log.close(timeout=30)
    assert (log.written, log.dropped) == (1_000, 0)


def test_an_answer_that_cannot_be_written_costs_no_other(settings: Settings) -> None:
    log = PredictionLog(with_serving(settings))
    log.record(answer(0))
    log.record(answer(1, label=object()))
    log.record(answer(2))
    log.close()
    assert logged(settings) == ["r0", "r2"]
    assert log.dropped == 1


def test_an_answer_after_closing_is_counted_as_dropped(settings: Settings) -> None:
    log = PredictionLog(settings)
    log.close()
    log.record(answer(1))
    assert log.dropped == 1


def test_only_the_owner_can_read_the_spool(settings: Settings) -> None:
    asked = with_serving(settings)
    with storage_away(asked):
        log = PredictionLog(asked)
        log.record(answer(1))
        assert until(lambda: log.queued == 0)
        (segment,) = spooled(asked)
        assert [path.stat().st_mode & 0o077 for path in (segment, segment.parent)] == [0, 0]
    log.close()
