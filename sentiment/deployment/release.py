"""Asking for a release and waiting until it serves: in a cluster, or by the daemon of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psutil

from sentiment.deployment.backend import end_left_over, environment
from sentiment.deployment.state import FAILED, SERVING, DeploymentFiles, Status, Wanted
from sentiment.errors import ServiceError
from sentiment.ledger import Ledger
from sentiment.packaging import BentoPackage
from sentiment.settings import Settings
from sentiment.storage import Storage

POLL_SECONDS = 0.1
DAEMON_SECONDS = 30  # to start, or to stop once its requests are done
_daemons: list[subprocess.Popen[bytes]] = []  # outlive this process; reaped if they end before it


@dataclass(frozen=True)
class Release:
    """A Bento that serves.

    Attributes
    ----------
    url : str
        Where it answers; in a cluster ``deployment.public_url``, which may be empty.
    previous : str or None
        Tag of the Bento before it.
    target : str
        ``local`` or ``kubernetes``.
    revision : int or None
        Of Helm, in a cluster.
    """

    id: str
    tag: str
    model_version: str
    url: str
    previous: str | None
    target: str = "local"
    revision: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the release as JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        """Return what serves where, in words."""
        place = f" in the cluster, revision {self.revision}" if self.revision else ""
        return f"version {self.model_version}{place}{f' at {self.url}' if self.url else ''}"


def deploy(
    settings: Settings,
    package: BentoPackage,
    *,
    at_once: bool = False,
    request: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> Release:
    """Serve a Bento where ``deployment.target`` says; returns when new requests reach it.

    Here, the daemon is started if none runs. Nothing happens if the Bento serves already.

    Parameters
    ----------
    at_once : bool
        Without a canary: on the way back to a version that has proved itself.
    request : str, optional
        Names this wish, so that called again in a cluster it takes up at once what was killed.
    say : callable, optional
        Is told how a deployment goes that takes its time.

    Raises
    ------
    ServiceError
        The Bento did not become ready (the one before it still serves), or another was wanted meanwhile.
    TakenBackError
        It failed in the cluster; the one before it serves, and is champion again.
    """
    if settings.deployment.target == "kubernetes":
        from sentiment.deployment.kubernetes import deploy

        return deploy(settings, package, at_once=at_once, request=request, say=say)
    return deploy_here(settings, package)


def serving(settings: Settings) -> str:
    """Return the id of the release that serves; empty if none does."""
    if settings.deployment.target == "kubernetes":
        from sentiment.deployment.kubernetes import serving

        return serving(settings)
    now = status(settings)
    return now.release.id if now.alive and now.state == SERVING and now.release else ""


def deploy_here(settings: Settings, package: BentoPackage) -> Release:
    """Serve a Bento on this machine, whatever the target is."""
    files = DeploymentFiles(settings)
    before = files.status()
    previous = before.release.tag if before.release else None
    if before.alive and before.state == SERVING and before.release and previous == package.tag:
        wanted = files.wanted()
        if wanted and wanted.id == before.release.id:
            release = _release(before.release, before, previous=previous)
            _record(settings, release, package)
            return release
    wanted = Wanted(
        id=uuid.uuid4().hex,
        tag=package.tag,
        path=package.path,
        model_version=package.model_version,
        requested_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    files.want(wanted)
    daemon = None if before.alive else _start_daemon(settings, files)
    try:
        release = _release(wanted, _wait_for(settings, files, wanted, daemon), previous=previous)
    except ServiceError as error:
        failed = files.status().failed
        if failed and failed.id == wanted.id:
            _record_verdict(settings, wanted.id, package, verdict="failed", reason=error.message.splitlines()[0])
        raise
    _record(settings, release, package)
    return release


def _record(settings: Settings, release: Release, package: BentoPackage) -> None:
    """Write to the ledger that a release serves, unless it says so already."""
    said = f"{release.tag} became ready and answers a probe as its pipeline did"
    _record_verdict(settings, release.id, package, verdict="passed", reason=said)
    Ledger(Storage(settings)).append(
        "deployed",
        model_version=release.model_version,
        digests={"bento": package.digest},
        reason=f"{release.tag} at {release.url}",
        detail={"release": release.id, "previous": release.previous},
        key=f"deployed-{release.id}",
    )


def _record_verdict(settings: Settings, release_id: str, package: BentoPackage, *, verdict: str, reason: str) -> None:
    Ledger(Storage(settings)).append(
        "canary",
        model_version=package.model_version,
        digests={"bento": package.digest},
        reason=f"{verdict}: {reason}",
        detail={"release": release_id, "verdict": verdict},
        key=f"canary-{release_id}",
    )


def status(settings: Settings) -> Status:
    """Return what the local deployment does."""
    return DeploymentFiles(settings).status()


def stop(settings: Settings) -> bool:
    """Stop the daemon and its Bento; return whether there was one.

    Raises
    ------
    ServiceError
        It could not be stopped.
    """
    files = DeploymentFiles(settings)
    before = files.status()
    if not before.alive or not before.pid:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(before.pid, signal.SIGTERM)
    if _ended(files, settings.deployment.drain_seconds + DAEMON_SECONDS):
        return True
    with contextlib.suppress(psutil.Error):
        psutil.Process(before.pid).kill()
    now = files.status()
    end_left_over(files.runs, leader=now.bento_pid, started=now.bento_started)
    if not _ended(files, 5):
        raise ServiceError(
            f"The deployment daemon (process {before.pid}) does not end.",
            fix=f"See {files.logs / 'api.log'}.",
        )
    return True


def _ended(files: DeploymentFiles, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while files.daemon_pid():
        for daemon in _daemons:
            daemon.poll()
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _start_daemon(settings: Settings, files: DeploymentFiles) -> subprocess.Popen[bytes]:
    with (files.logs / "api.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sentiment.deployment.local"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment(settings)},
            start_new_session=True,
        )
    _daemons.append(process)
    return process


def _wait_for(
    settings: Settings, files: DeploymentFiles, wanted: Wanted, daemon: subprocess.Popen[bytes] | None
) -> Status:
    seconds = settings.deployment.ready_timeout_seconds + DAEMON_SECONDS
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        now = files.status()
        if now.alive and now.state == SERVING and now.release and now.release.id == wanted.id:
            return now
        if now.state == FAILED and now.failed and now.failed.id == wanted.id:
            still = f" {now.release.tag} still serves." if now.release and now.bento_pid else ""
            raise ServiceError(f"{wanted.tag} was not released.{still} {now.error}")
        newest = files.wanted()
        if newest and newest.id != wanted.id:
            raise ServiceError(
                f"{wanted.tag} was not released: {newest.tag} was asked for meanwhile.",
                fix="Deploy it again if it shall serve.",
            )
        ended = daemon is not None and daemon.poll() is not None
        if not now.alive and (ended or time.monotonic() - started > DAEMON_SECONDS):
            raise ServiceError(
                f"The deployment daemon did not start. Its last lines:\n{_last_lines(files)}\n",
                fix=f"The whole log: {files.logs / 'api.log'}",
            )
        time.sleep(POLL_SECONDS)
    raise ServiceError(
        f"{wanted.tag} does not serve after {seconds} s. The daemon's last lines:\n{_last_lines(files)}\n",
        fix=f"The whole log: {files.logs / 'api.log'}",
    )


def _last_lines(files: DeploymentFiles, count: int = 15) -> str:
    with contextlib.suppress(OSError):
        lines = (files.logs / "api.log").read_text(errors="replace").splitlines()[-count:]
        return "\n".join(f"    {line}" for line in lines)
    return "    (no log)"


def _release(wanted: Wanted, now: Status, *, previous: str | None) -> Release:
    return Release(id=wanted.id, tag=wanted.tag, model_version=wanted.model_version, url=now.url, previous=previous)
