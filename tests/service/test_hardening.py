"""The built Bento, asked by those who mean ill or are unlucky: nothing they send breaks it, hangs or stays behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import psutil
import pytest
import schemathesis
from bentos import BuiltBentos
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landed import landed
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from served import Served, running

from sentiment.settings import load_settings

pytestmark = pytest.mark.slow

POSTS = ("/predict", "/predict_batch", "/explain", "/feedback")
PROBLEM = "application/problem+json"
EXPECTED = {200, 202, 400, 413, 415, 422}
TRIES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def served(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hardening")
    limits = {"max_batch": 8, "timeout_seconds": 5.0}
    with running(
        bentos.first.path, folder, load_settings(storage={"root": str(folder / "var")}, serving=limits)
    ) as served:
        yield served


def worker(served: Served) -> psutil.Process:
    """Return the process that answers: the one that BentoML's leading process started."""
    [found] = psutil.Process(served.service.pid).children()
    return found


def address(served: Served) -> tuple[str, int]:
    return served.client.base_url.host, served.client.base_url.port or 0


def answers(served: Served) -> None:
    """Check that it answers a plain request."""
    reply = served.client.post("/predict", json={"text": "a wonderful film"})
    assert (reply.status_code, reply.json()["label"]) == (200, "positive")


def ask(served: Served, path: str, body: bytes) -> httpx.Response:
    """Send a body as it is; check that the reply is an answer or a documented refusal."""
    reply = served.client.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code in EXPECTED, reply.text
    if reply.status_code >= 400:
        assert reply.headers["content-type"] == PROBLEM
        assert reply.json()["status"] == reply.status_code
    return reply


def request(path: str, body: bytes, *, promised: int | None = None) -> bytes:
    """Return a whole request, or one that promises more of a body than there is."""
    size = len(body) if promised is None else promised
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body


