"""One address, versions that change behind it, and no request that fails because of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from bentos import BuiltBentos, altered
from landed import landed

from sentiment.deployment import deploy, free_port, status, stop
from sentiment.deployment.backend import environment
from sentiment.deployment.state import DeploymentFiles
from sentiment.errors import ServiceError
from sentiment.ledger import Ledger
from sentiment.serving.keys import create
from sentiment.settings import ServingSettings, Settings, load_settings
from sentiment.storage import Storage

PROCESSES = 3  # the daemon, and the leader and the worker of one Bento

pytestmark = pytest.mark.slow


def settings_in(folder: Path) -> Settings:
    return load_settings(
        storage={"root": str(folder / "var")},
        platform={"api_port": free_port("127.0.0.1")},
        deployment={"ready_timeout_seconds": 60, "drain_seconds": 5},
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings under which the tests of this module deploy, one after the other, to one daemon."""
    settings = settings_in(tmp_path_factory.mktemp("running"))
    try:
        yield settings
    finally:
        stop(settings)


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def family(settings: Settings) -> list[psutil.Process]:
    """The daemon and everything it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        daemon = psutil.Process(status(settings).pid)
        return [daemon, *daemon.children(recursive=True)]
    return []


def left(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=0.5)
    return alive


def start_daemon(settings: Settings) -> subprocess.Popen[bytes]:
    """Start the daemon as the platform does: as a child."""
    return subprocess.Popen(
        [sys.executable, "-m", "sentiment.deployment.local"],
        env={**os.environ, **environment(settings)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )


def version_at(url: str) -> str:
    reply = httpx.post(f"{url}/predict", json={"text": "a wonderful film"}, timeout=10)
    return str(reply.raise_for_status().json()["model_version"])


class Load:
    """Clients that ask without a pause over connections that stay open."""

    def __init__(self, url: str, clients: int = 3) -> None:
        self.versions: list[str] = []
        self.failures: list[str] = []
        self._url, self._stop = url, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stop.is_set():
                try:
                    reply = client.post("/predict", json={"text": "a wonderful film"})
                    self.versions.append(reply.raise_for_status().json()["model_version"])
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    self.failures.append(repr(error))


def test_a_bento_is_deployed_and_its_answers_are_logged(running: Settings, bentos: BuiltBentos) -> None:
    release = deploy(running, bentos.first)
    assert (release.tag, release.model_version) == (bentos.first.tag, "1")
    assert release.url == f"http://127.0.0.1:{running.platform.api_port}"
    answer = httpx.post(f"{release.url}/predict", json={"text": "a superb story"}).json()
    assert (answer["label"], answer["model_version"]) == ("positive", "1")

    assert until(lambda: bool(landed(running)), 10)
    (line,) = landed(running)
    assert line["request_id"] == answer["request_id"]

    now = status(running)
    assert (now.state, now.alive, now.url) == ("serving", True, release.url)
    assert now.release is not None
    assert now.release.tag == bentos.first.tag


def test_deploying_what_serves_changes_nothing(running: Settings, bentos: BuiltBentos) -> None:
    before = deploy(running, bentos.first)
    pid = status(running).bento_pid
    again = deploy(running, bentos.first)
    assert again.id == before.id
    assert status(running).bento_pid == pid


def test_versions_change_under_load_without_a_failed_request(running: Settings, bentos: BuiltBentos) -> None:
    url = deploy(running, bentos.first).url
    with Load(url) as load:
        assert until(lambda: len(load.versions) > 50)
        release = deploy(running, bentos.second)
        assert release.previous == bentos.first.tag
        assert release.url == url
        mark = len(load.versions)
        assert until(lambda: len(load.versions) > mark + 100)
        answered = list(load.versions[mark + 10 :])
        deploy(running, bentos.first)
        assert until(lambda: load.versions[-1] == "1")
    assert load.failures == []
    assert set(answered) == {"2"}
    assert until(lambda: len(family(running)) == PROCESSES)


def test_a_bento_that_cannot_start_leaves_the_old_one_serving_and_says_why(
    running: Settings, bentos: BuiltBentos, tmp_path: Path
) -> None:
    url = deploy(running, bentos.first).url
    pid = status(running).bento_pid
    shutil.copytree(bentos.second.path, tmp_path / "bad")
    shutil.copyfile(Path(bentos.first.path) / "src/model/scorer.npz", tmp_path / "bad/src/model/scorer.npz")
    with pytest.raises(ServiceError, match="IntegrityError") as caught:
        deploy(running, altered(bentos.second, tmp_path / "bad", "sentiment:bad"))
    assert f"{bentos.first.tag} still serves" in str(caught.value)

    now = status(running)
    assert (now.state, now.bento_pid) == ("failed", pid)
    assert now.failed is not None
    assert now.failed.tag == "sentiment:bad"
    assert "IntegrityError" in now.error
    assert version_at(url) == "1"
    with pytest.raises(ServiceError, match="not a Bento"):
        deploy(running, altered(bentos.second, tmp_path / "nowhere", "sentiment:nowhere"))
    assert version_at(url) == "1"
    told = [e for e in Ledger(Storage(running)).entries() if e.event in ("canary", "deployed")]
    assert [(e.event, e.detail.get("verdict")) for e in told[-2:]] == [("canary", "failed")] * 2
    assert told[-2].reason.startswith("failed: sentiment:bad was not released.")


def test_a_bento_that_dies_is_started_again(running: Settings, bentos: BuiltBentos) -> None:
    url = deploy(running, bentos.first).url
    pid = status(running).bento_pid
    leader = psutil.Process(pid)
    workers = leader.children(recursive=True)
    assert workers
    leader.kill()
    assert until(lambda: status(running).bento_pid not in (0, pid))
    assert until(lambda: status(running).state == "serving")
    assert version_at(url) == "1"
    assert left(workers) == []


def test_a_second_daemon_on_the_same_folder_is_refused(running: Settings, bentos: BuiltBentos) -> None:
    deploy(running, bentos.first)
    second = subprocess.run(
        [sys.executable, "-m", "sentiment.deployment.local"],
        env={**os.environ, **environment(running)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == ServiceError.exit_code
    assert "already serves" in second.stderr
    assert "Traceback" not in second.stderr
    assert status(running).state == "serving"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_new_daemon_serves_what_the_last_one_did_and_the_end_leaves_no_process(
    bentos: BuiltBentos, tmp_path: Path, end: signal.Signals
) -> None:
    settings = settings_in(tmp_path)
    with socket.create_server(("127.0.0.1", settings.platform.api_port)):  # the wanted port is taken
        first = start_daemon(settings)
        try:
            assert until(lambda: status(settings).state == "idle" and bool(status(settings).url))
            url = status(settings).url
            assert url != f"http://127.0.0.1:{settings.platform.api_port}"
            refusal = httpx.post(f"{url}/predict", json={"text": "too early"})
            assert refusal.status_code == 503
            assert refusal.json()["detail"].startswith("no release yet")
            deploy(settings, bentos.first)
            processes = family(settings)
            assert len(processes) == PROCESSES
        finally:
            first.send_signal(end)
            first.wait(timeout=40)
    if end == signal.SIGTERM:
        assert first.returncode == 0
        assert left(processes) == []
    assert not status(settings).alive

    second = start_daemon(settings)
    try:
        assert until(lambda: status(settings).state == "serving" and status(settings).alive)
        assert version_at(status(settings).url) == "1"
        assert left(processes) == []  # also what a killed daemon had to leave behind
        processes = family(settings)
        assert len(processes) == PROCESSES
    finally:
        second.terminate()
        second.wait(timeout=40)
    assert left(processes) == []
    assert status(settings).state == "stopped"


def test_a_daemon_that_cannot_start_is_reported_with_its_last_lines(bentos: BuiltBentos, tmp_path: Path) -> None:
    settings = load_settings(storage={"root": str(tmp_path / "var")}, platform={"host": "203.0.113.7"})
    with pytest.raises(ServiceError, match=r"203\.0\.113\.7 is not an address of this machine"):
        deploy(settings, bentos.first)
    assert not status(settings).alive


def test_stopping_when_nothing_runs_says_so(settings: Settings) -> None:
    assert stop(settings) is False
    assert status(settings).alive is False


def test_a_damaged_state_file_is_as_if_there_were_none(settings: Settings) -> None:
    files = DeploymentFiles(settings)
    for name in ("desired.json", "status.json"):
        (files.folder / name).write_text('{"id": "half')
    assert files.wanted() is None
    assert files.status().release is None
    (files.folder / "desired.json").write_text('{"unknown": 1}')
    assert files.wanted() is None


def test_with_keys_each_bento_still_proves_itself_and_nobody_else_gets_in(bentos: BuiltBentos, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = create(file, name="shop").key
    base = settings_in(tmp_path)
    settings = base.model_copy(update={"serving": ServingSettings(keys_file=str(file))})
    try:
        url = deploy(settings, bentos.first).url
        assert httpx.post(f"{url}/predict", json={"text": "fine"}, timeout=10).status_code == 401
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.post(f"{url}/predict", json={"text": "fine"}, headers=headers, timeout=10).status_code == 200
    finally:
        stop(settings)
