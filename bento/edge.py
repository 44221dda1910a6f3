"""What happens to every request before and after the service sees it: keys, limits, one shape of errors, counts."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse

from bento.access import Access
from bento.load import LARGE_BODIES, Held, Load
from bento.metrics import metrics
from bento.problems import MEDIA_TYPE, Refusal, invalid, of_status
from sentiment.settings import load_settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TAKES_JSON = frozenset({"/predict", "/predict_batch", "/explain", "/feedback"})
COUNTED = TAKES_JSON | {"/model"}
PROBE_HEADER = b"x-sentiment-probe"
MAX_ERROR_BYTES = 64 * 1024
KEPT_HEADERS = frozenset({b"allow", b"www-authenticate", b"retry-after", b"location"})

is_probe: ContextVar[bool] = ContextVar("is_probe", default=False)
"""Whether the request only checks that the service answers: its answer is not logged."""

caller: ContextVar[str] = ContextVar("caller", default="")
"""Address of who asks; behind a proxy that is trusted, the one it names (uvicorn's ``FORWARDED_ALLOW_IPS``)."""

log = logging.getLogger(__name__)


def problem(refusal: Refusal) -> JSONResponse:
    """Return a refusal as a response."""
    return JSONResponse(
        refusal.to_dict(), status_code=refusal.status, headers=dict(refusal.headers), media_type=MEDIA_TYPE
    )


class Edge:
    """ASGI middleware around the whole service."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._limits = limits = load_settings().serving
        self._access = Access(limits)
        self._load = Load(requests=limits.max_concurrent, bytes_held=LARGE_BODIES * limits.max_body_bytes)
        self._entry: ASGIApp = self._enter
        if limits.cors_origins:
            self._entry = CORSMiddleware(
                self._enter,
                allow_origins=limits.cors_origins,
                allow_methods=("GET", "POST"),
                allow_headers=("Authorization", "Content-Type", "X-API-Key"),
                expose_headers=("Retry-After", "WWW-Authenticate"),
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        await (self._entry if scope["type"] == "http" else self.app)(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, path, reply = time.perf_counter(), scope["path"], _Reply(send)
        probe = any(name == PROBE_HEADER for name, _ in scope["headers"])
        probes = is_probe.set(probe)
        asking = caller.set((scope.get("client") or ("",))[0])
        try:
            await self._within_limits(scope, receive, reply)
        except Refusal as refusal:
            await reply.refuse(refusal)
        except Exception:
            log.exception("%s %s failed", scope["method"], path)
            await reply.refuse(of_status(500))
        finally:
            is_probe.reset(probes)
            caller.reset(asking)
            if path in COUNTED:
                metrics().observe("probe" if probe else path, reply.status, time.perf_counter() - started)

    async def _within_limits(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        headers, path = dict(scope["headers"]), scope["path"]
        self._access.check(path, headers, address=caller.get())
        if path not in TAKES_JSON or scope["method"] != "POST":
            await self.app(scope, receive, reply)
            return
        _check_is_json(headers)
        has_body = False
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                with self._load.body() as held:
                    body = await self._body(headers, receive, held)
                    has_body = True
                    if body is not None:
                        with self._load.work():
                            await self.app(scope, _replay(body, receive), reply)
        except TimeoutError:
            seconds = f"{self._limits.timeout_seconds:g} s"
            if has_body:
                detail = f"There was no answer in {seconds}. Try again later, or send less at a time."
                raise Refusal(503, "No answer in time", detail, headers={"Retry-After": "1"}) from None
            raise Refusal(
                408, "Body too slow", f"The body was not there after {seconds}.", headers={"Connection": "close"}
            ) from None

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive, held: Held) -> bytes | None:
        """Return the whole body; None if the caller has gone."""
        most = self._limits.max_body_bytes
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most:
            raise _too_large(most)
        parts, more = [], True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
            if held.size + len(parts[-1]) > most:
                raise _too_large(most)
            held.grow(len(parts[-1]))
        return b"".join(parts)


class _Reply:
    """Passes on what the service sends; its errors, in whatever shape, become refusals."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = False
        self._held: bytes | None = None
        self._headers: dict[str, str] = {}
        self.status = 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self._held is None:
            await self._send(message)
        else:
            self._held = (self._held + message.get("body", b""))[:MAX_ERROR_BYTES]
            if not message.get("more_body", False):
                await self._say(_translated(self.status, self._held, self._headers))

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal, unless an answer is on its way already."""
        if not self._begun:
            await self._say(refusal)

    async def _start(self, message: Message) -> None:
        headers = message.get("headers", [])
        self.status = message["status"]
        if self.status >= 400 and MEDIA_TYPE.encode() not in dict(headers).get(b"content-type", b""):
            kept = (pair for pair in headers if pair[0] in KEPT_HEADERS)
            self._headers = {name.decode(): value.decode("latin-1") for name, value in kept}
            self._held = b""
            return
        self._begun = True
        await self._send(message)

    async def _say(self, refusal: Refusal) -> None:
        self._begun, self.status = True, refusal.status
        body = json.dumps(refusal.to_dict()).encode()
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **refusal.headers}
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
        await self._send({"type": "http.response.body", "body": body})


def _translated(status: int, body: bytes, headers: Mapping[str, str]) -> Refusal:
    """Return the refusal that an error of BentoML or Starlette means."""
    try:
        said: Any = json.loads(body)
        faults = said["detail"]
        if status == 400 and faults and all({"type", "loc", "msg"} <= set(fault) for fault in faults):
            return invalid(faults)
    except (ValueError, LookupError, TypeError):
        pass
    if status == 503:
        headers = {"Retry-After": "1", **headers}
    return of_status(status, headers)


def _check_is_json(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body that says of itself that it is something else than plain JSON."""
    kind = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
    if kind != b"application/json":
        detail = "The body must be JSON: send it with the header Content-Type: application/json."
        raise Refusal(415, "Not JSON", detail, headers={"Accept-Post": "application/json"})
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        detail = "The body is compressed. Send it as it is, without Content-Encoding."
        raise Refusal(415, "Compressed body", detail, headers={"Accept-Encoding": "identity"})


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large(most: int) -> Refusal:
    size = f"{most // 1024 // 1024} MiB" if most >= 1024 * 1024 else f"{most // 1024} KiB"
    detail = f"The body is over {size}. Send less at a time."
    return Refusal(413, "Request too large", detail, headers={"Connection": "close"})
