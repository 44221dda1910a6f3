"""Kills servers that log: ``python killing_log.py FOLDER KILLS SEED`` prints what came of it as JSON.

Two processes at a time answer, one as fast as the log takes it, one 500 times a second, and tell their caller each
request id through a pipe; the storage fails now and then, before a write and after it. They are killed at random
moments, others take over what they left, and what was told is compared with the table. Every process is a fork of this
one, which starts no thread.
"""

import contextlib
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from sentiment.reviews.predictions import ingest_predictions, read_predictions
from sentiment.serving import landing, sender
from sentiment.serving.predictions import Answer, PredictionLog
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

QUEUE = 300
AT_ONCE = 2
TEXTS = ["fine", "caf\u00e9 \u4f60\u597d\n", "mail a@b.example, call +49 30 1234567 ", '"\\\x00\ud800']
SERVES_SECONDS = 0.5  # at the most, before it is killed


def settings_of(folder: Path) -> Settings:
    serving = {"spool_folder": str(folder / "spool"), "log_flush_seconds": 0.05, "log_queue": QUEUE}
    return load_settings(storage={"root": str(folder / "root")}, serving=serving)


def make_storage_fail(chance: random.Random) -> None:
    write = Storage.write

    def now_and_then(self: Storage, path: str, data: bytes) -> None:
        if chance.random() < 0.2:
            raise OSError("refused")
        write(self, path, data)
        if chance.random() < 0.1:
            raise OSError("the answer got lost")

    Storage.write = now_and_then  # type: ignore[method-assign]


def serve(folder: Path, process: int, seed: int, told: int) -> None:
    """Answer until killed; what has been recorded is told afterwards, as a caller gets an answer."""
    chance = random.Random(seed)
    make_storage_fail(chance)
    sender.ADOPT_SECONDS, sender.FIRST_RETRY_SECONDS, landing.FILE_RECORDS = 0.05, 0.02, 100
    log = PredictionLog(settings_of(folder))
    number = 0
    while True:
        if log.queued >= QUEUE - 1:
            time.sleep(0.001)
            continue
        text = chance.choice(
            ["fine", "caf\u00e9 \u4f60\u597d\n", "mail a@b.example, call +49 30 1234567 ", '"\\\x00\ud800']
        )
        text *= 2_000 if chance.random() < 0.01 else chance.choice([1, 1, 30])
        name = f"{process}-{number}"
        log.record(Answer(name, text, "positive", 0.5, {"positive": 0.5}, "1", datetime.now(UTC)))
        if log.dropped:
            os._exit(3)
        os.write(told, f"{name} {time.monotonic_ns()}\n".encode())
        number += 1
        if process % AT_ONCE:
            time.sleep(0.002)


def started(work: Callable[[int], Any]) -> tuple[int, int]:
    """Return the process id of a fork that does some work, and where to read what it writes."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.close(reading)
        work(writing)
        os._exit(0)
    finally:
        os._exit(1)


def ended(work: Callable[[], Any]) -> Any:
    """Return what a fork returned that may end by itself."""
    child, reading = started(lambda writing: os.write(writing, json.dumps(work()).encode()) and None)
    with os.fdopen(reading) as file:
        said = file.read()
    if os.waitpid(child, 0)[1]:
        sys.exit("a process failed by itself")
    return json.loads(said)


def killed(servers: list[tuple[int, int]], seconds: float) -> list[tuple[list[str], list[int], int]]:
    """Listen to servers, kill all of them in a moment; return of each what it told, when, and when it was killed."""
    heard = {reading: b"" for _, reading in servers}
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for reading in select.select(list(heard), [], [], left)[0]:
            heard[reading] += os.read(reading, 65_536)
    ends = {}
    for child, reading in servers:
        os.kill(child, signal.SIGKILL)
        ends[reading] = time.monotonic_ns()
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            sys.exit(f"a server ended by itself: status {status}")
    found = []
    for reading, data in heard.items():
        with os.fdopen(reading, "rb") as file:
            data += file.read()
        lines = [line.split() for line in data.decode().splitlines() if line]
        found.append(([name for name, _ in lines], [int(at) for _, at in lines], ends[reading]))
    return found


def drain(folder: Path) -> int:
    """Let one more process take over all that is left, and stop it cleanly."""
    log = PredictionLog(settings_of(folder))
    deadline = time.monotonic() + 60
    while (any((folder / "spool").rglob("*.lines")) or log.waiting) and time.monotonic() < deadline:
        time.sleep(0.01)
    log.close()
    return log.dropped


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill so many servers, and say what is in the table that should not be, and what is not that should."""
    chance, told = random.Random(seed), []
    while len(told) < kills:
        servers = [
            started(lambda writing, number=number: serve(folder, number, seed + number, writing))
            for number in range(len(told), len(told) + AT_ONCE)
        ]
        told += killed(servers, chance.uniform(0.05, SERVES_SECONDS))
        if chance.random() < 0.3:
            ended(lambda: ingest_predictions(settings_of(folder)))
    torn = ended(lambda: drain(folder))
    table = ended(
        lambda: (
            ingest_predictions(settings_of(folder)),
            read_predictions(Storage(settings_of(folder)))[["request_id", "text"]].values.tolist(),
        )[1]
    )
    there = {name for name, _ in table}
    lost = [[place for place, name in enumerate(names) if name not in there] for names, _, _ in told]
    steady = list(zip(lost, told, strict=True))[1::AT_ONCE]
    ages = [(end - times[places[0]]) / 1e6 if places else 0.0 for places, (_, times, end) in steady]
    report = {
        "killed": len(told),
        "told": sum(len(names) for names, _, _ in told),
        "rows": len(table),
        "twice": len(table) - len(there),
        "lost": sum(map(len, lost)),
        "most_lost": max(map(len, lost)),
        "torn": torn,
        "not_the_last": sum(
            places != list(range(len(names) - len(places), len(names)))
            for places, (names, _, _) in zip(lost, told, strict=True)
        ),
        "steady": {  # of those that did not answer as fast as they could
            "median_lost": median(map(len, lost[1::AT_ONCE])),
            "most_lost": max(map(len, lost[1::AT_ONCE])),
            "median_oldest_lost_ms": median(ages),
            "oldest_lost_ms": max(ages),
        },
        "personal": sum("a@b.example" in text for _, text in table),
        "rejected": len(list((folder / "root" / "landing").rglob("rejected/*"))),
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
