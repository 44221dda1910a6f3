"""Limits hold whatever callers do: large, slow and many requests; and a server that is told to stop says so."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from bentos import BuiltBentos
from served import Served, running

from sentiment.settings import Settings, load_settings

pytestmark = pytest.mark.slow

LONG = "a wonderful film and nothing else " * 1_400
SERVING = {
    "max_body_bytes": 1024 * 1024,
    "max_concurrent": 1,
    "timeout_seconds": 2.0,
    "linger_seconds": 3.0,
    "log_predictions": False,
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(storage={"root": str(tmp_path_factory.mktemp("limits") / "var")}, serving=SERVING)


@pytest.fixture(scope="module")
def served(bentos: BuiltBentos, limited: Settings) -> Iterator[Served]:
    with running(bentos.first.path, Path(limited.storage.root).parent, limited) as served:
        yield served


def connect(served: Served) -> socket.socket:
    address = urlsplit(str(served.client.base_url))
    return socket.create_connection((address.hostname, address.port), timeout=20)


def head(length: int, *more: str) -> bytes:
    lines = ["POST /predict HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {length}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Read one response until the server hangs up or the body is whole."""
    received = b""
    while not (b"\r\n\r\n" in received and received.endswith(b"}")):
        part = connection.recv(65536)
        if not part:
            break
        received += part
    top, _, body = received.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(body)


def test_a_large_body_is_refused_whether_or_not_it_says_so(served: Served) -> None:
    def stream() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 1024 * 1024

    for content in (b"x" * 2 * 1024 * 1024, stream()):
        try:
            reply = served.client.post("/predict", content=content, headers={"content-type": "application/json"})
        except httpx.TransportError:  # it may hang up on who goes on sending
            continue
        assert (reply.status_code, reply.json()["title"]) == (413, "Request too large")
        assert "1 MiB" in reply.json()["detail"]
    with connect(served) as connection:  # who declares 50 MB is refused before sending them
        connection.sendall(head(50_000_000))
        assert answer(connection)[0] == 413
    assert served.client.post("/predict", json={"text": "fine"}).status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(head(100) + b'{"text": ')
        begun = time.monotonic()
        status, problem = answer(connection)
        assert (status, problem["title"]) == (408, "Body too slow")
        assert time.monotonic() - begun >= 1.5
        assert connection.recv(1) == b""  # it hangs up


def test_slow_callers_do_not_keep_others_out(served: Served) -> None:
    slow = [connect(served) for _ in range(20)]
    try:
        for connection in slow:
            connection.sendall(head(100) + b'{"text": ')
        assert served.client.post("/predict", json={"text": "fine"}).status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_large_bodies_that_do_not_come_share_a_budget_and_small_ones_get_through(served: Served) -> None:
    waiting = [connect(served) for _ in range(12)]
    try:
        for connection in waiting:
            connection.sendall(head(1_000_000) + b'{"text": "' + b"x" * 900_000)
        small = served.client.post("/predict", json={"text": "fine"})
        statuses = [answer(connection)[0] for connection in waiting]
    finally:
        for connection in waiting:
            connection.close()
    assert small.status_code == 200
    assert set(statuses) == {408, 503}
    assert statuses.count(408) <= 5  # four bodies of a MiB, beyond what each may hold
    assert served.client.post("/predict_batch", json={"texts": ["x" * 900_000, "fine"]}).status_code == 200


def test_one_request_too_many_is_told_to_come_again(served: Served) -> None:
    replies: list[httpx.Response] = []
    lock = threading.Lock()

    def ask() -> None:
        with httpx.Client(base_url=served.client.base_url, timeout=20) as client:
            for _ in range(4):
                reply = client.post("/explain", json={"text": LONG})
                with lock:
                    replies.append(reply)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [reply for reply in replies if reply.status_code != 200]
    assert len(refused) < len(replies)
    assert refused
    assert {(reply.status_code, reply.headers["retry-after"]) for reply in refused} == {(503, "1")}
    assert {reply.json()["title"] for reply in refused} == {"Busy"}
    assert served.client.post("/predict", json={"text": "fine"}).status_code == 200


def test_callers_that_hang_up_leave_nothing_behind(served: Served) -> None:
    for _ in range(30):
        with connect(served) as connection:
            connection.sendall(head(500_000) + b'{"text": "' + b"x" * 200_000)
    time.sleep(0.5)
    big = json.dumps({"texts": ["fine", "x" * 900_000]}).encode()
    headers = {"content-type": "application/json"}
    assert [served.client.post("/predict_batch", content=big, headers=headers).status_code for _ in range(6)] == [
        200
    ] * 6


def test_feedback_without_the_prediction_log_is_refused_in_words(served: Served) -> None:
    reply = served.client.post("/feedback", json={"request_id": "ab" * 16, "label": "positive"})
    assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
    assert "serving.log_predictions" in reply.json()["detail"]
    assert served.client.get("/model").json()["features"]["feedback"] is False


def test_a_server_that_is_told_to_stop_is_no_longer_ready_but_answers(
    bentos: BuiltBentos, limited: Settings, tmp_path: Path
) -> None:
    with running(bentos.first.path, tmp_path, limited) as served:
        leader = psutil.Process(served.service.pid)
        family = [leader, *leader.children(recursive=True)]
        leader.terminate()  # as Kubernetes tells the first process of a container
        deadline = time.monotonic() + 10
        while (ready := served.client.get("/readyz")).status_code == 200:
            assert time.monotonic() < deadline, "still ready"
        assert (ready.status_code, ready.headers["content-type"]) == (503, "application/problem+json")
        assert ready.headers["retry-after"] == "1"
        with httpx.Client(base_url=served.client.base_url) as another:  # new connections are taken as well
            assert another.get("/livez").status_code == 200
            assert another.post("/predict", json={"text": "fine"}).status_code == 200
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive
