"""Files at ``https://`` and ``s3://`` addresses: fetched to this machine first, bounded in size, time and attempts.

Plain ``http://`` is for this machine only: reviews that anybody on the way could change are not worth learning from.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import tenacity

from sentiment.errors import SourceError, StorageError
from sentiment.settings import Settings
from sentiment.storage import Storage

logger = logging.getLogger(__name__)

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.5
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_PIECE = 1 << 20


class _TryAgainError(Exception):
    """The other side may do better next time."""


def is_remote(source: str | Path) -> bool:
    """Return whether a source is an address and not a file on this machine."""
    return "://" in str(source)


@contextmanager
def fetched(source: str, settings: Settings) -> Iterator[Path]:
    """Give the file at an address as a local file, which is removed afterwards.

    Raises
    ------
    SourceError
        The address is of no known kind, is not there, is too large, or did not answer in any attempt.
    """
    parts = urlsplit(source)
    name = PurePosixPath(unquote(parts.path)).name
    if not name or not _is_allowed(parts.scheme, parts.hostname):
        raise SourceError(
            f"{source} cannot be fetched.", fix="Give a file, https://host/path/file or s3://bucket/path/file."
        )
    folder = settings.local_dir / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary, name)
        if parts.scheme == "s3":
            _from_s3(source, path, settings)
        else:
            _from_web(source, path, settings)
        yield path


def _is_allowed(scheme: str, host: str | None) -> bool:
    return bool(host) and (scheme in ("https", "s3") or (scheme == "http" and host in _LOCAL_HOSTS))


def _from_s3(source: str, path: Path, settings: Settings) -> None:
    bucket, key = source.removeprefix("s3://").split("/", 1)
    place = settings.storage.model_copy(update={"root": f"s3://{bucket}"})
    storage = Storage(settings.model_copy(update={"storage": place}))
    try:
        size = storage.size(key)
        if size > settings.data.max_download_bytes:
            raise _too_large(source, settings)
        storage.fetch(key, path)
    except FileNotFoundError as error:
        raise SourceError(f"There is no object {source}.", fix="Check the address.") from error
    except StorageError as error:
        raise SourceError(f"{source} cannot be read: {error.message}", fix=error.fix) from error


def _from_web(source: str, path: Path, settings: Settings) -> None:
    def said(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.warning("ingest: %s, attempt %d of %d: %s", source, state.attempt_number, ATTEMPTS, error)

    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=30),
        retry=tenacity.retry_if_exception_type((httpx.TransportError, _TryAgainError)),
        after=said,
        reraise=True,
    )
    try:
        attempts(_download, source, path, settings)
    except (httpx.HTTPError, _TryAgainError) as error:
        reason = str(error) or type(error).__name__
        raise SourceError(
            f"{source} was not fetched in {ATTEMPTS} attempts: {reason}.", fix="Try again later, or check the address."
        ) from error


def _download(source: str, path: Path, settings: Settings) -> None:
    timeout = httpx.Timeout(settings.data.download_timeout_seconds, connect=10)
    received = 0

    def stay_safe(request: httpx.Request) -> None:
        if not _is_allowed(request.url.scheme, request.url.host):
            raise SourceError(f"{source} leads to {request.url}, which is not https.", fix="Give the final address.")

    hooks = {"request": [stay_safe]}
    with (
        httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=5, event_hooks=hooks) as client,
        client.stream("GET", source, headers={"accept-encoding": "identity"}) as answer,
        path.open("wb") as file,
    ):
        _check(source, answer)
        for piece in answer.iter_raw(_PIECE):
            received += len(piece)
            if received > settings.data.max_download_bytes:
                raise _too_large(source, settings)
            file.write(piece)


def _check(source: str, answer: Any) -> None:
    if answer.status_code == 429 or answer.status_code >= 500:
        raise _TryAgainError(f"the server answered {answer.status_code}")
    if answer.status_code != 200:
        raise SourceError(f"{source} answered {answer.status_code}.", fix="Check the address and the rights to it.")


def _too_large(source: str, settings: Settings) -> SourceError:
    return SourceError(
        f"{source} is larger than {settings.data.max_download_bytes:,} bytes.",
        fix="Deliver it in parts, or raise data.max_download_bytes.",
    )
