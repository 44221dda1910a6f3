"""What `benchmarks.serving` compares: our Bento, started as `sentiment deploy` starts it, and a plain server.

Both models learn from the same reviews. Ours goes the way of every model here: ingested, trained, registered, packaged.
"""

import asyncio
import os
import pickle
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import psutil
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks.model import read
from sentiment.deployment.backend import Bento
from sentiment.deployment.ports import free_port
from sentiment.deployment.state import DeploymentFiles, Wanted
from sentiment.packaging import package
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.settings import Settings, load_settings
from sentiment.supervisor import Service
from sentiment.training.train import train

READY_SECONDS = 120


@dataclass(frozen=True)
class Server:
    """One that runs."""

    name: str
    port: int
    pid: int
    started: float
    seconds_to_ready: float
    log: Path

    def family(self) -> list[psutil.Process]:
        """Return its processes, the leading one first."""
        leader = psutil.Process(self.pid)
        return [leader, *leader.children(recursive=True)]

    def cpu(self) -> float:
        """Return the CPU seconds its processes have taken."""
        return sum(times.user + times.system for times in (process.cpu_times() for process in self.family()))

    def memory(self) -> list[float]:
        """Return the resident MB of each of its processes, the leading one first."""
        return [process.memory_info().rss / 1e6 for process in self.family()]


def prepare(folder: Path, reviews: Path) -> Settings:
    """Register our model and pickle the plain one, unless the folder holds them."""
    settings = load_settings(storage={"root": str(folder / "var")})
    if not (folder / "plain.pickle").is_file():
        ingest(settings, paths=[reviews])
        registry = Registry(settings)
        registry.register(train(settings, registry=registry), decision="promote")
        plain = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1_000))
        (folder / "plain.pickle").write_bytes(pickle.dumps(plain.fit(*read(reviews))))
    return settings


@contextmanager
def ours(settings: Settings, **serving: object) -> Iterator[Server]:
    """Serve the Bento of the newest version in the released way, with settings of the section `serving` changed."""
    made = package(settings, Registry(settings), "1")
    changed = load_settings(storage={"root": settings.storage.root}, serving=serving)
    wanted = Wanted(uuid.uuid4().hex, made.tag, made.path, made.model_version, "")
    bento = Bento(changed, DeploymentFiles(changed), wanted)
    started = time.perf_counter()
    asyncio.run(bento.start(given_up=lambda: False))
    try:
        seconds = time.perf_counter() - started
        log = DeploymentFiles(changed).logs / f"bento-{made.version}.log"
        yield Server("ours", bento.port, bento.pid, psutil.Process(bento.pid).create_time(), seconds, log)
    finally:
        asyncio.run(bento.stop())


@contextmanager
def plain(folder: Path) -> Iterator[Server]:
    """Serve the plain pipeline with FastAPI and uvicorn."""
    port = free_port("127.0.0.1")
    command = [
        "uvicorn",
        "benchmarks.plain_server:app",
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "warning",
    ]
    with _running("plain", command, port, folder / "plain.log", {"MODEL": str(folder / "plain.pickle")}) as server:
        yield server


@contextmanager
def _running(name: str, module: list[str], port: int, log: Path, env: Mapping[str, str]) -> Iterator[Server]:
    """Run a Python module that serves on a port until it is left."""
    service = Service(name, [sys.executable, "-m", *module], log_path=log, env=env)
    started = time.perf_counter()
    service.start()
    try:
        while not _answers(port):
            service.check_alive()
            if time.perf_counter() - started > READY_SECONDS:
                raise TimeoutError(f"{name} is not ready after {READY_SECONDS} s:\n{service.last_lines()}")
            time.sleep(0.05)
        pid = service.pid or 0
        yield Server(name, port, pid, psutil.Process(pid).create_time(), time.perf_counter() - started, log)
    finally:
        service.stop()


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def in_fresh_process(code: str, folder: Path) -> list[float]:
    """Run Python code in a process of its own and return the numbers it prints."""
    env = {**os.environ, "OTEL_SDK_DISABLED": "true", "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]
