"""Live traffic for the demo: a client that keeps asking the API, and counts what was not answered."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from sentiment.errors import ServiceError
from sentiment.reviews.sample import generate

BATCH = 4


class Traffic:
    """Sends generated reviews of one domain, or of several in turn, from a thread of its own, over one connection.

    Attributes
    ----------
    answered, failed : int
        Requests with a right answer, and all others.
    """

    def __init__(self, url: str, *, domain: str, seed: int, requests_per_second: float = 20) -> None:
        self._url = url
        self._pause = 1 / requests_per_second
        self._seed = itertools.count(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._sent_in_domain = 0
        self._domains: tuple[str, ...] = (domain,)
        self.answered = 0
        self.failed = 0
        self.last_failure = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=15)

    def shift(self, *domains: str) -> None:
        """Send texts of other domains from now on."""
        self._domains, self._sent_in_domain = domains, 0

    def wait(self, texts: int, *, check: Callable[[], None], timeout_seconds: float = 120) -> None:
        """Wait until so many more texts have been sent; `check` may raise meanwhile.

        Raises
        ------
        ServiceError
            They were not, in time.
        """
        target, deadline = self._sent_in_domain + texts, time.monotonic() + timeout_seconds
        while (missing := target - self._sent_in_domain) > 0:
            check()
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{missing} of {texts} texts were not sent in {timeout_seconds:.0f} s; {self.answered} requests "
                    f"were answered, {self.failed} failed. {self.last_failure}".rstrip(),
                    fix=f"See whether {self._url} answers.",
                )
            time.sleep(0.1)

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stop.is_set():
                domains, seed = self._domains, next(self._seed)
                texts = [review.text for review in generate(domains[seed % len(domains)], BATCH, seed=seed)]
                self._ask(client, texts)
                if domains == self._domains:
                    self._sent_in_domain += len(texts)
                self._stop.wait(self._pause)

    def _ask(self, client: httpx.Client, texts: list[str]) -> None:
        try:
            response = client.post("/predict_batch", json={"texts": texts})
            response.raise_for_status()
            complete = len(response.json()["predictions"]) == len(texts)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self.failed, self.last_failure = self.failed + 1, f"{type(error).__name__}: {error}"
            return
        if complete:
            self.answered += 1
        else:
            self.failed, self.last_failure = self.failed + 1, "an answer is missing"
