"""The feedback log: what callers say about answers, for the landing zone, without saying who they are.

A reporter is known by a keyed hash (HMAC-SHA-256): of the id that the caller gives, or else of the caller's
address. The key is made once and kept under ``keys/``, the same for every server of a storage root. Addresses
and ids are never stored; without the key nobody can try out which address a hash belongs to.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sentiment.errors import StorageError
from sentiment.redaction import redact
from sentiment.serving.landing import LandingLog
from sentiment.serving.landing_file import MOMENT, TEXT, schema
from sentiment.settings import Settings
from sentiment.storage import Storage

KEY = "keys/reporters"
_HASH_DIGITS = 32

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a caller said about one answer; `reporter` and `address` in clear, in memory only."""

    request_id: str
    label: str
    comment: str
    reporter: str
    address: str
    received_at: datetime

    @property
    def characters(self) -> int:
        """How much text it holds."""
        return len(self.comment) + len(self.reporter)


class FeedbackLog(LandingLog[Feedback]):
    """Writes feedback to ``landing/feedback/``; it waits in memory until the key of the hashes has been read."""

    kind = "feedback"
    columns = schema(
        {"request_id": TEXT, "label": TEXT, "comment": TEXT, "reporter": TEXT, "client": TEXT, "received_at": MOMENT}
    )

    def __init__(self, settings: Settings) -> None:
        self._settings, self._redacts = settings, settings.data.redact
        self._key = b""
        super().__init__(settings)

    def ready(self) -> bool:
        """Whether the key is known; neither addresses nor ids reach the disk before."""
        if not self._key:
            try:
                self._key = reporter_key(Storage(self._settings))
            except Exception as error:  # whatever it is, feedback goes on waiting
                log.warning("%d pieces of feedback wait for %s: %s", self.waiting, KEY, error)
        return bool(self._key)

    def line(self, record: Feedback) -> dict[str, Any]:
        """Return feedback as JSON types, without personal data, with hashes for whom it came from."""
        client = pseudonym(self._key, "address", network_of(record.address))
        comment = record.comment.encode(errors="replace").decode()
        return {
            "request_id": record.request_id,
            "label": record.label,
            "comment": redact(comment)[0] if self._redacts else comment,
            "reporter": pseudonym(self._key, "reporter", record.reporter) if record.reporter else client,
            "client": client,
            "received_at": record.received_at.astimezone(UTC).isoformat(),
        }


def reporter_key(storage: Storage) -> bytes:
    """Return the key of the hashes; the first server makes it."""
    try:
        return storage.read(KEY)
    except (FileNotFoundError, StorageError):  # who may not list is told 403, not 404, of what is not there
        storage.create(KEY, secrets.token_bytes(32))
        return storage.read(KEY)


def pseudonym(key: bytes, kind: str, value: str) -> str:
    """Return 32 hexadecimal digits that stand for a value, the same as long as the key is."""
    message = f"{kind}\0{value}".encode(errors="surrogatepass")
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:_HASH_DIGITS]


def network_of(address: str) -> str:
    """Return what one caller cannot change at will: an IPv4 address, the first 64 bits of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found) if found.version == 4 else str(ipaddress.ip_network((int(found), 64), strict=False))
