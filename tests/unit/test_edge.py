"""The edge turns whatever the service does into an answer that a caller can use, and lets out nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from bento.edge import Edge
from bento.load import SMALL_BYTES

JSON = [(b"content-type", b"application/json")]
SECRET = "my secret diary"
Send = Callable[[dict[str, Any]], Any]


def ask(
    app: Any, *messages: dict[str, Any], path: str = "/predict", headers: list[tuple[bytes, bytes]] = JSON
) -> list[dict[str, Any]]:
    """Send one request through an edge and return what it sends; `messages` are those of the body."""
    return asyncio.run(through(Edge(app), *messages, path=path, headers=headers))


async def through(
    edge: Edge, *messages: dict[str, Any], path: str = "/predict", headers: list[tuple[bytes, bytes]] = JSON
) -> list[dict[str, Any]]:
    waiting, sent = list(messages) or [body(b"{}")], list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "client": ("192.0.2.1", 1)}
    await edge(scope, receive, send)
    return sent


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def problem(sent: list[dict[str, Any]]) -> dict[str, Any]:
    start, content = sent
    assert (b"content-type", b"application/problem+json") in start["headers"]
    found: dict[str, Any] = json.loads(content["body"])
    assert found["status"] == start["status"]
    assert SECRET not in str(sent)
    return found


def answering(status: int, content: bytes, kind: bytes = b"text/plain", *more: tuple[bytes, bytes]) -> Any:
    async def app(scope: Any, receive: Any, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *more]})
        await send({"type": "http.response.body", "body": content})

    return app


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_SERVING__TIMEOUT_SECONDS", "0.2")
    monkeypatch.setenv("SENTIMENT_SERVING__MAX_BODY_BYTES", "100000")
    monkeypatch.setenv("SENTIMENT_SERVING__MAX_CONCURRENT", "1")


def test_an_answer_that_takes_too_long_is_given_up_and_its_place_is_free_again() -> None:
    given_up = []

    async def slow(scope: Any, receive: Any, send: Send) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            given_up.append(True)
            raise

    async def twice() -> list[list[dict[str, Any]]]:
        edge = Edge(slow)
        return [await through(edge), await through(edge)]

    for sent in asyncio.run(twice()):
        assert problem(sent)["title"] == "No answer in time"
        assert (b"retry-after", b"1") in sent[0]["headers"]
    assert given_up == [True, True]


def test_a_fault_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def faulty(scope: Any, receive: Any, send: Send) -> None:
        raise RuntimeError(f"cannot read {SECRET}")

    with caplog.at_level(logging.ERROR):
        found = problem(ask(faulty))
    assert (found["status"], found["title"]) == (500, "Internal Server Error")
    assert "POST /predict failed" in caplog.text


def test_a_fault_in_the_middle_of_an_answer_does_not_begin_another(caplog: pytest.LogCaptureFixture) -> None:
    async def faulty(scope: Any, receive: Any, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    assert [message["type"] for message in ask(faulty)] == ["http.response.start"]
    assert "half way" in caplog.text


@pytest.mark.parametrize("status", [400, 404, 418, 500, 502, 503, 599])
@pytest.mark.parametrize(
    "content", [b"", SECRET.encode(), b'{"error": "my secret diary", "detail": "my secret diary"}']
)
def test_errors_of_whatever_shape_become_problems_without_what_they_said(status: int, content: bytes) -> None:
    assert problem(ask(answering(status, content)))["status"] == status


def test_what_callers_need_of_an_error_stays() -> None:
    sent = ask(answering(405, b"", b"text/plain", (b"allow", b"GET"), (b"x-internal", SECRET.encode())))
    assert problem(sent)["title"] == "Method Not Allowed"
    assert (b"allow", b"GET") in sent[0]["headers"]


def test_answers_and_our_own_refusals_pass_unchanged() -> None:
    for status, kind in ((200, b"application/json"), (413, b"application/problem+json")):
        start, content = ask(answering(status, b"{}", kind))
        assert (start["status"], start["headers"], content["body"]) == (status, [(b"content-type", kind)], b"{}")


def test_who_hangs_up_in_the_middle_of_a_body_is_not_answered_and_leaves_nothing() -> None:
    async def hung_up() -> Edge:
        edge = Edge(answering(200, b"{}"))
        part = body(b"x" * (SMALL_BYTES + 1_000), more=True)
        assert await through(edge, part, {"type": "http.disconnect"}) == []
        assert problem(await through(edge, part))["title"] == "Body too slow"
        return edge

    edge = asyncio.run(hung_up())
    assert (edge._load.bytes_held, edge._load.requests) == (0, 0)


def test_a_body_is_counted_as_it_comes_whatever_it_said() -> None:
    part = body(b"x" * 60_000, more=True)
    for declared in (b"10", b"nonsense", b"-1"):
        sent = ask(answering(200, b"{}"), part, part, headers=[*JSON, (b"content-length", declared)])
        assert problem(sent)["title"] == "Request too large"


def test_the_service_gets_the_body_whole() -> None:
    async def echo(scope: Any, receive: Any, send: Send) -> None:
        message = await receive()
        assert message["more_body"] is False
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})

    sent = ask(echo, body(b'{"text": ', more=True), body(b'"fi', more=True), body(b'ne"}'))
    assert sent[1]["body"] == b'{"text": "fine"}'
