"""A lean load generator, run as a process of its own: ``python -m benchmarks.load PORT PATH BODIES --seconds N``.

Every connection is kept alive and has one request on its way at a time. BODIES is a file with a JSON body a line,
which are sent in turn. Without ``--rate`` the next request follows the answer at once; with it requests are due at
even times, and seconds count from when a request was due, so that a server that stalls cannot hide it. Every
``--every`` seconds, and at the end, a line of JSON is printed: requests, seconds, requests that failed and how,
percentiles in ms, and the CPU seconds that the generator itself took, all since the last line.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

WARM_SECONDS = 0.5
HEAD = "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"


class Tally:
    """What has happened since the last line."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Count from now."""
        self.seconds: list[float] = []
        self.failed: Counter[str] = Counter()
        self.began, self.cpu = time.perf_counter(), time.process_time()

    def line(self) -> dict[str, Any]:
        """Return the counts as JSON types, and count from now."""
        found, passed = sorted(self.seconds), time.perf_counter() - self.began
        shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
        at = {name: 1000 * found[int(share * (len(found) - 1))] if found else 0.0 for name, share in shares.items()}
        line = {"requests": len(found), "seconds": passed, "failed": dict(self.failed), **at}
        line["cpu"] = time.process_time() - self.cpu
        self.clear()
        return line


class Connection(asyncio.Protocol):
    """Sends one request after the other, and opens itself again when it is closed."""

    def __init__(self, load: "Load", number: int) -> None:
        self._load, self._next = load, number
        self._buffer, self._missing = b"", -1
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport: Any = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; at its end count it and send on."""
        if self._missing < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            place = head.index(b"content-length:") + 15
            size = int(head[place:].split(b"\r\n", 1)[0])
            self._missing = size - (len(self._buffer) - end - 4)
        else:
            self._missing -= len(data)
        if self._missing > 0:
            return
        status, self._buffer, self._missing = self._buffer[9:12], b"", -1
        self._load.done(self._due, status)
        self._load.soon(self._send)

    def connection_lost(self, _: Exception | None) -> None:
        """Count what got no answer."""
        self._load.lost()

    def _send(self, due: float | None = None) -> None:
        load = self._load
        if load.stopping:
            self._transport.close()
            return
        self._due = due or time.perf_counter()
        self._transport.write(load.requests[self._next % len(load.requests)])
        self._next += load.connections


class Load:
    """The connections, and what they saw."""

    def __init__(self, requests: list[bytes], connections: int, rate: float) -> None:
        self.requests, self.connections, self.rate = requests, connections, rate
        self.tally, self.stopping = Tally(), False
        self._turn, self._started = 0, time.perf_counter()

    def done(self, due: float, status: bytes) -> None:
        """Count an answer."""
        self.tally.seconds.append(time.perf_counter() - due)
        if status != b"200":
            self.tally.failed[status.decode()] += 1

    def lost(self) -> None:
        """Count a connection that the server closed."""
        if not self.stopping:
            self.tally.failed["lost"] += 1

    def soon(self, send: Any) -> None:
        """Send now, or when the next request is due."""
        if not self.rate:
            send()
            return
        due = self._started + self._turn / self.rate
        self._turn += 1
        wait = due - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, send, due)
        else:
            send(due)

    async def run(self, port: int, *, seconds: float, every: float) -> None:
        """Load the server, and print a line at every interval and at the end."""
        loop = asyncio.get_running_loop()
        opened = [
            await loop.create_connection(lambda number=number: Connection(self, number), "127.0.0.1", port)  # type: ignore[misc]
            for number in range(self.connections)
        ]
        await asyncio.sleep(WARM_SECONDS)
        self.tally.clear()
        left = seconds
        while left > 0:
            await asyncio.sleep(min(every, left))
            left -= every
            print(json.dumps(self.tally.line()), flush=True)
        self.stopping = True
        for transport, _ in opened:
            transport.abort()


def read_requests(bodies: Path, path: str) -> list[bytes]:
    """Return whole requests, ready to be sent."""
    lines = bodies.read_bytes().splitlines()
    return [HEAD.format(path=path, size=len(line)).encode() + line for line in lines]


def main() -> None:
    """Load a server as the command line says."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--every", type=float, default=float("inf"))
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: as many as are answered")
    asked = parser.parse_args()
    load = Load(read_requests(asked.bodies, asked.path), asked.connections, asked.rate)
    uvloop.run(load.run(asked.port, seconds=asked.seconds, every=asked.every))


if __name__ == "__main__":
    main()
