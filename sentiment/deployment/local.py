"""The deployment daemon: ``python -m sentiment.deployment.local``.

It answers on the API's address for as long as it lives, passes requests to the active Bento, and makes
what is served what ``deployment/desired.json`` asks for: start the new Bento beside the old one, prove it,
move new requests over, let the old one finish, stop it. A Bento that does not become ready changes nothing;
one that dies is started again. Whatever ends the daemon ends its Bentos.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from dataclasses import replace

from sentiment.deployment.backend import Bento, GivenUpError, end_left_over, started_at
from sentiment.deployment.ports import free_port
from sentiment.deployment.release import Release, deploy, status, stop
from sentiment.deployment.router import Router
from sentiment.deployment.state import (
    FAILED,
    IDLE,
    SERVING,
    STARTING,
    STOPPED,
    DeploymentFiles,
    Status,
    Wanted,
)
from sentiment.errors import SentimentError
from sentiment.settings import Settings, load_settings

__all__ = ["Daemon", "Release", "deploy", "free_port", "main", "serve", "status", "stop"]

LOOK_SECONDS = 0.2
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, STEADY_SECONDS = 0.5, 30.0, 60.0
NO_RELEASE = "no release yet: train and deploy a model, for example with the DAG sentiment_retrain"

log = logging.getLogger("sentiment.deployment")


class Daemon:
    """Keeps one Bento serving behind one address."""

    def __init__(self, settings: Settings, files: DeploymentFiles) -> None:
        self._settings, self._files = settings, files
        self._router = Router(drain_seconds=settings.deployment.drain_seconds)
        self._bento: Bento | None = None
        self._status = Status()
        self._seen = ""  # id of the last wanted release that was acted upon
        self._stopping = asyncio.Event()
        self._pause, self._next_try, self._since = FIRST_PAUSE_SECONDS, 0.0, 0.0
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self, port: int) -> None:
        """Serve until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        before = self._files.status()
        end_left_over(self._files.runs, leader=before.bento_pid, started=before.bento_started)
        self._router.switch(None, reason=NO_RELEASE)
        try:
            url = await self._listen(port)
            self._report(
                state=IDLE,
                url=url,
                release=before.release,
                failed=before.failed,
                error=before.error,
                pid=os.getpid(),
            )
            await self._resume()
            while not self._stopping.is_set():
                await self._look()
                await self._sleep(LOOK_SECONDS)
        finally:
            await self._shut_down()

    async def _listen(self, wanted: int) -> str:
        host = self._settings.platform.host
        while True:
            port = free_port(host, wanted)
            try:
                await self._router.listen(host, port)
            except OSError as error:  # taken since we looked
                log.info("port %d: %s", port, error)
                continue
            if port != wanted:
                log.warning("port %d is taken; the API uses %d instead", wanted, port)
            shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104
            log.info("the API answers on http://%s:%d", shown, port)
            return f"http://{shown}:{port}"

    async def _resume(self) -> None:
        """Serve what was wanted when the last daemon ended, or what it served if that had failed."""
        wanted, last, failed = self._files.wanted(), self._status.release, self._status.failed
        if wanted and not (failed and failed.id == wanted.id and last):
            await self._release(wanted)
        elif wanted:
            self._seen = wanted.id

    async def _look(self) -> None:
        """Act on what has changed since the last look."""
        wanted = self._files.wanted()
        if wanted and wanted.id != self._seen:
            await self._release(wanted)
        elif self._status.release and not (self._bento and self._bento.alive):
            await self._revive(self._status.release)
        elif self._bento and time.monotonic() - self._since > STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS

    async def _release(self, wanted: Wanted) -> None:
        """Put a release in the place of the one that serves, if it proves itself."""
        self._seen = wanted.id
        serving = self._bento
        if serving and serving.alive and serving.wanted.tag == wanted.tag:
            self._report(state=SERVING, release=wanted, failed=None, error="")
            return
        log.info("starting %s", wanted.tag)
        self._report(state=STARTING)
        try:
            await self._start(wanted)
        except GivenUpError:
            return
        except SentimentError as error:
            log.error("%s is not released: %s", wanted.tag, error)
            self._report(state=FAILED, failed=wanted, error=str(error))
            if not (serving and serving.alive):
                self._router.switch(None, reason=f"no release yet: {wanted.tag} did not start")

    async def _revive(self, wanted: Wanted) -> None:
        """Start the serving release again after it died, ever less often while it keeps dying."""
        if self._bento:
            log.error("%s died; it is started again. Its last lines:\n%s", wanted.tag, self._bento.last_lines())
            self._router.switch(None, reason=f"{wanted.tag} died and is being started again")
            dead, self._bento = self._bento, None
            self._report(state=STARTING if self._status.state == SERVING else self._status.state)
            await dead.stop()  # what the dead process started
        if time.monotonic() < self._next_try:
            return
        self._next_try = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LAST_PAUSE_SECONDS)
        failed, error = self._status.failed, self._status.error
        try:
            await self._start(wanted)
        except GivenUpError:
            return
        except SentimentError as problem:
            log.error("%s does not start again: %s", wanted.tag, problem)
            self._report(state=FAILED, error=str(problem))
            return
        if failed:  # still true: what was wanted last did not start
            self._report(state=FAILED, failed=failed, error=error)

    async def _start(self, wanted: Wanted) -> None:
        """Start a Bento, move new requests to it, and retire the one before in the background."""
        started = time.perf_counter()
        bento = Bento(self._settings, self._files, wanted)
        await bento.start(given_up=lambda: self._stopping.is_set() or self._is_outdated(wanted))
        before, self._bento = self._bento, bento
        self._router.switch(bento.upstream)
        self._since = time.monotonic()
        self._report(state=SERVING, release=wanted, failed=None, error="")
        log.info("%s serves after %.1f s", wanted.tag, time.perf_counter() - started)
        if before:
            task = asyncio.create_task(self._retire(before))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, bento: Bento) -> None:
        seconds = self._settings.deployment.drain_seconds
        if not await bento.upstream.drained(timeout=seconds):
            log.warning("%s still had requests after %d s", bento.wanted.tag, seconds)
        await bento.stop()
        log.info("%s is stopped", bento.wanted.tag)

    def _is_outdated(self, wanted: Wanted) -> bool:
        newest = self._files.wanted()
        return newest is not None and newest.id not in (wanted.id, self._seen)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _shut_down(self) -> None:
        log.info("stopping")
        await self._router.close()
        if self._bento:
            await self._bento.stop()
            self._bento = None
        await asyncio.gather(*self._retiring)
        self._report(state=STOPPED)

    def _report(self, **changes: object) -> None:
        bento = self._bento
        self._status = replace(
            self._status,
            bento_pid=bento.pid if bento else 0,
            bento_port=bento.port if bento else 0,
            bento_started=started_at(bento.pid) if bento else 0.0,
            **changes,  # type: ignore[arg-type]
        )
        try:
            self._files.report(self._status)
        except SentimentError as error:  # a full disk: keep serving
            log.error("%s", error)


def serve(settings: Settings, port: int) -> None:
    """Run the daemon until SIGTERM or SIGINT.

    Parameters
    ----------
    settings : Settings
        ``platform.host`` is the address it listens on.
    port : int
        The wanted port; the next free one is taken if it is not.

    Raises
    ------
    ServiceError
        Another daemon runs on the same folder.
    """
    files = DeploymentFiles(settings)
    with files.held():

        async def run() -> None:
            await Daemon(settings, files).run(port)

        asyncio.run(run())


def main() -> int:
    """Run the daemon with the settings of the environment; return its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%FT%TZ")
    logging.Formatter.converter = time.gmtime
    try:
        settings = load_settings()
        serve(settings, settings.platform.api_port)
    except SentimentError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
