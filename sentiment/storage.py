"""Where things live: one root, a local folder or ``s3://bucket/prefix``, with the same code for both.

Paths are relative to the root and use forward slashes. Every write is atomic: a reader sees the whole
object or none of it. Calls to S3 that fail for the moment are repeated (`sentiment.retries`).
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore

from sentiment.errors import StorageError, disk_full, storage_errors
from sentiment.retries import RetryPolicy
from sentiment.settings import Settings

if TYPE_CHECKING:
    import boto3
    from obstore import GetOptions

    from sentiment.s3 import S3Access
    from sentiment.s3_store import S3Clients

PIECE_BYTES = 16 * 2**20
_CLAIM = "claim"
_T = TypeVar("_T")


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
        ``storage.root`` decides between a folder (made if absent) and S3.
    session : boto3.Session, optional
        Where credentials for S3 come from; by default the process's own, see `sentiment.s3`.

    Raises
    ------
    StorageError
        The root cannot be used, or there are no credentials for it.
    """

    def __init__(self, settings: Settings, *, session: boto3.Session | None = None) -> None:
        self.root = settings.storage.root
        self._policy = RetryPolicy(settings.storage.attempts, settings.storage.retry_seconds)
        self._s3: S3Access | None = None
        self._store: Any
        self._bulk: Any
        with storage_errors(self.root):
            if self.is_local:
                Path(self.root).mkdir(parents=True, exist_ok=True)
                self._store = self._bulk = LocalStore(prefix=self.root, mkdir=True)
            elif self.root.startswith("s3://"):
                clients = self._clients(settings, session)
                self._store, self._bulk = clients.store(self.root), clients.store(self.root, bulk=True)
            else:
                raise StorageError(
                    f"storage.root {self.root!r} is neither a folder nor s3://bucket/prefix.",
                    fix="Set SENTIMENT_STORAGE__ROOT.",
                )

    def _clients(self, settings: Settings, session: boto3.Session | None) -> S3Clients:
        """Return clients for S3; imported here, because they cost a local root nothing."""
        if session is None and find_spec("boto3") is None:  # in the served image
            from sentiment.s3_store import S3Clients

            return S3Clients(settings.storage)
        from sentiment.s3 import S3Access

        self._s3 = S3Access(settings.storage, session)
        return self._s3

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder on this machine."""
        return "://" not in self.root

    def uri(self, path: str) -> str:
        """Full address of a path: a file name, or an s3:// URI."""
        return f"{self.root}/{path}"

    def options(self) -> dict[str, str]:
        """Storage options for deltalake; empty for a local root. They age: ask for each table that is opened."""
        return self._s3.options() if self._s3 else {}

    def share_with_mlflow(self) -> None:
        """Let MLflow's artifacts take the same way to S3."""
        if self._s3:
            self._s3.share_with_mlflow()

    def persist(self, call: Callable[[], _T], *, what: str, where: str) -> _T:
        """Return what `call` returns, which is safe to repeat; see `RetryPolicy.call`."""
        return self._policy.call(call, what=what, where=where)

    def check_room(self, size: int, path: str) -> None:
        """Raise `StorageError` if a local disk has no room for `size` bytes; S3 always has.

        The libraries that write notice a full disk too, but not all of them quietly.
        """
        if self.is_local and shutil.disk_usage(self.root).free < size:
            raise disk_full(path)

    def write(self, path: str, data: bytes) -> None:
        """Write an object, replacing what was there, atomically."""
        self._persist("write", path, lambda: obstore.put(self._store, path, data))

    def create(self, path: str, data: bytes) -> bool:
        """Write an object only if there is none; return whether this call created it.

        An attempt may succeed and its answer be lost; the next one then finds an object. On S3 each object carries
        a claim, so it is known whose it is.
        """
        claim = uuid.uuid4().hex
        attributes = None if self.is_local else {_CLAIM: claim}

        def put() -> bool:
            try:
                obstore.put(self._store, path, data, mode="create", attributes=attributes)
            except AlreadyExistsError:
                return False
            return True

        return self._persist("create", path, put) or (not self.is_local and self._claimed(path) == claim)

    def read(self, path: str) -> bytes:
        """Read an object.

        Raises
        ------
        FileNotFoundError
            There is none.
        """
        return self._find("read", path, lambda: bytes(obstore.get(self._store, path).bytes()))

    def fetch(self, path: str, target: Path) -> None:
        """Copy an object to a local file, a piece at a time; a piece that fails is asked for again.

        Raises
        ------
        FileNotFoundError
            There is none.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        meta = self._find("read", path, lambda: obstore.head(self._store, path))

        unchanged: GetOptions = {} if self.is_local else {"if_match": meta["e_tag"]}

        def piece(start: int) -> Any:
            end = min(start + PIECE_BYTES, meta["size"])
            return obstore.get(self._store, path, options={"range": (start, end), **unchanged}).bytes()

        with storage_errors(str(target)), target.open("wb") as file:
            for start in range(0, meta["size"], PIECE_BYTES):
                file.write(self._find("read", path, partial(piece, start)))

    def size(self, path: str) -> int:
        """Return the bytes of an object.

        Raises
        ------
        FileNotFoundError
            There is none.
        """
        return int(self._find("read", path, lambda: obstore.head(self._store, path))["size"])

    def upload(self, source: Path, path: str) -> None:
        """Copy a local file to an object, a piece at a time, atomically."""
        self._persist("write", path, lambda: obstore.put(self._bulk, path, source))

    def read_json(self, path: str) -> Any:
        """Read an object as JSON; None if there is none."""
        try:
            return json.loads(self.read(path))
        except FileNotFoundError:
            return None

    def objects(self, prefix: str, *, most: int | None = None) -> list[Object]:
        """Return all objects under a prefix with size and time, sorted by path; dot files are left out.

        Parameters
        ----------
        prefix : str
        most : int, optional
            On S3, stop after so many, the first by path; a folder is always read whole.
        """

        def listed() -> list[Object]:
            if self.is_local:
                return _local_objects(Path(self.root), prefix)
            items = chain.from_iterable(obstore.list(self._store, prefix=prefix))
            return [Object(i["path"], int(i["size"]), i["last_modified"]) for i in islice(items, most)]

        found = self._persist("list", prefix, listed)
        shown = (item for item in found if not any(part.startswith(".") for part in item.path.split("/")))
        return sorted(shown, key=lambda item: item.path)

    def list(self, prefix: str) -> list[str]:
        """Paths of all objects under a prefix, sorted; dot files are left out."""
        found = self._persist(
            "list", prefix, lambda: [item["path"] for page in obstore.list(self._store, prefix=prefix) for item in page]
        )
        return sorted(path for path in found if not any(part.startswith(".") for part in path.split("/")))

    def delete(self, path: str) -> None:
        """Remove an object; nothing happens if there is none."""

        def delete() -> None:
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return

        self._persist("delete", path, delete)

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
        if self.is_local:
            with storage_errors(self.uri(source)):
                obstore.rename(self._store, source, target)
            return
        self._persist("copy", source, lambda: obstore.copy(self._store, source, target))
        self.delete(source)

    def _claimed(self, path: str) -> str | None:
        """Return whose claim an object carries."""
        found = self._find("read", path, lambda: obstore.get(self._store, path).attributes)
        return next((str(value) for name, value in found.items() if str(name).lower() == _CLAIM), None)

    def _find(self, what: str, path: str, call: Callable[[], _T]) -> _T:
        try:
            return self._persist(what, path, call)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise FileNotFoundError(self.uri(path)) from error
            raise

    def _persist(self, what: str, path: str, call: Callable[[], _T]) -> _T:
        return self.persist(call, what=what, where=self.uri(path))


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
