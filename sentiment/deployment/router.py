"""A small HTTP proxy: one address for clients, one Bento behind it that can be exchanged at any time.

Requests are passed on whole, so one that meets a Bento which has just gone is sent again to the one that took
over. That is safe because answering changes nothing, and the same feedback twice counts once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

MAX_BODY_BYTES = 16 * 1024 * 1024
ATTEMPTS, FIRST_PAUSE_SECONDS = 6, 0.05  # 1.5 s in all
CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 60.0
BODY_SECONDS = 60.0
IDLE_SECONDS = 30.0  # less than a Bento keeps a connection open, so that it is never the one to close it
CONNECTIONS = 256
HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers",
        "transfer-encoding", "upgrade", "content-length", "expect",
    }
)  # fmt: skip

log = logging.getLogger(__name__)


class Upstream:
    """One Bento behind the router, and how many requests it still answers."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Count a request while it is answered."""
        self._requests += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self._idle.set()

    async def drained(self, *, timeout: float) -> bool:
        """Wait until it answers nothing more; False when that takes too long."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            return False
        return True


class Router:
    """Passes every request on to the active Bento."""

    def __init__(self, *, drain_seconds: float = 10.0) -> None:
        self._drain_seconds = drain_seconds
        self._active: Upstream | None = None
        self._reason = ""
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None

    def switch(self, upstream: Upstream | None, *, reason: str = "") -> Upstream | None:
        """Send new requests to `upstream`, or refuse them for `reason`; return what was active."""
        before, self._active, self._reason = self._active, upstream, reason
        return before

    async def listen(self, host: str, port: int) -> None:
        """Start to accept connections.

        Raises
        ------
        OSError
            The port is taken.
        """
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        server = web.Server(self.handle, request_factory=_request, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=self._drain_seconds)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def close(self) -> None:
        """Stop to accept connections and finish the requests there are, within the drain time."""
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of a client."""
        if not request.raw_path.startswith("/"):
            return problem(400, "Bad request", "The target of the request is not a path.")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            limit = MAX_BODY_BYTES // 1024 // 1024
            return problem(413, "Request too large", f"The body is over {limit} MiB. Send less at a time.")
        except TimeoutError:
            return problem(408, "Body too slow", f"The body was not there after {BODY_SECONDS:.0f} s.")
        except (web.RequestPayloadError, aiohttp.ClientPayloadError, ConnectionError):
            return problem(400, "Bad request", "The body ends early, or is not what its Content-Encoding says.")
        error: Exception | None = None
        for attempt in range(ATTEMPTS):
            upstream = self._active
            if upstream is None:
                return problem(503, "No release", self._reason, retry_after=5)
            try:
                async with upstream.request():
                    return await self._forward(upstream, request, body)
            except TimeoutError:
                detail = f"The service did not answer in {ANSWER_SECONDS:.0f} s."
                return problem(504, "No answer in time", detail)
            except aiohttp.ClientError as failure:
                error = failure
                await asyncio.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
        log.warning("%s %s failed %d times: %s", request.method, request.path, ATTEMPTS, error)
        return problem(502, "The service does not answer", "Try again in a moment.", retry_after=5)

    async def _forward(self, upstream: Upstream, request: web.BaseRequest, body: bytes) -> web.Response:
        assert self._session is not None
        async with self._session.request(
            request.method,
            URL(upstream.address + request.raw_path, encoded=True),
            headers=[*_end_to_end(request.headers.items()), ("X-Forwarded-For", request.remote or "unknown")],
            data=body or None,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Content-Type", "Accept-Encoding", "Accept"),
        ) as answer:
            content = await answer.read()
            return web.Response(status=answer.status, headers=_end_to_end(answer.headers.items()), body=content)


def problem(status: int, title: str, detail: str, *, retry_after: int = 0) -> web.Response:
    """Return an error in the shape of RFC 9457, as the service behind does."""
    kind = f"urn:problem:sentiment:{title.lower().replace(' ', '-')}"
    return web.json_response(
        {"type": kind, "title": title, "status": status, "detail": detail},
        status=status,
        content_type="application/problem+json",
        headers={"Retry-After": str(retry_after)} if retry_after else None,
    )


def _end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES)
