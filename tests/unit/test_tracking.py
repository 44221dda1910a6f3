"""MLflow's database is there whole or not at all."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sentiment import tracking
from sentiment.registry import Registry
from sentiment.settings import Settings
from sentiment.tracking import ensure_database


def test_a_first_start_that_was_killed_does_not_harm_the_next(
    settings: Settings, mlflow_database: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_build", mlflow_database)
    folder = Path(settings.local_dir, "mlflow")
    code = f"from sentiment.tracking import ensure_database; ensure_database({settings.tracking_uri!r})"
    with subprocess.Popen([sys.executable, "-c", code]) as first:
        while not list(folder.glob(".new-*/mlflow.db")):
            assert first.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        first.kill()
    assert not (folder / "mlflow.db").exists()
    assert Registry(settings).versions() == []
    assert (folder / "mlflow.db").exists()


def test_a_server_has_a_database_of_its_own(tmp_path: Path) -> None:
    ensure_database("http://127.0.0.1:5000")
    assert list(tmp_path.iterdir()) == []
