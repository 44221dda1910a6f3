"""One Bento served by a process of its own: start it, prove that it answers right, stop it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil

from sentiment.deployment.ports import free_port
from sentiment.deployment.router import Upstream
from sentiment.deployment.state import DeploymentFiles, Wanted
from sentiment.errors import SentimentError, ServiceError, storage_errors
from sentiment.serving.manifest import MANIFEST_FILE, Manifest, Probe
from sentiment.settings import Settings
from sentiment.supervisor import Service

HOST = "127.0.0.1"
KEEP_ALIVE_SECONDS = 75
SMOKE_TOLERANCE = 1e-6  # the service's own start-up check is stricter
STOP_SECONDS = 10


class GivenUpError(ServiceError):
    """A start was given up for something newer; the release is not to blame."""


class Bento:
    """A Bento that is being served.

    Parameters
    ----------
    settings : Settings
        Its storage and serving sections are handed to the service.
    files : DeploymentFiles
        Where logs and the service's own files go.
    wanted : Wanted
        The release it is served for.
    """

    def __init__(self, settings: Settings, files: DeploymentFiles, wanted: Wanted) -> None:
        self.wanted = wanted
        self.port = free_port(HOST)
        self.upstream = Upstream(f"http://{HOST}:{self.port}")
        self._settings = settings
        self._probe_key = secrets.token_hex(32) if settings.serving.keys_file else ""
        self._home = files.runs / uuid.uuid4().hex[:12]
        self._service = Service(
            f"The Bento {wanted.tag}",
            [
                sys.executable, "-m", "bentoml", "serve", wanted.path,
                "--host", HOST, "--port", str(self.port), "--timeout-keep-alive", str(KEEP_ALIVE_SECONDS),
            ],
            log_path=files.logs / f"bento-{wanted.tag.rpartition(':')[2]}.log",
            env={
                **environment(settings, sections=("storage", "serving")),
                **log_environment(settings),
                **({"SENTIMENT_SERVING__PROBE_KEY": self._probe_key} if self._probe_key else {}),
                "BENTOML_HOME": str(self._home),  # of its own: two versions must not share their counters
                "BENTOML_DO_NOT_TRACK": "True",
                "OTEL_SDK_DISABLED": "true",
            },
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """The process that leads it; 0 if it does not run."""
        return self._service.pid or 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._service.pid is not None

    def last_lines(self) -> str:
        """Return the last lines of its log."""
        return self._service.last_lines()

    async def start(self, *, given_up: Callable[[], bool]) -> None:
        """Start it and wait until it is ready and answers a probe as the trained pipeline did.

        Raises
        ------
        ServiceError
            It ended, is not ready in time, answers wrongly, or `given_up` said so; with its last lines.
        """
        seconds = self._settings.deployment.ready_timeout_seconds
        try:
            probe = self._probe()
            with storage_errors(str(self._service.log_path)):
                self._service.start()
            timeout = aiohttp.ClientTimeout(total=5)
            async with aiohttp.ClientSession(self.upstream.address, timeout=timeout) as session:
                deadline = time.monotonic() + seconds
                while not await self._is_ready(session):
                    if given_up():
                        raise GivenUpError(f"Starting {self.wanted.tag} was given up.")
                    if time.monotonic() > deadline:
                        raise ServiceError(
                            f"{self.wanted.tag} was not ready after {seconds} s. "
                            f"Its last lines:\n{self.last_lines()}\n",
                            fix="Raise deployment.ready_timeout_seconds if the machine is only slow.",
                        )
                    await asyncio.sleep(0.1)
                await self._smoke(session, probe)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop it and everything it started."""
        await asyncio.to_thread(self._service.stop, grace_seconds=STOP_SECONDS)
        await asyncio.to_thread(end_left_over, self._home, leader=0, started=0.0)
        shutil.rmtree(self._home, ignore_errors=True)

    def _probe(self) -> Probe:
        try:
            manifest = Manifest.read(Path(self.wanted.path) / "src" / "model" / MANIFEST_FILE)
        except SentimentError as error:
            raise ServiceError(f"{self.wanted.path} is not a Bento: {error.message}", fix=error.fix) from error
        return manifest.probes[0]

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        self._service.check_alive()
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.get("/readyz") as answer:
                return answer.status == 200
        return False

    async def _smoke(self, session: aiohttp.ClientSession, probe: Probe) -> None:
        try:
            headers = {"X-Sentiment-Probe": self._probe_key or "1"}
            async with session.post("/predict", json={"text": probe.text}, headers=headers) as reply:
                answer = await reply.json(content_type=None)
            actual = list(answer["probabilities"].values())
            right = answer["model_version"] == self.wanted.model_version and all(
                abs(a - b) <= SMOKE_TOLERANCE for a, b in zip(actual, probe.probabilities, strict=True)
            )
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServiceError(
                f"{self.wanted.tag} is ready but did not answer a probe: {error!r}. "
                f"Its last lines:\n{self.last_lines()}\n"
            ) from error
        if not right:
            raise ServiceError(
                f"{self.wanted.tag} answers a probe with {answer}, not as its pipeline did.",
                fix="Package the model again: `sentiment package`.",
            )


def environment(settings: Settings, *, sections: tuple[str, ...] | None = None) -> dict[str, str]:
    """Return settings as environment variables, for a process that shall have the same.

    Only what differs from the defaults, so that an older release is not told of settings it does not know.
    """
    found = settings.model_dump(mode="json", exclude_defaults=True)
    found.setdefault("storage", {})["root"] = settings.storage.root
    return {
        f"SENTIMENT_{section}__{name}".upper(): value if isinstance(value, str) else json.dumps(value)
        for section, values in found.items()
        if sections is None or section in sections
        for name, value in values.items()
    }


def log_environment(settings: Settings) -> dict[str, str]:
    """Return what else a Bento's logs need to be told, where it is not what they would do by themselves.

    A Bento runs in a folder of its own. What it leaves unsent must be where the next one looks.
    """
    told = {} if settings.data.redact else {"SENTIMENT_DATA__REDACT": "false"}
    if "://" in settings.storage.root and not settings.serving.spool_folder:
        told["SENTIMENT_SERVING__SPOOL_FOLDER"] = str(settings.local_dir / "serving")
    return told


def end_left_over(runs: Path, *, leader: int, started: float) -> None:
    """End what is left of Bentos whose daemon or whose own leading process was killed.

    Parameters
    ----------
    runs : Path
        Folder of the BentoML homes: workers are known by theirs, in their environment.
    leader : int
        Process id of the leading process, which hides its environment; 0 if there is none.
    started : float
        When that process was started, so that another one with the same number is left alone.
    """
    ended = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            leads = process.pid == leader and process.create_time() == started
            home = "" if leads else process.environ().get("BENTOML_HOME", "")
            if leads or (home and Path(home).is_relative_to(runs)):
                process.kill()
                ended.append(process)
    psutil.wait_procs(ended, timeout=5)


def started_at(pid: int) -> float:
    """Return when a process was started, 0 if it is gone."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).create_time() if pid else 0.0
    return 0.0
