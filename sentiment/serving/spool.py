"""The spool: what a server has logged, on local disk, until the storage has it.

A process has a folder of its own, with a lock that the kernel releases when the process dies, however it dies.
Records are appended to segments; a segment that is sealed never changes, and its name names what is sent. Other
processes take over the segments of the dead by renaming them, so a segment has one owner at any time.

A line is ``<crc32 in 8 hex digits> <record>``. What a killed process or a power cut left half written does not
fit its sum and is left out; so nothing that a reader would choke on is ever parsed.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import uuid
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_LOCK, _ENDING, _MOMENT = "lock", ".lines", "%Y%m%dT%H%M%S"
_SUM_DIGITS = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Segment:
    """Records that are sent as one file.

    Attributes
    ----------
    name : str
        ``<utc>-<uuid>``, of when it began.
    began : float
        Unix time.
    records, size : int
        How many, and bytes on disk; 0 for one that is only in memory.
    path : Path or None
        None: `data` holds it, because the disk did not take it.
    """

    name: str
    began: float
    records: int
    size: int
    path: Path | None
    data: bytes = field(default=b"", repr=False)

    def lines(self) -> tuple[list[bytes], int]:
        """Return the whole records, and how many there were besides."""
        if self.path is None:
            return whole_lines(self.data)
        with self.path.open("rb") as file:
            return whole_lines(file.read(self.size))


def in_memory(lines: bytes, *, began: float, records: int) -> Segment:
    """Return a segment of lines that the disk did not take."""
    return Segment(_name(began), began, records, 0, None, lines)


def framed(record: bytes) -> bytes:
    """Return a record, which has no line break, as a line that shows whether it is whole."""
    return b"%08x %s\n" % (zlib.crc32(record), record)


def whole_lines(data: bytes) -> tuple[list[bytes], int]:
    """Return the records of all lines that are whole, and the number of those that are not."""
    lines = data.split(b"\n")
    rest = lines.pop()  # empty, unless the last line was cut off
    records = [line[_SUM_DIGITS + 1 :] for line in lines if _is_whole(line)]
    return records, len(lines) - len(records) + bool(rest)


def _is_whole(line: bytes) -> bool:
    return line[: _SUM_DIGITS + 1] == b"%08x " % zlib.crc32(line[_SUM_DIGITS + 1 :])


def _name(began: float) -> str:
    return f"{datetime.fromtimestamp(began, UTC):{_MOMENT}}-{uuid.uuid4().hex}"


class Spool:
    """The folder of one process among those of others.

    Parameters
    ----------
    folder : Path
        Where the processes that log the same have theirs; made if it is not there.

    Raises
    ------
    OSError
        It cannot be made or locked. All methods raise it too when the disk is full or away.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._own = folder / uuid.uuid4().hex
        with _locked(folder / _LOCK):  # so that nobody takes the folder for one of the dead
            self._own.mkdir(mode=0o700)
            self._lock = (self._own / _LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._file: int | None = None
        self._segment = in_memory(b"", began=0, records=0)

    @property
    def open_segment(self) -> Segment | None:
        """What has been appended since the last seal."""
        return None if self._file is None else self._segment

    def append(self, lines: bytes, *, records: int, began: float) -> None:
        """Hand lines to the kernel, all or none; they are then safe from the death of this process."""
        if self._file is None:
            self._begin(began)
        assert self._file is not None
        now = self._segment
        try:
            _write(self._file, lines)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, now.size)  # and if that fails too: nobody reads beyond the size
            raise
        self._segment = Segment(now.name, now.began, now.records + records, now.size + len(lines), now.path)

    def sync(self) -> None:
        """Wait until the disk has what was appended."""
        if self._file is not None:
            os.fdatasync(self._file)

    def seal(self) -> Segment | None:
        """Return what was appended, which now changes no more; None if that is nothing."""
        if self._file is None:
            return None
        os.close(self._file)
        self._file, sealed = None, self._segment
        if sealed.records:
            return sealed
        self.discard(sealed)
        return None

    def discard(self, segment: Segment) -> None:
        """Remove a segment."""
        if segment.path is not None:
            with contextlib.suppress(OSError):
                segment.path.unlink()

    def adopt(self) -> list[Segment]:
        """Take over what dead processes left, oldest first."""
        taken: list[Path] = []
        with _locked(self._folder / _LOCK):
            for folder in [path for path in self._folder.iterdir() if path.is_dir() and path != self._own]:
                try:
                    self._take(folder, taken)
                except FileNotFoundError:  # its process has just removed it
                    continue
                except OSError as error:
                    log.warning("%s is left alone: %s", folder, error)
        return sorted(map(_adopted, taken), key=lambda segment: segment.name)

    def close(self) -> None:
        """Leave what is not sent to the next process."""
        if self._file is not None:  # a write hangs; nobody else may have it before this process ends
            return
        if len(list(self._own.iterdir())) == 1:
            _remove(self._own)
        self._lock.close()

    def _begin(self, began: float) -> None:
        name = _name(began)
        path = self._own / f"{name}{_ENDING}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segment = Segment(name, began, 0, 0, path)

    def _take(self, folder: Path, taken: list[Path]) -> None:
        with (folder / _LOCK).open("a") as lock:  # made, if its process died before it could
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # it lives
                return
            for path in folder.glob(f"*{_ENDING}"):
                taken.append(path.rename(self._own / path.name))
            _remove(folder)


def _adopted(path: Path) -> Segment:
    began = datetime.strptime(path.stem.partition("-")[0], _MOMENT).replace(tzinfo=UTC).timestamp()
    data = path.read_bytes()
    return Segment(path.stem, began, data.count(b"\n"), len(data), path)


def sync_file(path: Path) -> None:
    """Wait until the disk has a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _remove(folder: Path) -> None:
    """Remove a process's folder, which holds only its lock."""
    (folder / _LOCK).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something else is in it
        folder.rmdir()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock for a moment; the others wait."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def joined(lines: Iterable[bytes]) -> bytes:
    """Return records as one text, a line each."""
    return b"".join(line + b"\n" for line in lines)
