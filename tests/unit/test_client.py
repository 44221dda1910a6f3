"""The Python client against a server that does as a test says: what it sends, when it tries again, what it raises."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sentiment.client import ATTEMPTS, Client, Limits, Prediction, Refused
from sentiment.deployment.ports import free_port
from sentiment.errors import DataError, SentimentError, ServiceError, SettingsError
from tests.receivers import listening

FACTS = {
    "name": "sentiment",
    "model_version": "7",
    "labels": ["negative", "positive"],
    "snapshot": "reviews@v1",
    "run_id": "r",
    "scorer_digest": "d",
    "metrics": {"accuracy": 0.9},
    "limits": {"max_characters": 30, "max_batch": 3, "max_body_bytes": 100, "something_new": 1},
    "something_new": True,
}
Reply = tuple[int, Any, dict[str, str]]
HANG_UP: Reply = (0, None, {})


def answer(text: str) -> dict[str, Any]:
    shares = {"negative": 0.25, "positive": 0.75}
    said = {"request_id": "ab" * 16, "label": "positive", "score": 0.75, "probabilities": shares}
    return {**said, "abstained": False, "model_version": "7", "something_new": text}


class Scripted(ThreadingHTTPServer):
    """Answers as it is told, then as the API does; remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.script: list[Reply] = []
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        said = json.loads(body) if body else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, said, headers))
        status, content, extra = self.server.script.pop(0) if self.server.script else (200, usual(self.path, said), {})
        if not status:
            self.close_connection = True
            return
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(data)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _answer  # noqa: N815

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002
        """Say nothing."""


def usual(path: str, said: Any) -> Any:
    if path == "/model":
        return FACTS
    if path == "/predict_batch":
        return {"predictions": [answer(text) for text in said["texts"]]}
    return answer("") if path == "/predict" else {"status": "received"}


