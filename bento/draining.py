"""Stopping in order: still answering for a while, but no longer ready, so that callers are sent elsewhere first."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from types import FrameType

log = logging.getLogger(__name__)


class Draining:
    """Whether the server was told to stop.

    Parameters
    ----------
    linger_seconds : float
        How long after SIGTERM the signal is passed on to who was told before. A second one is passed on at once.
    """

    def __init__(self, linger_seconds: float) -> None:
        self.begun = False
        self._linger = linger_seconds
        if threading.current_thread() is threading.main_thread():  # nobody else may listen to signals
            self._before = signal.signal(signal.SIGTERM, self._told)

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self.begun or not self._linger:
            self._pass_on(number, frame)
            return
        self.begun = True
        log.info("told to stop: answering for another %g s", self._linger)
        asyncio.get_running_loop().call_later(self._linger, self._pass_on, number, frame)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.begun = True
        if callable(self._before):
            self._before(number, frame)
        else:  # nobody was told before: as if we had not been
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
