"""Trying again what a store on the network did not do: bounded in number and time, and said in the log each time."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from sentiment.errors import SentimentError, StorageError, one_line, storage_errors

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS = 0.2, 10.0
REASON_CHARACTERS = 300

_STATUS = re.compile(r"status code:?\s*(\d{3})")
_ELAPSED = re.compile(r" in \d[\d.]*(?:ns|µs|ms|s)\b")
_T = TypeVar("_T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often one call is tried, and for how long in all."""

    attempts: int
    seconds: float

    def call(self, call: Callable[[], _T], *, what: str, where: str) -> _T:
        """Return what `call` returns; it is repeated while the store is busy, fails or does not answer.

        Parameters
        ----------
        call : callable
            Safe to repeat.
        what, where : str
            For the log and the error: ``"read"``, the address.

        Raises
        ------
        StorageError
            The store did not do it in any attempt, or refused it.
        """
        started = time.monotonic()
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts) | tenacity.stop_before_delay(self.seconds),
            wait=tenacity.wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LAST_WAIT_SECONDS),
            retry=tenacity.retry_if_exception(is_transient),
            before_sleep=lambda state: self._say(state, what, where),
            reraise=True,
        )
        with storage_errors(where):
            try:
                return retrying(call)
            except Exception as error:
                if not is_transient(error):
                    raise
                raise StorageError(
                    f"{where} did not {what}: {retrying.statistics['attempt_number']} attempts in "
                    f"{time.monotonic() - started:.0f} s failed, the last with: {reason(error)}.",
                    fix="Look whether the store is up and reachable, then run the same command again: nothing is half "
                    "done. How long is tried is set by storage.attempts and storage.retry_seconds.",
                ) from error

    def _say(self, state: tenacity.RetryCallState, what: str, where: str) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        logger.warning(
            "storage: %s %s: attempt %d of %d failed, again in %.1f s: %s",
            what, where, state.attempt_number, self.attempts, pause, reason(error) if error else "",
        )  # fmt: skip


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment: the store was busy, failed, or there was no answer."""
    text = one_line(error)
    if isinstance(error, SentimentError) or "S3 error" not in text:
        return False
    if status := _STATUS.search(text):
        return int(status[1]) in (408, 429) or int(status[1]) >= 500
    return any(sign in text for sign in ("HTTP error", "Request error", "request or response body"))


def reason(error: BaseException) -> str:
    """Return an error of a storage library in a few plain words."""
    text = one_line(error).split(" Debug source:")[0]
    return _ELAPSED.sub("", text)[:REASON_CHARACTERS].rstrip(". ")
