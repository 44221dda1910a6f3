"""The feedback log: what callers say about answers, for the landing zone, without saying who they are.

A reporter is known by a keyed hash (HMAC-SHA-256): of the id that the caller gives, or else of the caller's
address. The key is made once and kept under ``keys/``, the same for every server of a storage root. Addresses
and ids are never stored; without the key nobody can try out which address a hash belongs to.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sentiment.serving.landing import LandingLog
from sentiment.settings import Settings
from sentiment.storage import Storage

KEY = "keys/reporters"
_HASH_DIGITS = 32


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
    """Writes feedback to ``landing/feedback/``."""

    folder, what = "landing/feedback", "feedback"

    def __init__(self, settings: Settings) -> None:
        self._key = b""
        super().__init__(settings)

    def line(self, record: Feedback) -> dict[str, Any]:
        """Return feedback as JSON types, with hashes for whom it came from."""
        client = pseudonym(self._key, "address", network_of(record.address))
        return {
            "request_id": record.request_id,
            "label": record.label,
            "comment": record.comment,
            "reporter": pseudonym(self._key, "reporter", record.reporter) if record.reporter else client,
            "client": client,
            "received_at": record.received_at.astimezone(UTC).isoformat(),
        }

    def _open(self) -> Storage:
        storage = super()._open()
        self._key = reporter_key(storage)
        return storage


def reporter_key(storage: Storage) -> bytes:
    """Return the key of the hashes; the first server makes it."""
    try:
        return storage.read(KEY)
    except FileNotFoundError:
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