def hang_up(connection: socket.socket) -> None:
    """Close without a goodbye: the other side gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def wait_until_few(process: psutil.Process, most: int) -> None:
    """Wait until a process has no more open files and sockets than that."""
    deadline = time.monotonic() + 30
    while (number := process.num_fds()) > most:
        assert time.monotonic() < deadline, f"{number} files and sockets are still open"
        time.sleep(0.1)


def test_it_does_what_its_openapi_document_says(served: Served) -> None:
    schema = schemathesis.openapi.from_dict(served.client.get("/docs.json").json())
    checks = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
    tried = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        tried.add(operation.path)

        @TRIES
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case) -> None:
            case.call_and_validate(base_url=str(served.client.base_url), checks=checks)

        holds()
    assert tried >= {*POSTS, "/model", "/readyz", "/metrics"}


any_text = st.text(st.characters(), max_size=200)  # surrogates and control characters too
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=8,
)


@TRIES
@given(text=any_text)
def test_every_text_is_answered_or_refused(served: Served, text: str) -> None:
    for path, body in (
        ("/predict", {"text": text}),
        ("/predict_batch", {"texts": [text, text]}),
        ("/explain", {"text": text}),
    ):
        status = ask(served, path, json.dumps(body).encode()).status_code
        assert status == (400 if any("\ud800" <= letter <= "\udfff" for letter in text) else 200)


@TRIES
@given(path=st.sampled_from(POSTS), value=anything, name=st.sampled_from(["text", "texts", "label", "request_id"]))
def test_any_json_is_answered_or_refused(served: Served, path: str, value: object, name: str) -> None:
    ask(served, path, json.dumps(value).encode())  # NaN and Infinity too, which are not JSON
    ask(served, path, json.dumps({name: value}).encode())


@TRIES
@given(path=st.sampled_from(POSTS), body=st.binary(max_size=300))
def test_any_bytes_are_answered_or_refused(served: Served, path: str, body: bytes) -> None:
    ask(served, path, body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"text":' * 100_000,
        b'{"text": "fine", "deep": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b"{" + b",".join(b'"k%d": 0' % number for number in range(200_000)) + b"}",
        b'{"text": "a", ' + b",".join(b'"k%d": 0' % number for number in range(200_000)) + b', "text": 5}',
        b'{"text": ' + b"9" * 1_000_000 + b"}",
        b'{"text": NaN}',
        b'{"text": 1e999}',
        b'{"text": "\\ud83d"}',
        b'{"texts": ["fine", "\\udc00"]}',
        b'{"texts": [[[[]]]]}',
        '{"text": "caf\u00e9"}'.encode("latin-1"),
        '{"text": "fine"}'.encode("utf-16"),
        '{"text": "fine"}'.encode("utf-32"),
        b'\xef\xbb\xbf{"text": "fine"}',
        b'{"text": "\\u0000\\u0001\\u001f"}',
        b'{"text": "' + b"\xf0\x9f\x98\x80" * 60_000 + b'"}',
        b'{"text": "' + b"!" * 8_000_000 + b'"}',
        b"\x00" * 1_000,
        b"",
    ],
    ids=lambda body: f"{body[:18]!r}, {len(body)}",
)
def test_what_breaks_other_servers_does_not_break_this_one(served: Served, body: bytes) -> None:
    for path in POSTS:
        ask(served, path, body)
    answers(served)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_fifty_megabytes_are_refused_without_being_kept(served: Served, declared: bool) -> None:
    process = worker(served)
    before = process.memory_info().rss

    def parts() -> Iterator[bytes]:
        for _ in range(50):
            yield b"x" * 1_000_000

    headers = {"content-length": str(50_000_000)} if declared else {}
    with suppress(httpx.TransportError):  # it hangs up on who goes on sending
        assert served.client.post("/predict", content=parts(), headers=headers).status_code == 413
    answers(served)
    assert process.memory_info().rss - before < 40_000_000


def test_slow_callers_hold_up_nobody_and_leave_nothing(served: Served) -> None:
    process = worker(served)
    few = process.num_fds() + 5
    with ExitStack() as stack:
        for number in range(60):
            connection = stack.enter_context(socket.create_connection(address(served), timeout=30))
            whole = request("/predict", b'{"text": "slow"}')
            connection.sendall(whole[: (5, 40, len(whole) - 3)[number % 3]])  # in the first line, a header, the body
        for _ in range(20):
            answers(served)
        late = request("/predict", b'{"text": "late"', promised=1_000)
        connection = stack.enter_context(socket.create_connection(address(served), timeout=30))
        connection.sendall(late)
        assert connection.recv(1_000).startswith(b"HTTP/1.1 408 ")
    wait_until_few(process, few)


def test_dropped_connections_leave_nothing(served: Served) -> None:
    process = worker(served)
    body = json.dumps({"texts": ["a tedious plot " * 2_000] * 8}).encode()
    whole = request("/predict_batch", body)
    few = process.num_fds() + 5
    for number in range(150):
        connection = socket.create_connection(address(served), timeout=30)
        connection.sendall(whole if number % 3 else whole[: len(whole) // 2])
        if number % 3 == 2:
            connection.recv(10)  # a part of the answer
        hang_up(connection)
    answers(served)
    wait_until_few(process, few)
    assert "Traceback" not in served.service.log_path.read_text()


def test_bad_requests_do_not_grow_it(served: Served) -> None:
    process, headers = worker(served), {"content-type": "application/json"}
    bad = [b"{", b'{"text": 5}', b"[" * 100_000, b'{"text": "' + b"x" * 60_000 + b'"}', b'{"texts": []}']
    while "sentiment_prediction_log_waiting 0.0" not in served.client.get("/metrics").text:
        time.sleep(0.2)  # what was answered before is still being written
    sizes = []
    for _ in range(4):
        for number in range(300):
            served.client.post(POSTS[number % 4], content=bad[number % len(bad)], headers=headers)
        sizes.append(process.memory_info().rss)
    assert sizes[-1] - sizes[0] < 15_000_000


def test_who_is_told_to_stop_answers_what_it_was_asked_and_ends(
    bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stopped")
    with running(bentos.first.path, folder, load_settings(storage={"root": str(folder / "var")})) as served:
        leader, replies = psutil.Process(served.service.pid), []
        family = [leader, *leader.children(recursive=True)]
        whole = request("/predict", b'{"text": "asked before"}')
        with ExitStack() as stack:
            asked = [stack.enter_context(socket.create_connection(address(served), timeout=30)) for _ in range(8)]
            for connection in asked:
                connection.sendall(whole[:-5])
            answers(served)  # so that it has seen them
            os.kill(leader.pid, signal.SIGTERM)
            time.sleep(0.5)
            for connection in asked:
                connection.sendall(whole[-5:])
            replies = [connection.recv(2_000) for connection in asked]
            assert all(reply.startswith(b"HTTP/1.1 200 ") and b"connection: close" in reply for reply in replies)
            with pytest.raises(httpx.TransportError):
                httpx.post(f"http://127.0.0.1:{address(served)[1]}/predict", json={"text": "asked after"}, timeout=20)
        _, alive = psutil.wait_procs(family, timeout=25)
        assert not alive
        assert [record["text"] for record in landed(served.settings)].count("asked before") == 8
