"""The ``helm`` command: what is asked of it, and what its refusals mean.

Values go by files and the cluster by the environment, never by arguments, which everybody on the machine can read.
Helm 3.14 and 4 are spoken to alike, but for the flag that takes a failed upgrade back.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sentiment.errors import SentimentError, ServiceError, SettingsError
from sentiment.settings import Settings

log = logging.getLogger(__name__)

READ_SECONDS = 60  # of what changes nothing
READ_ATTEMPTS = 3
SLACK_SECONDS = 60  # what Helm may take beyond the two waits of an upgrade that is taken back
PUT_BACK_SECONDS = 45  # for Helm to put things back when this process is told to end
HISTORY = 40  # revisions; a canary makes about eight
LINES = 15

TRANSIENT = re.compile(
    r"unreachable|connection (refused|reset)|i/o timeout|TLS handshake timeout|unexpected EOF|too many requests|"
    r"service unavailable|etcdserver|http2: client connection lost|context deadline exceeded",
    re.IGNORECASE,
)


class BusyError(ServiceError):
    """Another operation of Helm on the release is in progress, or was killed."""


class FailedUpgradeError(ServiceError):
    """The cluster took the new revision, but it did not become ready in time; Helm has taken it back."""


@dataclass(frozen=True)
class Revision:
    """One revision of a release.

    Attributes
    ----------
    status : str
        ``deployed``, ``superseded``, ``failed``, ``pending-upgrade`` and so on.
    updated : datetime
        When it was begun.
    """

    number: int
    status: str
    updated: datetime

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Revision:
        """Return what a row of Helm's history says."""
        return cls(int(row["revision"]), row["status"], datetime.fromisoformat(row["updated"]).astimezone(UTC))


@dataclass(frozen=True)
class Installed:
    """A revision with what it installed, or would: the values as merged from all files, and the manifests as text."""

    revision: Revision
    values: dict[str, Any]
    manifest: str

    @classmethod
    def of(cls, said: str) -> Installed:
        """Return what a release in JSON says."""
        found = json.loads(said)
        info = found["info"]
        row = {"revision": found["version"], "status": info["status"], "updated": info["last_deployed"]}
        return cls(Revision.of(row), found.get("config") or {}, found.get("manifest") or "")


