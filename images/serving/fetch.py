"""Fetches a Bento into a folder: ``python fetch.py URI SHA256 FOLDER``; what the init container of a pod runs.

The file at ``s3://bucket/key`` is streamed to a temporary file beside the folder, compared with its SHA-256, unpacked
there, and renamed: the folder is absent or whole. A folder that holds it already is left as it is, so it may run again.

Credentials are those of the pod (IRSA, EKS Pod Identity), or of the environment. It needs obstore and Python only.

It ends with 0 when the folder holds the Bento; otherwise with one line that says what, where and what to do, and with
2: called wrongly; 4: it is not the Bento that was shipped; 5: the store does not answer; 6: it cannot be read, or
not be written here.
"""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import re
import shutil
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NoReturn

import obstore
from obstore.exceptions import BaseError as StoreError
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import S3Config

ATTEMPTS, FIRST_PAUSE_SECONDS, SECONDS = 6, 0.5, 150.0
CONNECT_SECONDS, STALL_SECONDS, REQUEST_SECONDS = 5, 15, 60
PACKED_BYTES, UNPACKED_BYTES, ENTRIES = 64 * 2**20, 192 * 2**20, 10_000  # together the chart's volume
MARK = ".fetched"
"""A file in the folder, with the SHA-256 of what it was made of."""

WRONG_CALL, WRONG_BENTO, NO_ANSWER, NO_ACCESS = 2, 4, 5, 6
_STATUS = re.compile(r"status code:?\s*(\d{3})")
_NO_IDENTITY = ("/latest/api/token", "/latest/meta-data", "token file")


class FetchError(Exception):
    """It did not come; with how the process ends."""

    def __init__(self, code: int, said: str, *, again: bool = False) -> None:
        super().__init__(said)
        self.code, self.again = code, again


def fetch(uri: str, sha256: str, folder: Path) -> str:
    """Make the folder hold the Bento, and return what was done in a line."""
    started = time.monotonic()
    _check_call(uri, sha256, folder)
    if _mark(folder) == sha256:
        return f"{folder} holds {uri} already."
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{folder.name}.*"):  # by a run that was killed
            shutil.rmtree(left)
        place = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            size = _download(uri, sha256, place / "file")
            _unpack(place / "file", place / "bento", uri)
            (place / "bento" / MARK).write_text(sha256)
            _settle(place / "bento")
            _exchange(place, folder)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return f"Fetched {uri} ({size:,} bytes) to {folder} in {time.monotonic() - started:.1f} s."


def _check_call(uri: str, sha256: str, folder: Path) -> None:
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+/.+", uri):
        raise FetchError(WRONG_CALL, f"{uri!r} is not s3://bucket/key. `sentiment ship` prints the one to use.")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise FetchError(WRONG_CALL, f"{sha256!r} is no SHA-256: 64 hexadecimal digits. `sentiment ship` prints it.")
    if folder.is_mount():
        raise FetchError(WRONG_CALL, f"{folder} is a mount point, nothing can be renamed to it. Name a folder in it.")
    if folder.exists() and not _mark(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise FetchError(WRONG_CALL, f"{folder} holds something that was not fetched. Name another one, or empty it.")


def _mark(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return (folder / MARK).read_text()
    return ""


def _download(uri: str, sha256: str, target: Path) -> int:
    """Stream the object to a file, again while the store does not answer; return its bytes."""
    deadline = time.monotonic() + SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(uri, sha256, target)
        except FetchError as error:
            pause = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
            if not error.again:
                raise
            if attempt == ATTEMPTS or time.monotonic() + pause > deadline:
                raise FetchError(error.code, f"{error} ({attempt} attempts)") from error
            _say(f"Attempt {attempt} of {ATTEMPTS}, again in {pause:.1f} s: {error}")
            time.sleep(pause)
    raise AssertionError("unreachable")


def _attempt(uri: str, sha256: str, target: Path) -> int:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    digest, size = hashlib.sha256(), 0
    with _store_errors(uri), target.open("wb") as file:
        answer = obstore.get(_store(bucket), key)
        if answer.meta["size"] > PACKED_BYTES:
            raise FetchError(WRONG_BENTO, _too_large(uri, f"{answer.meta['size']:,} bytes"))
        for piece in answer.stream():
            size += len(piece)
            if size > PACKED_BYTES:
                raise FetchError(WRONG_BENTO, _too_large(uri, f"over {PACKED_BYTES:,} bytes"))
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != sha256:
        raise FetchError(
            WRONG_BENTO,
            f"{uri} has the SHA-256 {digest.hexdigest()}, not {sha256}: it is not what was shipped. "
            "Ship it again (`sentiment ship`), and find out who wrote there.",
        )
    return size


def _store(bucket: str) -> S3Store:
    """Return the bucket; obstore takes credentials and region from the environment as EKS sets it."""
    endpoint = _named("SENTIMENT_STORAGE__ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    config: S3Config = {}
    if endpoint:
        config["endpoint"] = endpoint
    if region := _named("SENTIMENT_STORAGE__REGION"):
        config["region"] = region
    return S3Store(
        bucket,
        config=config,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=STALL_SECONDS),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
        },
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=REQUEST_SECONDS)},
    )


