"""One release in Kubernetes: what it serves, and bringing it to serve something else, one deployer at a time.

All state is in Helm's revisions. On one machine a lock, which a running ``helm`` keeps even if we are killed, lets one
process at a time work on a release. From elsewhere, Helm refuses a second operation while one is pending. One that was
killed stays pending: it is put back to the last revision that was deployed as soon as it cannot be running any more,
which is at once if it was begun by the same deployer.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

from sentiment.deployment.helm import BusyError, FailedUpgradeError, Helm, Installed, Revision
from sentiment.deployment.state import take
from sentiment.deployment.tracks import Tracks
from sentiment.errors import ServiceError, storage_errors
from sentiment.ledger import this_user
from sentiment.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
GOOD = ("deployed", "superseded")


@dataclass(frozen=True)
class ClusterState:
    """What a release is, once nothing is pending.

    Attributes
    ----------
    name : str
        Namespace and release.
    revision : int
        Helm's number of it; 0 if there is no release.
    since : datetime or None
        When that revision was made, which is when the weights became what they are.
    values, manifest
        What the user and we gave for it, and what it installed.
    """

    name: str
    revision: int = 0
    since: datetime | None = None
    tracks: Tracks = field(default_factory=Tracks)
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    manifest: str = field(default="", repr=False)

    @property
    def id(self) -> str:
        """Names this revision, also after the release was uninstalled and made anew."""
        return f"{self.name}/{self.revision}-{self.since:%Y%m%dT%H%M%SZ}" if self.since else ""


class ClusterRelease:
    """The Helm release of one platform.

    Parameters
    ----------
    by : str, optional
        Who deploys, so that a killed operation of the same one is taken up at once: the run of a DAG; the user and
        the machine if not given.
    """

    def __init__(self, settings: Settings, *, by: str = "") -> None:
        self._settings = settings
        self.name = f"{settings.deployment.namespace}/{settings.deployment.release}"
        self._by = by or f"{this_user()}@{socket.gethostname()}"
        self.helm = Helm(settings)
        self._seen = 0  # newest revision that was there before we began another

    def state(self) -> ClusterState:
        """Return what is served; where something is pending or failed, what was served before."""
        newest = self.helm.newest()
        if newest is None or newest.revision.status == "uninstalled":
            return ClusterState(self.name)
        if newest.revision.status == "deployed":
            return self._state(newest)
        good = _last_good(self.helm.history())
        return self._state(Installed(good, self.helm.values(good.number), "")) if good else ClusterState(self.name)

    @contextlib.contextmanager
    def alone(self) -> Iterator[ClusterState]:
        """Be the only one of this machine who works on the release; gives what it serves, with nothing pending.

        Raises
        ------
        ServiceError
            Somebody else did not end in the time that Helm may take.
        """
        folder = self._settings.local_dir / "deployment"
        path = folder / f"{self.name.replace('/', '.')}.lock"
        with storage_errors(str(path)):
            folder.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+")
        with lock:
            self._wait_for(lock)
            self.helm = Helm(self._settings, lock=lock.fileno())
            try:
                yield self._settled()
            finally:
                self.helm = Helm(self._settings)

    def apply(self, tracks: Tracks) -> ClusterState:
        """Upgrade the release, within `alone`, until its pods are ready.

        Raises
        ------
        FailedUpgradeError
            They did not become ready; everything is as before.
        ServiceError, SettingsError
            Nothing was changed.
        """
        values = {**tracks.values(), "deployedBy": self._by}
        log.info("%s: %s", self.name, tracks)
        try:
            return self._state(self.helm.upgrade(values))
        except BusyError:
            raise
        except ServiceError as error:
            begun = [revision for revision in self.helm.history() if revision.number > self._seen]
            if not any(revision.status == "failed" for revision in begun):
                raise
            self._settled()  # where Helm could not put it back
            raise FailedUpgradeError(error.message, fix=error.fix) from error

    def is_current(self, state: ClusterState) -> bool:
        """Whether the same tracks again would change nothing: neither values of the files, nor the chart."""
        wanted = self.helm.rendered(state.tracks.values())
        now = {name: value for name, value in state.values.items() if name != "deployedBy"}
        return now == wanted.values and state.manifest.strip() == wanted.manifest.strip()

    def _state(self, found: Installed) -> ClusterState:
        revision = found.revision
        self._seen = revision.number
        return ClusterState(
            self.name, revision.number, revision.updated, Tracks.of(found.values), found.values, found.manifest
        )

    def _settled(self) -> ClusterState:
        """Wait until nothing is pending, and put back what was left half done."""
        told = False
        while True:
            newest = self.helm.newest()
            if newest is None or newest.revision.status == "uninstalled":
                return ClusterState(self.name)
            last = newest.revision
            if last.status == "deployed":
                return self._state(newest)
            history = self.helm.history()
            if last.status not in PENDING or self._is_over(last) or self._is_ours(history):
                self._put_back(history)
                continue
            if not told:
                log.warning("%s: revision %d is %s; waiting for it", self.name, last.number, last.status)
                told = True
            time.sleep(POLL_SECONDS)

    def _is_over(self, pending: Revision) -> bool:
        """Whether what is pending was begun so long ago that it cannot be running any more."""
        return (datetime.now(UTC) - pending.updated).total_seconds() > self.helm.timeout

    def _is_ours(self, history: list[Revision]) -> bool:
        """Whether what is unfinished was begun by us: we hold the lock, so whoever ran it is gone."""
        values = [self.helm.values(revision.number) for revision in _begun(history)]
        return any(given.get("deployedBy") == self._by for given in values)

    def _put_back(self, history: list[Revision]) -> None:
        last, good = history[-1], _last_good(history)
        log.warning("%s: revision %d is %s and is put back", self.name, last.number, last.status)
        if good is None or last.status == "uninstalling":
            self.helm.uninstall()
        else:
            self.helm.rollback(good.number)

    def _wait_for(self, lock: IO[str]) -> None:
        deadline, told = time.monotonic() + self.helm.timeout, False
        while True:
            try:
                return take(lock)
            except BlockingIOError as error:
                # a killed process is gone, but the helm that it started is not
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"Another process of this machine ({holder_of(lock)}) works on {self.name}.",
                        fix="Wait until it has ended, or end it, then run the same again.",
                    ) from error
            if not told:
                log.warning("%s: waiting for another process of this machine (%s)", self.name, holder_of(lock))
                told = True
            time.sleep(POLL_SECONDS)


def holder_of(lock: IO[str]) -> int:
    """Return the process that locked a file last."""
    lock.seek(0)
    return int(lock.read() or 0)


def _last_good(history: list[Revision]) -> Revision | None:
    """Return the revision that is deployed, or was before what is unfinished."""
    deployed = [revision for revision in history if revision.status == "deployed"]
    return next(reversed(deployed or [revision for revision in history if revision.status in GOOD]), None)


def _begun(history: list[Revision]) -> list[Revision]:
    """Return what came to no good end since the last revision that did."""
    good = _last_good(history)
    return [revision for revision in history if good is None or revision.number > good.number]
