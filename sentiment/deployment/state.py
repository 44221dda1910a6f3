"""What the local deployment writes down: what shall be served, what is, and who serves it.

``deployment/desired.json`` is written by whoever deploys, ``deployment/status.json`` by the daemon, each
replaced as a whole. The daemon holds ``deployment/daemon.lock`` as long as it lives.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from sentiment.errors import ServiceError, storage_errors
from sentiment.settings import Settings

IDLE, STARTING, SERVING, FAILED, STOPPED = "idle", "starting", "serving", "failed", "stopped"


@dataclass(frozen=True)
class Wanted:
    """A release that somebody asked for."""

    id: str
    tag: str
    path: str
    model_version: str
    requested_at: str


@dataclass(frozen=True)
class Status:
    """What the local deployment does.

    Attributes
    ----------
    state : str
        ``idle``, ``starting``, ``serving``, ``failed`` (the last wanted release did not start; the one before
        it, if any, still serves) or ``stopped``.
    url : str
        Where the API answers.
    release : Wanted or None
        What is served, or was last.
    failed : Wanted or None
        The release that did not start.
    error : str
        Why, with its last log lines.
    pid : int
        The daemon.
    bento_pid, bento_port : int
        The process that answers for the release; 0 if there is none.
    bento_started : float
        When that process was started, in seconds since 1970.
    alive : bool
        Whether the daemon runs.
    """

    state: str = IDLE
    url: str = ""
    release: Wanted | None = None
    failed: Wanted | None = None
    error: str = ""
    pid: int = 0
    bento_pid: int = 0
    bento_port: int = 0
    bento_started: float = 0.0
    alive: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the status as JSON types."""
        return asdict(self)


class DeploymentFiles:
    """The files of the local deployment of one platform."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.local_dir / "deployment"
        self.logs = settings.local_dir / "log"
        with storage_errors(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(parents=True, exist_ok=True)

    @property
    def runs(self) -> Path:
        """Folder with one BentoML home for each Bento that is being served."""
        return self.folder / "run"

    @property
    def _lock(self) -> Path:
        return self.folder / "daemon.lock"

    def wanted(self) -> Wanted | None:
        """Return what shall be served; None before the first deployment."""
        return _wanted(self._read("desired.json"))

    def want(self, wanted: Wanted) -> None:
        """Ask for a release."""
        self._write("desired.json", asdict(wanted))

    def status(self) -> Status:
        """Return what the daemon last wrote, and whether it runs."""
        found = self._read("status.json") or {}
        for name in ("release", "failed"):
            found[name] = _wanted(found.get(name))
        status, pid = Status(**found), self.daemon_pid()
        if pid and status.pid == pid:
            return replace(status, alive=True)
        if pid:  # it has just started; what is written is from the one before
            return replace(status, state=IDLE, url="", pid=pid, alive=True)
        return replace(status, state=STOPPED if found.get("state") else IDLE, pid=0, alive=False)

    def report(self, status: Status) -> None:
        """Write what the daemon does."""
        self._write("status.json", status.to_dict())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one daemon.

        Raises
        ------
        ServiceError
            Another one runs on this folder.
        """
        with storage_errors(str(self._lock)), self._lock.open("a+") as lock:
            try:
                take(lock)
            except BlockingIOError as error:
                raise ServiceError(
                    f"A deployment daemon (process {holder(self._lock)}) already serves {self.folder}.",
                    fix="Use it, or stop it first: `sentiment down`.",
                ) from error
            yield

    def daemon_pid(self) -> int:
        """Return the process id of the daemon, or 0 if none runs."""
        return holder(self._lock)

    def _read(self, name: str) -> dict[str, Any] | None:
        with suppress(FileNotFoundError, ValueError):  # none yet, or damaged: as if none
            found = json.loads((self.folder / name).read_text())
            return found if isinstance(found, dict) else None
        return None

    def _write(self, name: str, content: dict[str, Any]) -> None:
        path = self.folder / name
        with storage_errors(str(path)):
            descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{name}.")
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump(content, file, indent=2)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise


def _wanted(found: dict[str, Any] | None) -> Wanted | None:
    with suppress(TypeError):
        return Wanted(**found) if found else None
    return None


def take(lock: IO[str]) -> None:
    """Lock a file and write this process's id into it, waiting only for those who just look (`holder`).

    Raises
    ------
    BlockingIOError
        Another process holds it.
    """
    for attempt in range(10):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if attempt == 9:
                raise
            time.sleep(0.05)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


def holder(path: Path) -> int:
    """Return the id of the process that holds a lock file, or 0 if none does."""
    try:
        with path.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return 0
    except BlockingIOError:
        with suppress(OSError, ValueError):
            return int(path.read_text())
    return 0
