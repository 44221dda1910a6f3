"""A real ``mlflow server`` as a process that can be killed and started again, and a guard in front of it.

The guard asks for credentials, as a company's proxy does, and lets requests go wrong as `faults` describes.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from faults import _Handler, _Proxy

from sentiment.deployment.ports import free_port
from sentiment.tracking import ensure_database

USER, PASSWORD, TOKEN = "ada", "correct-horse", "a-long-token"


class MlflowServer:
    """An ``mlflow server`` on SQLite that hands out its artifacts itself, as a remote one does."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._process = folder, None
        self.url = f"http://127.0.0.1:{free_port('127.0.0.1')}"
        self._database = f"sqlite:///{folder / 'mlflow.db'}"
        ensure_database(self._database)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        port = self.url.rpartition(":")[2]
        command = [sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port]
        command += ["--workers", "1", "--backend-store-uri", self._database]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        env = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        env |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill it with its workers, without a word."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).is_success
        except httpx.HTTPError:
            return False


class Guard(_Proxy):
    """A proxy in front of the server; with `closed`, only for those who know a user's password or the token."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.RequestHandlerClass = _Guarded
        self.closed = False
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.welcome = {f"Basic {basic}", f"Bearer {TOKEN}"}
        self.greeted: set[str] = set()


class _Guarded(_Handler):
    server: Guard

    def _serve(self) -> None:
        said = self.headers.get("Authorization", "")
        self.server.greeted.add(said.partition(" ")[0])
        if not self.server.closed or said in self.server.welcome:
            super()._serve()
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._reply(401, {"WWW-Authenticate": "Basic"}, b"You are not authenticated.")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    """Run a server; it is killed at the end."""
    server = MlflowServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def guarded(upstream: str) -> Iterator[Guard]:
    """Run a guard in front of a server."""
    guard = Guard(upstream)
    serving = threading.Thread(target=guard.serve_forever, args=(0.02,), daemon=True)
    serving.start()
    try:
        yield guard
    finally:
        guard.shutdown()
        guard.server_close()
