"""Child processes that never outlive their parent: start, wait until healthy, tell why they died, stop."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

import psutil

from sentiment.errors import ServiceError

log = logging.getLogger(__name__)

# Asks Linux for a SIGTERM when the parent is gone, however it went, and then becomes the program.
_TIED = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"  # 1 is PR_SET_PDEATHSIG
    "os.getppid() == int(sys.argv[1]) or sys.exit(143)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


class Service:
    """One supervised process with its log file.

    Parameters
    ----------
    name : str
        How people call it.
    command : sequence of str
        Program and arguments.
    log_path : Path
        Receives what it prints; kept over restarts.
    env : mapping, optional
        Added to this process's environment.
    healthy : callable, optional
        Tells whether it is ready; a service without one is ready when it runs.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        healthy: Callable[[], bool] | None = None,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._command = list(command)
        self._env = dict(env or {})
        self._healthy = healthy
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> None:
        """Start the process in a session of its own; on Linux it gets SIGTERM even if this process is killed."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                _tied(self._command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._env},
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """Process id, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """Exit status, once it has ended."""
        return self._process.poll() if self._process else None

    def is_healthy(self) -> bool:
        """Whether it runs and answers.

        Raises
        ------
        ServiceError
            It has ended.
        """
        self.check_alive()
        return self._healthy is None or self._healthy()

    def check_alive(self) -> None:
        """Raise `ServiceError` with its last lines if it has ended."""
        if self.exit_code is not None:
            raise ServiceError(
                f"{self.name} ended with status {self.exit_code}. Its last lines:\n{self.last_lines()}\n",
                fix=f"The whole log: {self.log_path}",
            )

    def last_lines(self, count: int = 15) -> str:
        """Return the last lines it printed since it was started, indented."""
        with contextlib.suppress(OSError), self.log_path.open("rb") as output:
            output.seek(max(self._log_start, output.seek(0, os.SEEK_END) - 20_000))
            lines = output.read().decode(errors="replace").splitlines()[-count:]
            return "\n".join(f"    {line}" for line in lines)
        return "    (no log)"

    def stop(self, *, grace_seconds: float = 10) -> None:
        """Stop it."""
        stop_all([self], grace_seconds=grace_seconds)

    def family(self) -> list[psutil.Process]:
        """Return the process and everything it started that still runs, in any session."""
        if self._process is None:
            return []
        found: list[psutil.Process] = []
        for candidate in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getsid(candidate.pid) == self._process.pid:
                    found.append(candidate)
        for member in list(found):
            with contextlib.suppress(psutil.Error):
                found.extend(child for child in member.children(recursive=True) if child not in found)
        return found


def _tied(command: Sequence[str]) -> list[str]:
    """Return a command that starts `command` tied to the life of this process, where the system can do that."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]


def stop_all(services: Sequence[Service], *, grace_seconds: float = 10) -> None:
    """Ask the services to end, and end by force whatever of them is left after the grace time."""
    families = [process for service in services for process in service.family()]
    for service in services:
        if service.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(service.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(families, timeout=grace_seconds)
    late = {process for service in services for process in service.family()} | set(alive)
    for process in late:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(list(late), timeout=5)
    for service in services:
        if service._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                service._process.wait(timeout=5)


def wait_healthy(
    services: Sequence[Service],
    *,
    timeout_seconds: float,
    on_healthy: Callable[[Service], None] | None = None,
) -> None:
    """Wait until all services answer.

    Raises
    ------
    ServiceError
        One ended, or does not answer in time; with its last lines.
    """
    deadline = time.monotonic() + timeout_seconds
    waiting = list(services)
    while waiting:
        for service in list(waiting):
            if service.is_healthy():
                waiting.remove(service)
                if on_healthy:
                    on_healthy(service)
        if waiting and time.monotonic() > deadline:
            late = waiting[0]
            raise ServiceError(
                f"{late.name} did not become healthy in {timeout_seconds:.0f} s. Its last lines:\n"
                f"{late.last_lines()}\n",
                fix=f"The whole log: {late.log_path}",
            )
        time.sleep(0.2)


class Terminated(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP arrived; not an `Exception`, so that only cleaning up catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def raise_on_termination() -> None:
    """Make Ctrl-C, SIGTERM and SIGHUP unwind this process, so that every `finally` runs."""

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise Terminated(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, unwind)
