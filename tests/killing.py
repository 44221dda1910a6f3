"""Kills ingestions at random moments: ``python killing.py FOLDER KILLS SEED`` prints what came of it as JSON.

The libraries are imported once; every ingestion is a fork of this process, which itself starts no thread.
"""

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from sentiment.reviews import ingest as ingest_module
from sentiment.reviews.feedback import Feedback, Verdicts
from sentiment.reviews.predictions import Predictions
from sentiment.reviews.table import Quarantine, Reviews
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

KILLS_A_ROOT = 6
MOMENTS = ["ingested_at", "quarantined_at", "decided_at"]


def fill(root: Path) -> None:
    """Deliver files that hold duplicates, conflicts and bad rows, within and between them, predictions and feedback."""
    inbox, landing, feedback = root / "inbox", root / "landing" / "predictions", root / "landing" / "feedback"
    (inbox / "set" / "pos").mkdir(parents=True)
    (inbox / "set" / "neg").mkdir()
    landing.mkdir(parents=True)
    feedback.mkdir()
    rows = [f"review {n % 280},{'pos' if n % 3 else 'neg'}" for n in range(300)]
    (inbox / "a.csv").write_text("\n".join(["text,label", *rows, ",pos", "hm,what", "Review 1,neg"]))
    rows = [f"REVIEW {n},{'pos' if n % 2 else 'neg'}" for n in range(200, 500)]
    (inbox / "b.csv").write_text("\n".join(["text,label", *rows]))
    for number in range(5):
        (inbox / "set" / "pos" / f"{number}.txt").write_text(f"a joy {number}")
        (inbox / "set" / "neg" / f"{number}.txt").write_text(f"a bore {number}")
        name = f"20260301T120000-{number:032x}.jsonl"
        answer = {"request_id": f"r{number}", "text": f"fine {number // 2}", "label": "positive", "score": 0.5}
        answer |= {"model_version": "1", "predicted_at": "2026-03-01T12:00:00+00:00"}
        (landing / name).write_text(json.dumps(answer) + "\n")
        said = {"request_id": f"r{number}", "label": "negative" if number == 1 else "positive", "comment": ""}
        said |= {"reporter": f"p{number}", "client": "c", "received_at": f"2026-03-01T12:00:0{number}+00:00"}
        (feedback / name).write_text(json.dumps(said) + "\n")


def settings_of(root: Path) -> Settings:
    """Settings with small batches, so that there are many moments to be killed at."""
    return load_settings(storage={"root": str(root)}, data={"batch_rows": 100, "settle_seconds": 0})


def ingest(root: Path) -> None:
    ingest_module.ingest(settings_of(root))


def state(root: Path) -> dict[str, Any]:
    """Everything that ingestion leaves behind, without the moments at which it did."""
    storage = Storage(settings_of(root))
    found: dict[str, Any] = {
        folder: sorted(str(path.relative_to(root)) for path in (root / folder).rglob("*") if path.is_file())
        for folder in ("inbox", "processed", "landing", "spool")
    }
    for table in (Reviews(storage), Quarantine(storage), Predictions(storage), Feedback(storage), Verdicts(storage)):
        rows = table.read().to_pandas()
        rows = rows.drop(columns=[name for name in MOMENTS if name in rows])
        found[table.name] = sorted(map(repr, rows.to_dict("records")))
    return found


def forked(work: Callable[[], Any], *, kill_after: float | None = None) -> tuple[bool, Any, float]:
    """Do work in a fork; kill it once it has used so many seconds of the processor, however busy the machine is.

    Return whether it ended by itself, what it returned, and the seconds it used.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as file:
                json.dump(work(), file)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    if kill_after is not None:
        process = psutil.Process(child)
        while process.status() != psutil.STATUS_ZOMBIE and sum(process.cpu_times()[:2]) < kill_after:
            time.sleep(0.003 * random.random())  # the clock of a process moves every hundredth of a second
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading) as file:
        said = file.read()
    _, status, used = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        return False, None, 0.0
    if status:
        sys.exit(f"an ingestion failed by itself: status {status}")
    return True, json.loads(said), used.ru_utime + used.ru_stime


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill so many ingestions, several on each root before one may end, and compare with a clean run."""
    moments = random.Random(seed)
    clean, whole = folder / "clean", float("inf")
    for root in (folder / "first", clean):  # the first imports more, which the others then need not
        fill(root)
        _, imported, used = forked(lambda root=root: (ingest(root), sorted(sys.modules))[1])
        whole = min(whole, used)
        for name in imported:
            with contextlib.suppress(ImportError):
                import_module(name)
    expected = forked(lambda: state(clean))[1]
    killed = roots = 0
    wrong = []
    while killed < kills:
        root = folder / str(roots)
        roots += 1
        fill(root)
        for _ in range(KILLS_A_ROOT):
            ended, *_ = forked(lambda root=root: ingest(root), kill_after=moments.uniform(0, whole))
            if ended:
                break
            killed += 1
        forked(lambda root=root: ingest(root))
        if forked(lambda root=root: state(root))[1] != expected:
            wrong.append(str(root))
    sys.stdout.write(json.dumps({"killed": killed, "roots": roots, "wrong": wrong, "rows": len(expected["reviews"])}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
