"""What happens to every request before and after the service sees it: a size limit and the counts."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from bento.metrics import metrics
from bento.problems import MEDIA_TYPE, Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 16 * 1024 * 1024
COUNTED = frozenset({"/predict", "/predict_batch", "/explain", "/feedback", "/model"})
PAGE_POLICY = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
"""Keeps the browser of who opens BentoML's page from reporting that to third parties."""
FORMS = (b"multipart/", b"application/x-www-form-urlencoded")
PROBE_HEADER = b"x-sentiment-probe"

is_probe: ContextVar[bool] = ContextVar("is_probe", default=False)
"""Whether the request only checks that the service answers: its answer is not logged."""

caller: ContextVar[str] = ContextVar("caller", default="")
"""Address of who asks; behind a proxy that is trusted, the one it names (uvicorn's ``FORWARDED_ALLOW_IPS``)."""


def problem(refusal: Refusal) -> JSONResponse:
    """Return a refusal as a response."""
    return JSONResponse(
        refusal.to_dict(), status_code=refusal.status, headers=dict(refusal.headers), media_type=MEDIA_TYPE
    )


class Edge:
    """ASGI middleware that refuses bodies over `MAX_BODY_BYTES` and counts requests."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless its body is too large."""
        if scope["type"] != "http" or scope["path"] not in COUNTED:
            await self.app(scope, receive, _with_policy(send) if scope.get("path") == "/" else send)
            return
        started = time.perf_counter()
        status = 500
        headers = dict(scope["headers"])

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token, asking = is_probe.set(PROBE_HEADER in headers), caller.set((scope.get("client") or ("",))[0])
        try:
            kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
            body = await _body(headers, receive)
            if kind.startswith(FORMS):
                detail = "The body is a form. Send JSON, with the header Content-Type: application/json."
                await problem(Refusal(415, "Not JSON", detail))(scope, receive, watch)
            elif body is None:
                await _too_large()(scope, receive, watch)
            else:
                await self.app(scope, _replay(body, receive), watch)
        finally:
            is_probe.reset(token)
            caller.reset(asking)
            metrics().observe(scope["path"], status, time.perf_counter() - started)


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
    """Return the whole body, or None when it is larger than allowed."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        return None
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > MAX_BODY_BYTES:
            return None
    return b"".join(parts)


def _with_policy(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", []), (b"content-security-policy", PAGE_POLICY)]
            message = {**message, "headers": headers}
        await send(message)

    return guarded


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large() -> JSONResponse:
    limit = MAX_BODY_BYTES // 1024 // 1024
    detail = f"The body is over {limit} MiB. Send less at a time."
    return problem(Refusal(413, "Request too large", detail, headers={"Connection": "close"}))
