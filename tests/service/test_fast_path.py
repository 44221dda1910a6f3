"""The fast path gives the very answers that BentoML gives, refusals included."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from bentos import BuiltBentos
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # of BentoML, many

POSTS = ("/predict", "/predict_batch", "/explain", "/feedback")
Reply = tuple[int, list[tuple[str, str]], bytes]
BODIES = [
    b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 10_000, b'{"text": NaN}', b'{"text": "\\ud800"}',
    b'{"text": "fine", "text": 5}', b'{"text": 5, "texts": 6}', b'\xef\xbb\xbf{"text": "fine"}',
    *(json.dumps(body).encode() for body in (
        {"text": "a wonderful film"}, {"text": ""}, {"text": "caf\u00e9 \u4f60\u597d \U0001f600 \x00"}, {"text": None},
        {"text": "dreadful " * 2_000}, {"text": "x" * 50_001}, {"text": "fine", "more": 1}, {"text": ["fine"]},
        {"texts": ["a wonderful film", "boring"]}, {"texts": []}, {"texts": ["fine", 5, None, "x" * 50_001]},
        {"texts": ["a tedious plot " * 500] * 8}, {"texts": ["fine"] * 300}, {"texts": "fine"}, {"texts": {"0": "a"}},
        {"request_id": "ab" * 16, "label": "positive"}, {"request_id": "ab" * 16, "label": "great"},
        {"request_id": "../..", "label": "positive"}, {"request_id": "ab" * 16, "label": "positive", "comment": 5},
        {"request_id": "ab" * 16, "label": "negative", "comment": "irony", "reporter": "x" * 201},
    )),
]  # fmt: skip


class Ways:
    """Both ways into one service: with the fast path and without it."""

    def __init__(self) -> None:
        from _bentoml_sdk import Service

        from bento.edge import Edge
        from bento.fast import FastPath
        from bento.service import SentimentService

        self._loop = asyncio.new_event_loop()
        self._bentoml = Service.to_asgi(SentimentService)
        ways = Edge(FastPath(self._bentoml, SentimentService.apis)), Edge(self._bentoml)
        self._clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(app=way), base_url="http://ours") for way in ways
        ]
        self._lifespan = self._bentoml.router.lifespan_context(self._bentoml)
        self._loop.run_until_complete(self._lifespan.__aenter__())

    def ask(self, path: str, body: bytes) -> list[Reply]:
        """Return what comes of it, both ways; BentoML's own headers are left out."""
        return [self._loop.run_until_complete(self._ask(client, path, body)) for client in self._clients]

    async def _ask(self, client: httpx.AsyncClient, path: str, body: bytes) -> Reply:
        reply = await client.post(path, content=body, headers={"content-type": "application/json; charset=utf-8"})
        theirs = ("server", "x-bentoml-request-id")
        headers = sorted(pair for pair in reply.headers.items() if pair[0] not in theirs)
        return reply.status_code, headers, reply.content

    def close(self) -> None:
        """End the service."""
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture(scope="module")
def ways(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    from bento import answers, service

    told = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTIMENT_STORAGE__ROOT", str(tmp_path_factory.mktemp("ways")))
        patch.setattr(service, "ROOT", Path(bentos.first.path) / "src")
        patch.setattr(answers, "_request_ids", lambda number: ["ab" * 16] * number)
        found = Ways()
        yield found
        found.close()
    signal.signal(signal.SIGTERM, told)


@pytest.mark.parametrize("path", POSTS)
def test_both_ways_give_the_same_bytes(ways: Ways, path: str) -> None:
    found = set()
    for body in BODIES:
        fast, slow = ways.ask(path, body)
        assert fast == slow, body[:100]
        found.add(fast[0])
    assert found >= {202 if path == "/feedback" else 200, 400, 413, 422}


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=40)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(POSTS), text=values, texts=st.lists(values, max_size=4), extra=st.text(max_size=3))
def test_both_ways_give_the_same_bytes_for_anything(
    ways: Ways, path: str, text: object, texts: list[object], extra: str
) -> None:
    body = {"text": text, "texts": texts, "request_id": text, "label": "positive", extra: text}
    fast, slow = ways.ask(path, json.dumps(body).encode())
    assert fast == slow