def problem(status: int, detail: str, **headers: str) -> Reply:
    body = {"type": "urn:x", "title": "No", "status": status, "detail": detail}
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    with listening(scripted):
        yield scripted


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client waited each time; it does not really wait."""
    waited: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waited.append)
    return waited


def test_an_answer_is_read_and_the_key_is_sent(server: Scripted) -> None:
    with Client(f"{server.url}/", key=" secret-key\n") as client:
        found = client.predict("half a pair: \ud800")
    shares = {"negative": 0.25, "positive": 0.75}
    assert found == Prediction("positive", 0.75, shares, False, "7", "ab" * 16)
    [(method, path, said, headers)] = server.asked
    assert (method, path, said) == ("POST", "/predict", {"text": "half a pair: \ufffd"})
    assert headers["authorization"] == "Bearer secret-key"


def test_a_batch_is_cut_by_the_limits_of_the_server(server: Scripted) -> None:
    texts = ["a", "b", "c", "d", "x" * 31, "e" * 30, "f" * 30, "\u20ac" * 30, "g"]
    with Client(server.url) as client:
        found = client.predict_batch(texts)
        assert client.predict_batch([]) == []
    assert found[4] == Refused(413, "Text too long", "The text has 31 characters, at most 30 are allowed.")
    assert isinstance(found[7], Refused), "its bytes alone are too many"
    assert [isinstance(item, Prediction) for item in found].count(True) == 7
    sent = [said["texts"] for method, _, said, _ in server.asked if method == "POST"]
    assert sent == [["a", "b", "c"], ["d", "e" * 30], ["f" * 30, "g"]]
    assert [path for _, path, *_ in server.asked].count("/model") == 1


def test_a_text_that_the_server_refuses_keeps_its_place(server: Scripted) -> None:
    refusal = {"type": "urn:x", "title": "Not a text", "status": 422, "detail": "The text is not a string."}
    items = [answer("a"), {"error": refusal}]
    server.script = [(200, FACTS, {}), (200, {"predictions": items}, {})]
    with Client(server.url) as client:
        one, two = client.predict_batch(["a", "b"])
    assert isinstance(one, Prediction)
    assert two == Refused(422, "Not a text", "The text is not a string.", "urn:x")


@pytest.mark.parametrize("broken", [problem(503, "busy"), problem(429, "slow down"), HANG_UP])
def test_what_can_do_no_harm_is_tried_again(server: Scripted, pauses: list[float], broken: Reply) -> None:
    server.script = [broken, broken]
    with Client(server.url) as client:
        assert client.predict("fine").label == "positive"
    assert len(server.asked) == 3
    assert len(pauses) == 2


def test_the_server_says_how_long_to_wait(server: Scripted, pauses: list[float]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    server.script = [problem(429, "x", retry_after="7"), problem(503, "x", retry_after=later)]
    with Client(server.url) as client:
        client.predict("fine")
    assert 7 <= pauses[0] <= 8
    assert 15 <= pauses[1] <= 21
    server.script = [problem(429, "a pause", retry_after="3600")]
    with Client(server.url) as client, pytest.raises(ServiceError, match=r"a pause Ask again in 3600 s"):
        client.predict("fine")
    assert len(pauses) == 2, "nobody waits for an hour"


def test_trying_again_has_an_end(server: Scripted, pauses: list[float]) -> None:
    server.script = [problem(503, "still busy")] * 10
    with Client(server.url) as client, pytest.raises(ServiceError, match="503: No: still busy"):
        client.predict("fine")
    assert len(server.asked) == ATTEMPTS
    with Client(f"http://127.0.0.1:{free_port('127.0.0.1')}") as client, pytest.raises(ServiceError, match="reached"):
        client.model()
    assert len(pauses) == 2 * (ATTEMPTS - 1)


def test_feedback_that_may_have_arrived_is_not_sent_twice(server: Scripted, pauses: list[float]) -> None:
    server.script = [HANG_UP]
    with Client(server.url) as client, pytest.raises(ServiceError, match="cannot be reached"):
        client.feedback("ab" * 16, "positive", comment="indeed")
    assert [said for *_, said, _ in server.asked] == [
        {"request_id": "ab" * 16, "label": "positive", "comment": "indeed"}
    ]
    server.script = [problem(503, "busy"), (202, {"status": "received"}, {})]
    with Client(server.url) as client:
        client.feedback("ab" * 16, "positive")
    assert len(pauses) == 1


def test_a_slow_server_is_given_up(server: Scripted, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    done = threading.Event()
    monkeypatch.setattr(_Handler, "do_POST", lambda self: done.wait(20))
    with (
        Client(server.url, timeout=0.2) as client,
        pytest.raises(ServiceError, match="did not answer /predict in time"),
    ):
        client.predict("fine")
    done.set()
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, DataError),
        (413, DataError),
        (422, DataError),
        (401, SettingsError),
        (403, SettingsError),
        (404, ServiceError),
        (500, ServiceError),
    ],
)
def test_an_error_says_what_the_server_said(server: Scripted, status: int, kind: type[SentimentError]) -> None:
    server.script = [problem(status, "This and that.")]
    with Client(server.url, key="hush") as client, pytest.raises(kind, match=f"{status}: No: This and that") as caught:
        client.predict("my diary")
    assert type(caught.value) is kind
    assert len(server.asked) == 1
    assert not {"hush", "diary"} & set(str(caught.value).split())


@pytest.mark.parametrize("reply", [(200, b"<html>", {}), (200, {"label": "x"}, {}), (200, [], {}), (500, b"oops", {})])
def test_what_is_not_this_api_is_said(server: Scripted, reply: Reply) -> None:
    server.script = [reply]
    with Client(server.url) as client, pytest.raises(ServiceError):
        client.predict("fine")


@pytest.mark.parametrize(
    ("url", "key"),
    [("localhost:3000", None), ("ftp://x", None), ("http://", None), ("http://x", "two words"), ("http://x", "\u20ac")],
)
def test_a_url_and_a_key_must_be_such(url: str, key: str | None) -> None:
    with pytest.raises(SettingsError) as caught:
        Client(url, key=key)
    assert "two words" not in str(caught.value)


def test_an_older_server_has_the_usual_limits(server: Scripted) -> None:
    server.script = [(200, {name: value for name, value in FACTS.items() if name != "limits"}, {})]
    with Client(server.url) as client:
        assert client.limits == Limits()


def test_importing_the_client_loads_nothing_heavy() -> None:
    code = (
        "import sys, sentiment.client; heavy = {'pandas', 'numpy', 'mlflow', 'sklearn', 'pyarrow', 'pydantic', 'scipy'}"
        "; assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