def _named(*names: str) -> str:
    """Return the first of these environment variables that is set."""
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


@contextlib.contextmanager
def _store_errors(uri: str) -> Iterator[None]:
    """Say what obstore raised in plain words, and whether it may be different in a moment."""
    try:
        yield
    except FileNotFoundError as error:
        raise FetchError(NO_ACCESS, f"{uri} is not there. `sentiment ship` puts it there again.") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise FetchError(
            NO_ACCESS,
            f"{uri} may not be read, or is not there: {_reason(error)}. Let the role of the pod's service account "
            "read bentos/by-digest/ (s3:GetObject).",
        ) from error
    except StoreError as error:
        raise _refused(uri, " ".join(str(error).split()), _reason(error)) from error


def _refused(uri: str, text: str, reason: str) -> FetchError:
    if any(sign in text for sign in _NO_IDENTITY):
        return FetchError(
            NO_ACCESS,
            f"There are no credentials for {uri}: {reason}. Give the pod a role: serviceAccount.identity of the chart, "
            "and for podIdentity the association in EKS.",
        )
    if "configured region" in text:
        return FetchError(NO_ACCESS, f"The bucket of {uri} is in another region. Set AWS_REGION, as in env.AWS_REGION.")
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    if 400 <= status < 500 and status not in (408, 429):
        return FetchError(NO_ACCESS, f"{uri} cannot be read: {reason}. Look at the role and its trust policy.")
    said = f"{uri} did not come: {reason}. Is the store up, and does networkPolicy.httpsTo let the pod reach it?"
    return FetchError(NO_ANSWER, said, again=True)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()).split(" Debug source:")[0]
    return text.removeprefix("Generic S3 error: ")[:300].rstrip(". ")


def _unpack(file: Path, folder: Path, uri: str) -> None:
    """Unpack files and folders, and nothing else, within bounds."""
    size = entries = 0
    folder.mkdir()
    try:
        with tarfile.open(file, "r:xz") as archive:
            for entry in archive:
                size, entries = size + entry.size, entries + 1
                if size > UNPACKED_BYTES or entries > ENTRIES:
                    bound = f"over {UNPACKED_BYTES:,} bytes or {ENTRIES:,} files when unpacked"
                    raise FetchError(WRONG_BENTO, _too_large(uri, bound))
                _check_entry(entry, uri)
                archive.extract(entry, folder, filter="data")
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise FetchError(WRONG_BENTO, f"{uri} cannot be unpacked: {error}. Package and ship it again.") from error
    if not (folder / "bento.yaml").is_file():
        raise FetchError(WRONG_BENTO, f"{uri} is no Bento: it has no bento.yaml. Ship one (`sentiment ship`).")


def _check_entry(entry: tarfile.TarInfo, uri: str) -> None:
    path = PurePosixPath(entry.name)
    if not (entry.isreg() or entry.isdir()) or entry.issparse():
        raise FetchError(WRONG_BENTO, f"{uri} holds {entry.name!r}, no file and no folder: no Bento of ours does.")
    if path.is_absolute() or ".." in path.parts:
        raise FetchError(WRONG_BENTO, f"{uri} holds {entry.name!r}, outside of it: no Bento of ours does.")


def _too_large(uri: str, size: str) -> str:
    return f"{uri} is too large: {size}. Larger ones need an image (deployment.ship: image)."


def _settle(folder: Path) -> None:
    """Bring everything to the disk: a node may fail, and the pod start again on what is there."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exchange(place: Path, folder: Path) -> None:
    if _mark(folder):
        folder.rename(place / "former")
    (place / "bento").rename(folder)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FetchError(
            NO_ACCESS,
            f"{folder} cannot be written: {error.strerror}. It needs a volume with room, of user {os.getuid()}.",
        ) from error


def _say(text: str) -> None:
    sys.stderr.write(f"fetch: {text}\n")
    sys.stderr.flush()


def _end(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def main(arguments: Sequence[str]) -> int:
    """Fetch, say one line, and return how to end."""
    signal.signal(signal.SIGTERM, _end)  # the first process of a container has no handler unless it sets one
    if len(arguments) != 3:
        _say("It is called as: python fetch.py s3://bucket/key SHA256 FOLDER")
        return WRONG_CALL
    uri, sha256, folder = arguments
    try:
        _say(fetch(uri, sha256, Path(folder)))
    except FetchError as error:
        _say(str(error))
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
