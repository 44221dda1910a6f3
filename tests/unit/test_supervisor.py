"""Supervised processes start, are told apart when they fail, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sentiment.errors import ServiceError
from sentiment.supervisor import Service, stop_all, wait_healthy

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARENT = (
    "import subprocess, sys, time; "
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], process_group=0); "
    "print('up', flush=True); time.sleep(60)"
)


def service(tmp_path: Path, code: str) -> Service:
    log = tmp_path / "service.log"
    return Service(
        "test service",
        [sys.executable, "-c", code],
        log_path=log,
        healthy=lambda: "up" in log.read_text(),
    )


def test_a_service_that_dies_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    found = service(tmp_path, "print('reading the settings'); raise SystemExit('no such table: reviews')")
    found.start()
    with pytest.raises(ServiceError, match=r"(?s)ended with status 1.*no such table: reviews"):
        wait_healthy([found], timeout_seconds=10)


def test_a_service_that_never_answers_is_reported(tmp_path: Path) -> None:
    found = service(tmp_path, "import time; print('starting'); time.sleep(60)")
    found.start()
    try:
        with pytest.raises(ServiceError, match="did not become healthy"):
            wait_healthy([found], timeout_seconds=1)
    finally:
        found.stop()


@pytest.mark.parametrize("code", [STUBBORN, PARENT], ids=["ignores SIGTERM", "has children in other groups"])
def test_stopping_leaves_nothing_behind(tmp_path: Path, code: str) -> None:
    found = service(tmp_path, code)
    found.start()
    wait_healthy([found], timeout_seconds=10)
    family = found.family()
    assert family
    stop_all([found], grace_seconds=1)
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(
            signal.SIGKILL, marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the children")
        ),
    ],
)
def test_the_end_of_the_parent_ends_the_children(tmp_path: Path, number: signal.Signals) -> None:
    """A supervisor that is told to end unwinds, so that its `finally` stops what it started; killed, it cannot."""
    pid_file = tmp_path / "pid"
    code = f"""
import sys, time
from pathlib import Path
from sentiment.supervisor import Service, raise_on_termination
raise_on_termination()
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
child = Service("child", sleep, log_path=Path({str(tmp_path / "log")!r}))
child.start()
try:
    Path({str(pid_file)!r}).write_text(str(child.pid))
    time.sleep(60)
finally:
    child.stop()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while not (pid_file.exists() and pid_file.read_text()):
        time.sleep(0.05)
    child = psutil.Process(int(pid_file.read_text()))
    os.kill(parent.pid, number)
    parent.wait(timeout=15)
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
