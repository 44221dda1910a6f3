"""An S3 server on this machine, behind a proxy that misbehaves as a test asks: throttles, fails, hangs up, is slow."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3
import httpx
from moto.server import ThreadedMotoServer

BUCKET = "reviews"
STATUS = {"throttle": 503, "too_many": 429, "error": 500}


@dataclass
class Fault:
    """What goes wrong, and for which requests.

    Attributes
    ----------
    kind : str
        ``throttle`` (503 SlowDown), ``too_many`` (429), ``error`` (500), ``drop`` (hung up before the request is
        done), ``lose`` (done, but hung up before the answer), ``slow`` (done after `seconds`).
    method, part : str
        Only these requests: an HTTP method, and a part of the path with its query.
    times : int
        Only the first so many of them; 0 means all.
    rate : float
        Only this share of them, drawn with a fixed seed.
    """

    kind: str
    method: str = ""
    part: str = ""
    times: int = 0
    rate: float = 1.0
    seconds: float = 0.0
    done: int = field(default=0, init=False)

    def meets(self, method: str, path: str, draw: float) -> bool:
        """Whether this request goes wrong."""
        wanted = self.method in ("", method) and self.part in path and draw < self.rate
        return wanted and not (self.times and self.done >= self.times)


class FaultyS3:
    """The proxy: ``url`` is where clients go; set ``faults`` at any time; ``down`` hangs up on everybody."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.down = False
        self.requests: list[tuple[str, str]] = []
        self._random = random.Random(7)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def choose(self, method: str, path: str) -> Fault | None:
        """Return what goes wrong with this request, if anything."""
        with self._lock:
            self.requests.append((method, path))
            if self.down:
                return Fault("drop")
            draw = self._random.random()
            found = next((fault for fault in self.faults if fault.meets(method, path, draw)), None)
            if found:
                found.done += 1
            return found

    @property
    def injected(self) -> int:
        """How many requests have gone wrong so far."""
        return sum(fault.done for fault in self.faults)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[FaultyS3]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()
            return
        self.close_connection = True

    def _serve(self) -> None:
        body = self._body()
        fault = self.proxy.choose(self.command, self.path)
        kind = fault.kind if fault else ""
        if kind in STATUS:
            code = "SlowDown" if kind == "throttle" else "InternalError"
            message = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
            self._reply(STATUS[kind], {"Content-Type": "application/xml"}, message)
            return
        if kind == "drop":
            self._hang_up()
            return
        if fault and kind == "slow":
            time.sleep(fault.seconds)
        status, headers, content = self._forward(body)
        if kind == "lose":
            self._hang_up()
            return
        self._reply(status, headers, content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.proxy.upstream.removeprefix("http://"), timeout=60)
        hop = {"connection", "expect", "content-length", "transfer-encoding"}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in hop}
        connection.request(self.command, self.path, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in hop | {"date", "server"}}
        if self.command == "HEAD" and (length := answer.getheader("Content-Length")):
            kept["Content-Length"] = length
        connection.close()
        return answer.status, kept, content

    def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Run an S3 server with an empty bucket; give its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    httpx.post(f"{url}/moto-api/reset").raise_for_status()
    session = boto3.Session("test", "test", region_name="eu-central-1")
    session.client("s3", endpoint_url=url).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    try:
        yield url
    finally:
        server.stop()


@contextlib.contextmanager
def faulty_s3() -> Iterator[FaultyS3]:
    """Run an S3 server behind the proxy."""
    with s3_server() as url:
        proxy = FaultyS3(url)
        try:
            yield proxy
        finally:
            proxy.close()
