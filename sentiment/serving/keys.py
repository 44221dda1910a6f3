"""API keys: a file of their hashes, made by ``sentiment keys`` and read again by the servers when it changes.

A key is ``sent_ID_SECRET``: eight hexadecimal digits that name it, and 256 random bits. Only the SHA-256 of the
whole key is stored, which is enough for so many random bits: there is nothing to guess, so nothing to slow down.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sentiment.errors import SettingsError, storage_errors

_KEY = re.compile(r"sent_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
_NOBODY = "0" * 64


class KeyScope(StrEnum):
    """What a key may do: `predict` (also explain, and the model's facts), `feedback`, or `admin`: everything."""

    predict = "predict"
    feedback = "feedback"
    admin = "admin"


class ApiKey(BaseModel):
    """What is stored about a key.

    Attributes
    ----------
    id : str
        The first part of the key, shown in lists.
    name : str
        Who uses it.
    sha256 : str
        Of the whole key, in hex.
    requests_per_minute : int or None
        Its own rate limit instead of ``serving.requests_per_minute``; 0 for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    name: str = Field(min_length=1, max_length=100)
    scopes: tuple[KeyScope, ...] = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created_at: datetime
    expires_at: datetime | None = None
    requests_per_minute: int | None = Field(None, ge=0)

    def may(self, scope: KeyScope) -> bool:
        """Whether it has a scope, or all of them."""
        return scope in self.scopes or KeyScope.admin in self.scopes


class Keys(BaseModel):
    """All keys of a file, as they were read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[ApiKey, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read a key file.

        Raises
        ------
        SettingsError
            It is missing, or is no key file.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            fix = "Make it with `sentiment keys create NAME`, or correct serving.keys_file."
            raise SettingsError(f"The key file {path} is missing.", fix=fix) from error
        except (OSError, ValidationError) as error:
            reason = error if isinstance(error, OSError) else error.errors(include_input=False)[0]["msg"]
            raise SettingsError(f"The key file {path} cannot be used: {reason}.", fix="Correct it.") from error

    def find(self, presented: str, *, now: datetime) -> ApiKey | None:
        """Return the key that was presented, or None if it is none of these or is no longer valid."""
        match = _KEY.fullmatch(presented)
        named = match[1] if match else ""
        key = next((key for key in self.keys if key.id == named), None)
        same = hmac.compare_digest(digest(presented), key.sha256 if key else _NOBODY)
        valid = key is not None and (key.expires_at is None or now < key.expires_at)
        return key if same and valid else None


def digest(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


@dataclass(frozen=True)
class NewKey:
    """A key that was just made; the only time that it can be seen."""

    key: str
    stored: ApiKey


def create(
    path: Path,
    *,
    name: str,
    scopes: tuple[KeyScope, ...] = (KeyScope.predict, KeyScope.feedback),
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
) -> NewKey:
    """Make a key and add it to the file, which is made if there is none.

    Raises
    ------
    SettingsError, StorageError
        The file is no key file, or cannot be written.
    """
    made: list[NewKey] = []

    def add(keys: Keys) -> Keys:
        taken = {key.id for key in keys.keys}
        named = next(found for found in iter(lambda: secrets.token_hex(4), "") if found not in taken)
        secret = f"sent_{named}_{secrets.token_urlsafe(32)}"
        stored = ApiKey(
            id=named,
            name=name,
            scopes=scopes,
            sha256=digest(secret),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
            requests_per_minute=requests_per_minute,
        )
        made.append(NewKey(secret, stored))
        return Keys(keys=(*keys.keys, stored))

    _change(path, add)
    return made[0]


def revoke(path: Path, named: str) -> ApiKey:
    """Take the key with an id out of the file and return it.

    Raises
    ------
    SettingsError, StorageError
        There is no such key; or the file is no key file, or cannot be written.
    """
    gone: list[ApiKey] = []

    def remove(keys: Keys) -> Keys:
        gone.extend(key for key in keys.keys if key.id == named)
        if not gone:
            raise SettingsError(f"{path} has no key {named}.", fix="`sentiment keys list` shows their ids.")
        return Keys(keys=tuple(key for key in keys.keys if key.id != named))

    _change(path, remove)
    return gone[0]


def _change(path: Path, change: Callable[[Keys], Keys]) -> None:
    """Exchange the file in one step, one process at a time; a server reads the old one or the new one."""
    with storage_errors(str(path)), _alone(path):
        keys = change(Keys.read(path) if path.exists() else Keys())
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # only the owner reads it
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(keys.model_dump_json(indent=2).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                Path(temporary).chmod(path.stat().st_mode & 0o777)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
