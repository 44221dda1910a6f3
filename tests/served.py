"""A built Bento, served by BentoML in a process of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sentiment.deployment.backend import environment
from sentiment.deployment.ports import free_port
from sentiment.settings import Settings
from sentiment.supervisor import Service


@dataclass(frozen=True)
class Served:
    client: httpx.Client
    service: Service
    settings: Settings


def serve(path: str, folder: Path, settings: Settings) -> tuple[Service, str]:
    port = free_port("127.0.0.1")
    service = Service(
        "the Bento",
        [sys.executable, "-m", "bentoml", "serve", path, "--host", "127.0.0.1", "--port", str(port)],
        log_path=folder / "bento.log",
        env={
            **environment(settings),
            "BENTOML_HOME": str(folder / "home"),
            "BENTOML_DO_NOT_TRACK": "True",
            "OTEL_SDK_DISABLED": "true",
        },
    )
    service.start()
    return service, f"http://127.0.0.1:{port}"


def refusal(path: str, folder: Path, settings: Settings) -> str:
    """Return the last lines of a Bento that must not start."""
    service, _ = serve(path, folder, settings)
    try:
        deadline = time.monotonic() + 60
        while service.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert service.exit_code not in (None, 0)
        return service.last_lines(30)
    finally:
        service.stop()


def wait_ready(client: httpx.Client, service: Service, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        service.check_alive()
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"not ready in {seconds} s:\n{service.last_lines()}")


@contextmanager
def running(path: str, folder: Path, settings: Settings) -> Iterator[Served]:
    """A Bento that is ready, until the end of the block."""
    service, url = serve(path, folder, settings)
    try:
        with httpx.Client(base_url=url, timeout=10) as client:
            wait_ready(client, service)
            yield Served(client, service, settings)
    finally:
        service.stop()
