"""What the served Bento has answered survives its death, and a storage that is away meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from bentos import BuiltBentos
from landed import landed
from served import running

from sentiment.reviews.predictions import ingest_predictions, read_predictions
from sentiment.settings import load_settings
from sentiment.storage import Storage

pytestmark = pytest.mark.slow


def test_answers_given_while_the_storage_was_away_are_logged_after_the_server_was_killed(
    bentos: BuiltBentos, tmp_path: Path
) -> None:
    root, spool = tmp_path / "var", tmp_path / "spool"
    settings = load_settings(
        storage={"root": str(root)}, serving={"spool_folder": str(spool), "log_flush_seconds": 0.2}
    )
    root.write_text("a file where the folder should be")
    told = set()
    with running(bentos.first.path, tmp_path, settings) as served:
        for number in range(100):
            reply = served.client.post("/predict", json={"text": f"a fine film, number {number}, eve@example.org"})
            assert reply.status_code == 200
            told.add(reply.json()["request_id"])
        deadline = time.monotonic() + 20
        while sum(path.read_bytes().count(b"\n") for path in spool.rglob("*.lines")) < len(told):
            assert time.monotonic() < deadline, "not all is spooled"
            time.sleep(0.05)
        for process in served.service.family():
            process.kill()
    assert not any("eve@" in path.read_text() for path in spool.rglob("*.lines"))
    root.unlink()
    with running(bentos.first.path, tmp_path, settings):
        deadline = time.monotonic() + 30
        while len(landed(settings)) < len(told):
            assert time.monotonic() < deadline, "what was spooled is not sent"
            time.sleep(0.05)
    ingest_predictions(settings)
    rows = read_predictions(Storage(settings))
    assert sorted(rows["request_id"]) == sorted(told)
    assert list(spool.rglob("*.lines")) == []
