"""Where things live: one root, a local folder or ``s3://bucket/prefix``, with the same code for both.

Paths are relative to the root and use forward slashes. Every write is atomic: a reader sees the whole
object or none of it.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, S3Store

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Config

from sentiment.errors import StorageError, disk_full, storage_errors
from sentiment.settings import Settings

RETRY: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}


@dataclass(frozen=True)
class Object:
    """One object; `modified` is when it came to its path, be it written, moved or renamed there."""

    path: str
    size: int
    modified: datetime


class Storage:
    """The objects under the storage root.

    Parameters
    ----------
    settings : Settings
        ``storage.root`` decides between a folder (made if absent) and S3, whose credentials come from
        the standard AWS chain.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.storage
        self.root = settings.storage.root
        with storage_errors(self.root):
            if self.is_local:
                Path(self.root).mkdir(parents=True, exist_ok=True)
                self._store: Any = LocalStore(prefix=self.root, mkdir=True)
            elif self.root.startswith("s3://"):
                self._store = S3Store.from_url(
                    self.root,
                    config=self._s3_config(),
                    client_options={"allow_http": self._plain_http},
                    retry_config=RETRY,
                )
            else:
                raise StorageError(
                    f"storage.root {self.root!r} is neither a folder nor s3://bucket/prefix.",
                    fix="Set SENTIMENT_STORAGE__ROOT.",
                )

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder on this machine."""
        return "://" not in self.root

    def uri(self, path: str) -> str:
        """Full address of a path: a file name, or an s3:// URI."""
        return f"{self.root}/{path}"

    def options(self) -> dict[str, str]:
        """Storage options for deltalake; empty for a local root."""
        if self.is_local:
            return {}
        options = {f"AWS_{key.upper()}": str(value) for key, value in self._s3_config().items()}
        return {**options, "AWS_ALLOW_HTTP": "true"} if self._plain_http else options

    def check_room(self, size: int, path: str) -> None:
        """Raise `StorageError` if a local disk has no room for `size` bytes; S3 always has.

        The libraries that write notice a full disk too, but not all of them quietly.
        """
        if self.is_local and shutil.disk_usage(self.root).free < size:
            raise disk_full(path)

    def write(self, path: str, data: bytes) -> None:
        """Write an object, replacing what was there, atomically."""
        with storage_errors(self.uri(path)):
            obstore.put(self._store, path, data)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object only if there is none; return whether this call created it."""
        with storage_errors(self.uri(path)):
            try:
                obstore.put(self._store, path, data, mode="create")
            except AlreadyExistsError:
                return False
            return True

    def read(self, path: str) -> bytes:
        """Read an object.

        Raises
        ------
        FileNotFoundError
            There is none.
        """
        try:
            with storage_errors(self.uri(path)):
                return bytes(obstore.get(self._store, path).bytes())
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise FileNotFoundError(self.uri(path)) from error
            raise

    def fetch(self, path: str, target: Path) -> None:
        """Copy an object to a local file, a piece at a time.

        Raises
        ------
        FileNotFoundError
            There is none.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with storage_errors(self.uri(path)), target.open("wb") as file:
                for piece in obstore.get(self._store, path):
                    file.write(piece)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise FileNotFoundError(self.uri(path)) from error
            raise

    def size(self, path: str) -> int:
        """Return the bytes of an object.

        Raises
        ------
        FileNotFoundError
            There is none.
        """
        try:
            with storage_errors(self.uri(path)):
                return int(obstore.head(self._store, path)["size"])
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise FileNotFoundError(self.uri(path)) from error
            raise

    def upload(self, source: Path, path: str) -> None:
        """Copy a local file to an object, a piece at a time, atomically."""
        with storage_errors(self.uri(path)):
            obstore.put(self._store, path, source)

    def read_json(self, path: str) -> Any:
        """Read an object as JSON; None if there is none."""
        try:
            return json.loads(self.read(path))
        except FileNotFoundError:
            return None

    def objects(self, prefix: str) -> list[Object]:
        """Return all objects under a prefix with size and time, sorted by path; dot files are left out."""
        with storage_errors(self.uri(prefix)):
            if self.is_local:
                found = _local_objects(Path(self.root), prefix)
            else:
                pages = obstore.list(self._store, prefix=prefix)
                found = [Object(i["path"], int(i["size"]), i["last_modified"]) for page in pages for i in page]
        shown = (item for item in found if not any(part.startswith(".") for part in item.path.split("/")))
        return sorted(shown, key=lambda item: item.path)

    def list(self, prefix: str) -> list[str]:
        """Paths of all objects under a prefix, sorted; dot files are left out."""
        with storage_errors(self.uri(prefix)):
            found = [item["path"] for page in obstore.list(self._store, prefix=prefix) for item in page]
        return sorted(path for path in found if not any(part.startswith(".") for part in path.split("/")))

    def delete(self, path: str) -> None:
        """Remove an object; nothing happens if there is none."""
        with storage_errors(self.uri(path)):
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return

    def remove(self, path: str) -> None:
        """Remove what `objects` named, an unfinished file of a killed write included, and folders that get empty."""
        if not self.is_local:
            self.delete(path)
            return
        with storage_errors(self.uri(path)):
            file = Path(self.root, path)
            file.unlink(missing_ok=True)
            for folder in file.relative_to(self.root).parents[:-2]:  # the top folders stay
                try:
                    Path(self.root, folder).rmdir()
                except OSError:  # not empty
                    return

    def move(self, source: str, target: str) -> None:
        """Move an object, replacing the target."""
        with storage_errors(self.uri(source)):
            obstore.rename(self._store, source, target)

    @property
    def _plain_http(self) -> bool:
        return self._endpoint.startswith("http://")

    @property
    def _endpoint(self) -> str:
        return self._settings.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3", "")

    def _s3_config(self) -> S3Config:
        config: S3Config = {}
        if self._settings.region:
            config["region"] = self._settings.region
        if self._endpoint:
            config["endpoint"] = self._endpoint
        return config


def _local_objects(root: Path, prefix: str) -> list[Object]:
    """Return the files of a folder, those included that an interrupted write left; a rename counts as a change."""
    found = []
    for folder, _, names in os.walk(root / prefix):
        for name in names:
            path = Path(folder, name)
            try:
                stat = path.stat()
            except FileNotFoundError:  # removed meanwhile
                continue
            changed = datetime.fromtimestamp(max(stat.st_mtime, stat.st_ctime), UTC)
            found.append(Object(path.relative_to(root).as_posix(), stat.st_size, changed))
    return found
