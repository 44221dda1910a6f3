"""Who may ask what, and how often; decided before the body of a request is read."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from bento.problems import Refusal
from bento.rates import Rate, Rates
from sentiment.errors import SettingsError
from sentiment.serving.feedback import network_of
from sentiment.serving.keys import ApiKey, Keys, KeyScope
from sentiment.settings import ServingSettings

LOOK_SECONDS = 1.0
"""How often it is looked whether the key file has changed."""

SCOPES = MappingProxyType(
    {
        "/predict": KeyScope.predict,
        "/predict_batch": KeyScope.predict,
        "/explain": KeyScope.predict,
        "/model": KeyScope.predict,
        "/feedback": KeyScope.feedback,
    }
)
"""What a path takes; what is neither here nor open is for `admin`, such as ``/recent``."""

OPEN = frozenset(
    {"/", "/docs", "/docs.json", "/schema.json", "/favicon.ico", "/livez", "/readyz", "/healthz", "/metrics"}
)
OPEN_FOLDERS = ("/page/", "/static_content/")

log = logging.getLogger(__name__)


class KeyFile:
    """The keys of a file that may be exchanged at any time. What cannot be read leaves those that were read last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._state()
        self._keys = Keys.read(path)
        self._look_at = time.monotonic() + LOOK_SECONDS

    def find(self, presented: str) -> ApiKey | None:
        """Return the valid key that was presented, if it is one."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look()
        return self._keys.find(presented, now=datetime.now(UTC))

    def _look(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        try:
            self._keys, self._seen = Keys.read(self._path), state
            log.info("the key file %s has changed: %d keys", self._path, len(self._keys.keys))
        except SettingsError as error:
            self._seen = state
            log.error("the keys stay as they were: %s", error)

    def _state(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


class Access:
    """Keys, their scopes, and rates, as the settings have them."""

    def __init__(self, settings: ServingSettings) -> None:
        self._keys = KeyFile(Path(settings.keys_file)) if settings.keys_file else None
        self._per_minute, self._burst = settings.requests_per_minute, settings.burst
        self._probe_key, self._rates = settings.probe_key.encode(), Rates()

    @property
    def is_open(self) -> bool:
        """Whether nothing is asked of anybody."""
        return self._keys is None and not self._per_minute

    def check(self, path: str, headers: Mapping[bytes, bytes], *, address: str) -> None:
        """Let a request pass.

        Raises
        ------
        Refusal
            401 without a valid key, 403 if the key has not the scope, 429 if there were too many requests.
        """
        if self.is_open or path in OPEN or path.startswith(OPEN_FOLDERS) or self._is_probe(path, headers):
            return
        caller, per_minute = f"address {network_of(address)}", self._per_minute
        if self._keys is not None:
            key = _admitted(self._keys.find(presented(headers)), presented(headers), path)
            caller = f"key {key.id}"
            per_minute = self._per_minute if key.requests_per_minute is None else key.requests_per_minute
        if per_minute:
            seconds = self._rates.wait(caller, Rate(per_minute, self._burst), now=time.monotonic())
            if seconds:
                detail = f"At most {per_minute} requests a minute, {self._burst} at once. Wait {seconds} s."
                raise Refusal(429, "Too many requests", detail, headers={"Retry-After": str(seconds)})

    def _is_probe(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether whoever started this server asks for a first answer."""
        given = headers.get(b"x-sentiment-probe", b"")
        known = bool(self._probe_key) and hmac.compare_digest(given, self._probe_key)
        return known and SCOPES.get(path) is KeyScope.predict


def presented(headers: Mapping[bytes, bytes]) -> str:
    """Return the key that comes with a request, as ``Authorization: Bearer`` or ``X-API-Key``; empty if none does."""
    scheme, _, value = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return headers.get(b"x-api-key", b"").decode("latin-1").strip()


def _admitted(key: ApiKey | None, given: str, path: str) -> ApiKey:
    scope = SCOPES.get(path, KeyScope.admin)
    if key is None:
        said = "The key is not valid, or no longer." if given else "This needs an API key."
        detail = f"{said} Send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
        error = ', error="invalid_token"' if given else ""
        raise Refusal(401, "Not authorized", detail, headers={"WWW-Authenticate": f'Bearer realm="sentiment"{error}'})
    if not key.may(scope):
        detail = f"The key has the scopes {', '.join(key.scopes)}; this needs {scope}."
        challenge = f'Bearer realm="sentiment", error="insufficient_scope", scope="{scope}"'
        raise Refusal(403, "Not allowed", detail, headers={"WWW-Authenticate": challenge})
    return key