class Helm:
    """The release of one platform, by the ``helm`` command.

    Parameters
    ----------
    settings : Settings
        Section ``deployment``: release, namespace, chart, values files, kubeconfig, context, timeout.
    lock : int, optional
        A file descriptor that Helm keeps open, so that a lock on it lasts as long as Helm runs, also without us.
    """

    def __init__(self, settings: Settings, *, lock: int | None = None) -> None:
        self._to, self._lock = settings.deployment, lock

    @property
    def timeout(self) -> int:
        """The longest that one upgrade, with being taken back, can take; in seconds."""
        return 2 * self._to.helm_timeout_seconds + SLACK_SECONDS

    def newest(self) -> Installed | None:
        """Return the newest revision, whatever became of it; None if there is no release."""
        said = self._found("status", self._to.release, "--output", "json")
        return Installed.of(said) if said else None

    def history(self) -> list[Revision]:
        """Return the revisions, oldest first; none if there is no release."""
        said = self._found("history", self._to.release, "--max", str(HISTORY), "--output", "json")
        return [Revision.of(row) for row in json.loads(said or "[]")]

    def values(self, revision: int) -> dict[str, Any]:
        """Return the values that were given for a revision."""
        said = self._read("get", "values", self._to.release, "--revision", str(revision), "--output", "json")
        return json.loads(said) or {}

    def rendered(self, values: Mapping[str, Any]) -> Installed:
        """Return what `upgrade` with these values would install, as the cluster itself checks it; nothing changes."""
        with self._files(values) as files:
            return Installed.of(self._read(*self._upgrade(files), "--dry-run=server"))

    def upgrade(self, values: Mapping[str, Any]) -> Installed:
        """Install the chart, or upgrade to it, and wait until all pods are ready; otherwise all is put back.

        Raises
        ------
        BusyError
            Another operation is in progress. Nothing was changed.
        FailedUpgradeError
            It did not become ready in time.
        SettingsError
            The chart refuses the values. Nothing was changed.
        ServiceError
            Helm or the cluster refused it for another reason, which is said.
        """
        back = "--rollback-on-failure" if self._major >= 4 else "--atomic"
        seconds = self._to.helm_timeout_seconds
        with self._files(values) as files:
            said = self._run(
                *self._upgrade(files),
                "--create-namespace", back, "--timeout", f"{seconds}s", "--history-max", str(HISTORY),
                seconds=self.timeout,
            )  # fmt: skip
        return Installed.of(said)

    def rollback(self, revision: int) -> None:
        """Put everything back to what it was at a revision, and wait until its pods are ready."""
        seconds = self._to.helm_timeout_seconds
        self._run(
            "rollback", self._to.release, str(revision), "--wait", "--timeout", f"{seconds}s",
            seconds=seconds + SLACK_SECONDS,
        )  # fmt: skip

    def uninstall(self) -> None:
        """Remove the release and everything of it."""
        seconds = self._to.helm_timeout_seconds
        self._run("uninstall", self._to.release, "--wait", "--timeout", f"{seconds}s", seconds=seconds + SLACK_SECONDS)

    @cached_property
    def _major(self) -> int:
        said = self._run("version", "--template", "{{.Version}}", seconds=READ_SECONDS)
        found = re.match(r"v(\d+)\.(\d+)", said.strip())
        if not found or (int(found[1]), int(found[2])) < (3, 14):
            raise SettingsError(f"`helm version` says {said.strip()!r}.", fix="Install Helm 3.14 or newer.")
        return int(found[1])

    def _upgrade(self, files: list[str]) -> list[str]:
        given = [part for file in files for part in ("--values", file)]
        return ["upgrade", self._to.release, self._chart(), "--install", "--reset-values", "--output", "json", *given]

    def _chart(self) -> str:
        if "://" in self._to.chart:
            return self._to.chart
        chart = Path(self._to.chart or Path(__file__).resolve().parents[2] / "helm" / "sentiment").expanduser()
        if not chart.exists():
            raise SettingsError(
                f"There is no chart at {chart}.", fix="Set deployment.chart to the folder or address of helm/sentiment."
            )
        return str(chart)

    @contextlib.contextmanager
    def _files(self, values: Mapping[str, Any]) -> Iterator[list[str]]:
        """Give the files of the settings and, after them, one with `values`, which only this user may read."""
        given = [str(Path(name).expanduser()) for name in self._to.values_files]
        if missing := [name for name in given if not Path(name).is_file()]:
            raise SettingsError(f"There is no file {', '.join(missing)}.", fix="Correct deployment.values_files.")
        with tempfile.NamedTemporaryFile("w", prefix="values-", suffix=".json") as file:
            json.dump(values, file)
            file.flush()
            yield [*given, file.name]

    def _found(self, *arguments: str) -> str:
        """Run what tells of the release; empty if there is none."""
        try:
            return self._read(*arguments)
        except ServiceError as error:
            if "release: not found" in error.message:
                return ""
            raise

    def _read(self, *arguments: str) -> str:
        """Run what changes nothing; again, if the cluster did not answer."""
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                return self._run(*arguments, seconds=READ_SECONDS)
            except ServiceError as error:
                if attempt == READ_ATTEMPTS or not TRANSIENT.search(error.message):
                    raise
                log.warning("helm %s: attempt %d of %d failed: %s", arguments[0], attempt, READ_ATTEMPTS, error.message)
                time.sleep(2 ** (attempt - 1))
        raise AssertionError("the last attempt returned or raised")

    def _run(self, *arguments: str, seconds: float) -> str:
        command = ["helm", *arguments, *(() if arguments[0] == "version" else ("--namespace", self._to.namespace))]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, **self._environment()},
                pass_fds=() if self._lock is None else (self._lock,),
                start_new_session=True,  # Ctrl-C is ours to pass on, once
            )
        except OSError as error:
            raise SettingsError(
                f"The command `helm` cannot be run: {error.strerror}.",
                fix="Install Helm 3.14 or newer (https://helm.sh/docs/intro/install) on the PATH of this process.",
            ) from error
        try:
            out, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise ServiceError(
                f"`helm {arguments[0]}` did not end within {seconds:g} s.",
                fix="Look whether the cluster answers (`kubectl get nodes`), then run the same again.",
            ) from error
        except BaseException:  # we are told to end: Helm puts back what it began
            _end(process)
            raise
        if process.returncode:
            raise explained(arguments[0], said or out)
        return out

    def _environment(self) -> dict[str, str]:
        found = {"HELM_KUBECONTEXT": self._to.context} if self._to.context else {}
        if self._to.kubeconfig:
            path = Path(self._to.kubeconfig).expanduser()
            if not path.is_file():
                raise SettingsError(f"There is no file {path}.", fix="Correct deployment.kubeconfig.")
            found["KUBECONFIG"] = str(path)
        return found


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=PUT_BACK_SECONDS)
        return
    process.kill()
    process.communicate()


def explained(command: str, said: str) -> SentimentError:
    """Return the error that Helm's last words mean."""
    words = "\n".join(line for line in said.strip().splitlines()[-LINES:] if line.strip())
    message = f"`helm {command}` failed: {words.removeprefix('Error: ')}"
    for signs, kind, fix in MEANINGS:
        if re.search(signs, said, re.IGNORECASE):
            return kind(message, fix=fix)
    return ServiceError(message, fix="What it may mean: docs/kubernetes.md, `A rollout is stuck`.")


MEANINGS: tuple[tuple[str, type[SentimentError], str], ...] = (
    ("rolled back due to|uninstalled due to", FailedUpgradeError, "See the pods of it: `kubectl describe`, `logs`."),
    (
        r"another operation \(|sh\.helm\.release\.v1\S* already exists",
        BusyError,
        "Wait until it has ended, then run the same again.",
    ),
    (
        "do(n't| not) meet the specification|do not fit together|execution error at|parse error at|"
        "cannot unmarshal|error converting YAML",
        SettingsError,
        "Correct the files of deployment.values_files; every value is explained in helm/sentiment/README.md.",
    ),
    (
        "conflict with|Apply failed with .* conflict",
        ServiceError,
        "Somebody changed it by hand: put it into deployment.values_files, and run `helm upgrade` with "
        "--force-conflicts once (docs/kubernetes.md).",
    ),
    (
        "no matches for kind",
        SettingsError,
        "The cluster lacks what brings this kind: install it, or switch it off in deployment.values_files.",
    ),
    (
        "forbidden|unauthorized|must be logged in|getting credentials",
        ServiceError,
        "The credentials do not reach or not allow it: check deployment.kubeconfig, context or eks_cluster, and "
        "`kubectl auth can-i`.",
    ),
    (
        "unreachable|connection refused|no such host|no configuration has been provided|context .* does not exist",
        ServiceError,
        "Check deployment.kubeconfig and deployment.context, then run the same again.",
    ),
)
"""What Helm's refusals mean, the first that fits: signs, kind of error, what to do."""
