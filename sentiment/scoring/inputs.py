"""What there is to score: a file, a folder, an S3 object or prefix, an address, or a snapshot, as files to read."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from sentiment.errors import DataError, SettingsError, SourceError
from sentiment.reviews.formats import reader_of
from sentiment.reviews.remote import fetched, is_remote
from sentiment.reviews.sources import fingerprint, readable
from sentiment.reviews.table import Reviews, check_version, latest_snapshot, parse_snapshot
from sentiment.settings import Settings, StorageSettings
from sentiment.storage import Object, Storage

SNAPSHOT = "reviews@"
LATEST = f"{SNAPSHOT}latest"
SNAPSHOT_KEEPS = ("review_id",)
"""What is kept of the rows of a snapshot, beside what is asked for."""


@dataclass(frozen=True)
class Source:
    """One file to score.

    Attributes
    ----------
    name : str
        Its path below the input.
    fingerprint : str
        Changes when the file does; empty if only its content can tell.
    opened : callable
        Gives it as a local file while it is read.
    """

    name: str
    fingerprint: str
    opened: Callable[[], AbstractContextManager[Path]]


def sources_of(settings: Settings, given: str) -> list[Source]:
    """Return the files of an input, by name; hidden files and those that start with ``_`` are none.

    Raises
    ------
    SourceError, DataError
        There is nothing there, or no such snapshot.
    StorageError
        The store cannot be read.
    """
    if given.startswith(SNAPSHOT):
        return _of_snapshot(settings, parse_snapshot(given))
    if given.startswith("s3://"):
        return _on_s3(settings, given)
    if is_remote(given):
        return [Source(PurePosixPath(given).name, "", partial(fetched, given, settings))]
    return _local(Path(given).expanduser())


def pinned(settings: Settings, given: str) -> str:
    """Return an input by a name that means the same for ever: the number of the latest snapshot, full paths."""
    if given == LATEST:
        latest = latest_snapshot(Storage(settings))
        if latest is None:
            raise DataError("There are no reviews yet.", fix="Ingest some: `sentiment ingest FILE`.")
        return str(latest)
    if given.startswith(SNAPSHOT):
        return f"{SNAPSHOT}v{parse_snapshot(given)}"
    return given.rstrip("/") if is_remote(given) else str(Path(given).expanduser().resolve())


def storage_at(settings: Settings, address: str) -> Storage:
    """Return the storage whose root is this folder or ``s3://bucket/prefix``."""
    try:
        place = StorageSettings.model_validate({**settings.storage.model_dump(), "root": address})
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{address!r} is no place to write to: {reason}.", fix="Name another.") from error
    return Storage(settings.model_copy(update={"storage": place}))


def _local(path: Path) -> list[Source]:
    with readable(path):
        if path.is_file():
            return [_file(path, path.name)]
        inside = [(file, file.relative_to(path)) for file in sorted(path.rglob("*")) if file.is_file()]
        files = [(file, name) for file, name in inside if _counts(name.parts)]
        if files and not any(_is_known(file) for file, _ in files) and any(path.glob("*/*.txt")):
            return [_file(path, path.name)]
        return _some([_file(file, name.as_posix()) for file, name in files], path)


def _file(path: Path, name: str) -> Source:
    try:
        seen = hashlib.sha256(repr(fingerprint(path)).encode()).hexdigest()
    except SourceError:  # it is empty or gone: told when it is its turn
        seen = ""
    return Source(name, seen, partial(_in_place, path))


def _in_place(path: Path) -> AbstractContextManager[Path]:
    return nullcontext(path)


def _is_known(path: Path) -> bool:
    try:
        reader_of(path)
    except SourceError:
        return False
    return True


def _on_s3(settings: Settings, address: str) -> list[Source]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    storage = storage_at(settings, f"s3://{bucket}")
    key = key.strip("/")
    if key and _is_object(storage, key):
        name = PurePosixPath(key).name
        return [Source(name, "", partial(_download, settings, storage, key))]
    named = [(item, item.path.removeprefix(key).lstrip("/")) for item in storage.objects(key)]
    found = [(item, name) for item, name in named if _counts(name.split("/")) and not _is_marker(item)]
    return _some([_s3_source(settings, storage, item, name) for item, name in found], address)


def _is_object(storage: Storage, key: str) -> bool:
    try:
        storage.size(key)
    except FileNotFoundError:
        return False
    return True


def _is_marker(item: Object) -> bool:
    """Return whether it is what consoles put in the place of a folder."""
    return item.size == 0 and not PurePosixPath(item.path).suffix


def _s3_source(settings: Settings, storage: Storage, item: Object, name: str) -> Source:
    return Source(name, f"{item.size} {item.modified.isoformat()}", partial(_download, settings, storage, item.path))


@contextmanager
def _download(settings: Settings, storage: Storage, path: str) -> Iterator[Path]:
    """Give an object as a local file; a store that fails ends the run, an object that is gone only its file."""
    folder = settings.local_dir / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        local = Path(temporary, PurePosixPath(path).name)
        limit = settings.data.max_download_bytes
        try:
            if (size := storage.size(path)) > limit:
                raise SourceError(
                    f"{storage.uri(path)} has {size:,} bytes, at most {limit:,} are fetched.",
                    fix="Deliver it in parts, or raise data.max_download_bytes.",
                )
            storage.fetch(path, local)
        except FileNotFoundError as error:
            raise SourceError(f"There is no object {storage.uri(path)} any more.", fix="Deliver it again.") from error
        yield local


def _of_snapshot(settings: Settings, version: int) -> list[Source]:
    storage = Storage(settings)
    reviews = Reviews(storage)
    check_version(reviews, version)
    table = reviews.open(version)
    uris = sorted(table.file_uris()) if table else []
    folder = f"tables/{reviews.name}"
    names = [PurePosixPath(uri).name for uri in uris]
    return _some([_table_file(settings, storage, f"{folder}/{name}", name) for name in names], f"{SNAPSHOT}v{version}")


def _table_file(settings: Settings, storage: Storage, path: str, name: str) -> Source:
    if storage.is_local:
        return Source(name, "never changes", partial(_in_place, Path(storage.uri(path))))
    return Source(name, "never changes", partial(_download, settings, storage, path))


def _counts(parts: Sequence[str]) -> bool:
    return not any(part.startswith((".", "_")) for part in parts)


def _some(sources: list[Source], where: object) -> list[Source]:
    if not sources:
        raise SourceError(f"There is nothing to score at {where}.", fix="Check the path.")
    return sources
