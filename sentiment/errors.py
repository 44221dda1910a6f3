"""What can go wrong, as one tree.

::

    SentimentError            exit 1   anything of ours; the message says what, where and what to do
    ├── SettingsError         exit 2   a setting is missing, unknown or out of bounds
    ├── DataError             exit 3   the rows
    │   ├── SourceError                a file is missing, empty, truncated, binary, or lacks a column
    │   └── NotEnoughDataError         fewer rows, or fewer labels, than the stage needs
    ├── ModelError            exit 4   the models
    │   ├── NoChampionError            nothing has been promoted yet
    │   ├── IntegrityError             a file is not the one that was registered
    │   ├── PromotionConflictError     somebody else moved the champion first
    │   └── TakenBackError             it failed where it is served, and the version before it serves again
    ├── ServiceError          exit 5   a service does not answer, does not start or died
    └── StorageError          exit 6   the storage root cannot be read or written

``exit`` is the status with which the command line ends.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar


class SentimentError(Exception):
    """Base of every error that this package raises on purpose.

    Parameters
    ----------
    message : str
        What was wrong and where (file, row, setting).
    fix : str, optional
        What to do next.

    Attributes
    ----------
    result : object
        What was done all the same, where the stage got that far; None otherwise.
    """

    exit_code: ClassVar[int] = 1
    result: Any = None

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()

    def __reduce__(self) -> tuple[object, ...]:  # exceptions cross process borders in Airflow
        return _rebuild, (type(self), self.message, self.fix)


def _rebuild(kind: type[SentimentError], message: str, fix: str) -> SentimentError:
    return kind(message, fix=fix)


class SettingsError(SentimentError):
    """A setting is missing, unknown or out of bounds."""

    exit_code = 2


class DataError(SentimentError):
    """The rows cannot be used."""

    exit_code = 3


class SourceError(DataError):
    """A file is missing, empty, truncated, binary, or lacks a column."""


class NotEnoughDataError(DataError):
    """Fewer rows, or fewer labels, than the stage needs."""


class ModelError(SentimentError):
    """A model is missing or cannot be used."""

    exit_code = 4


class NoChampionError(ModelError):
    """Nothing has been promoted yet."""


class IntegrityError(ModelError):
    """A file is not the one that was registered."""


class PromotionConflictError(ModelError):
    """Somebody else moved the champion first."""


class TakenBackError(ModelError):
    """A new version failed where it is served, and the one before it serves again."""


class ServiceError(SentimentError):
    """A service does not answer, does not start, or died."""

    exit_code = 5


class StorageError(SentimentError):
    """The storage root cannot be read or written."""

    exit_code = 6


STORAGE_LIBRARIES = frozenset({"obstore", "_obstore", "deltalake", "_internal", "builtins", "pyarrow"})


NO_ROOM = ("No space left on device", "os error 28", "database or disk is full")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Translate foreign I/O errors about `where` into `StorageError`, once, at the edge."""
    try:
        yield
    except SentimentError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(where) from error
        fix = "Check SENTIMENT_STORAGE__ROOT and the credentials for it."
        if "s3://" not in where:
            fix = "Check the path and its permissions."
        raise StorageError(f"Storage failed at {where}: {one_line(error)}.", fix=fix) from error
    except Exception as error:
        text = str(error)
        if any(sign in text for sign in NO_ROOM):
            raise disk_full(where) from error
        if type(error).__module__.split(".")[0] in STORAGE_LIBRARIES:
            raise StorageError(
                f"Storage failed at {where}: {text.splitlines()[0] if text else type(error).__name__}.",
                fix="Check SENTIMENT_STORAGE__ROOT and the credentials for it.",
            ) from error
        raise


def one_line(error: BaseException) -> str:
    """Return what deltalake paints as a coloured tree in one plain line."""
    return " ".join(_COLOUR.sub("", str(error)).replace("\u21b3", "").split()).rstrip(". ")


def disk_full(where: str) -> StorageError:
    """Return the error of a disk that has no room for `where`."""
    return StorageError(
        f"The disk is full: could not write {where}. Nothing was half written.",
        fix="Free some space (`sentiment status` shows the storage root) and run the same command again.",
    )
