"""An S3 server on this machine, behind a proxy that misbehaves as a test asks: throttles, fails, hangs up, is slow.

Both run in a process of their own, because a client that holds the GIL while it waits would wait for ever otherwise.
``python -m faults`` prints the addresses; `S3Server` starts it and talks to it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx

REGION = "eu-central-1"
CONTROL = "/-/"
STATUS = {"throttle": 503, "too_many": 429, "error": 500}


@dataclass
class Fault:
    """What goes wrong, and for which requests.

    Attributes
    ----------
    kind : str
        ``throttle`` (503 SlowDown), ``too_many`` (429), ``error`` (500), ``drop`` (hung up before the request is
        done), ``lose`` (done, but hung up before the answer), ``cut`` (hung up in the middle of the answer),
        ``slow`` (done after `seconds`).
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
    done: int = 0

    def meets(self, method: str, path: str, draw: float) -> bool:
        """Whether this request goes wrong."""
        wanted = self.method in ("", method) and self.part in path and draw < self.rate
        return wanted and not (self.times and self.done >= self.times)


@dataclass
class S3Server:
    """The server and its proxy, as tests see them: ``url`` goes through the proxy, ``direct`` does not."""

    url: str
    direct: str
    bucket: str = ""

    def new_bucket(self) -> str:
        """Make an empty bucket, forget faults and requests."""
        self.bucket = f"reviews-{uuid.uuid4().hex[:8]}"
        self.client().create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.misbehave()
        return self.bucket

    def client(self) -> Any:
        """Return a client that goes past the proxy."""
        session = boto3.Session("test", "test", region_name=REGION)
        return session.client("s3", endpoint_url=self.direct)

    def misbehave(self, *faults: Fault) -> None:
        """From now on let these things go wrong; nothing, without any."""
        httpx.put(self.url + CONTROL, json=[asdict(fault) for fault in faults]).raise_for_status()

    def injected(self) -> int:
        """Return how many requests went wrong since."""
        return int(httpx.get(self.url + CONTROL).json()["injected"])

    def seen(self) -> list[dict[str, str]]:
        """Return the requests since: ``method``, ``path``, ``key`` (the access key that signed it)."""
        return list(httpx.get(self.url + CONTROL).json()["requests"])


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run the server and its proxy in a process of their own."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).resolve())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            url, direct = process.stdout.readline().split()
            yield S3Server(url, direct)
        finally:
            process.terminate()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._lock = threading.Lock()
        self.behave([])

    def behave(self, faults: list[Fault]) -> None:
        with self._lock:
            self.faults, self.requests, self._random = faults, [], random.Random(7)

    def choose(self, method: str, path: str, key: str) -> Fault | None:
        with self._lock:
            self.requests.append({"method": method, "path": path, "key": key})
            draw = self._random.random()
            found = next((fault for fault in self.faults if fault.meets(method, path, draw)), None)
            if found:
                found.done += 1
            return found


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError):
            super().handle_one_request()
            return
        self.close_connection = True

    def _serve(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == CONTROL:
            self._control(body)
            return
        signed = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        fault = self.server.choose(self.command, self.path, signed)
        kind = fault.kind if fault else ""
        if kind in STATUS:
            code = "SlowDown" if kind == "throttle" else "InternalError"
            message = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
            self._reply(STATUS[kind], {"Content-Type": "application/xml"}, message)
        elif kind == "drop":
            self._hang_up()
        else:
            time.sleep(fault.seconds if fault else 0)
            answer = self._forward(body)
            if kind == "lose":
                self._hang_up()
            elif kind == "cut":
                status, headers, content = answer
                self._reply(status, {**headers, "Content-Length": str(len(content))}, content[: len(content) // 2])
                self._hang_up()
            else:
                self._reply(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _control(self, body: bytes) -> None:
        if self.command == "PUT":
            self.server.behave([Fault(**fault) for fault in json.loads(body)])
        said = {"injected": sum(fault.done for fault in self.server.faults), "requests": self.server.requests}
        self._reply(200, {"Content-Type": "application/json"}, json.dumps(said).encode())

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream.removeprefix("http://"), timeout=60)
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
        bare = status == 204 or self.command == "HEAD"
        if "Content-Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not bare:
            self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Serve until terminated."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    upstream = "http://{}:{}".format(*moto.get_host_and_port())
    proxy = _Proxy(upstream)
    sys.stdout.write(f"{proxy.url} {upstream}\n")
    sys.stdout.flush()
    proxy.serve_forever(0.02)


if __name__ == "__main__":
    main()
