"""The proxy passes requests on whole, and hides that what answers them changes."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from sentiment.deployment import router as module
from sentiment.deployment.ports import free_port
from sentiment.deployment.router import Router, Upstream

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[Upstream]:
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    port = free_port("127.0.0.1")
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield Upstream(f"http://127.0.0.1:{port}")
    finally:
        await runner.cleanup()


@asynccontextmanager
async def routed() -> AsyncIterator[tuple[Router, aiohttp.ClientSession]]:
    router, port = Router(drain_seconds=0.5), free_port("127.0.0.1")
    await router.listen("127.0.0.1", port)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", auto_decompress=False) as client:
            yield router, client
    finally:
        await router.close()


async def echo(request: web.BaseRequest) -> web.Response:
    return web.json_response(
        {"method": request.method, "path": request.raw_path, "body": (await request.read()).decode()},
        status=207,
        headers={"X-Answer": "yes", "Content-Language": "en"},
    )


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(story(), 20)

    asyncio.run(limited())


def test_a_request_and_its_answer_pass_through_unchanged() -> None:
    async def story() -> None:
        async with routed() as (router, client), server(echo) as upstream:
            router.switch(upstream)
            async with client.put("/a%20b/c?d=%26&e", data="body") as answer:
                assert answer.status == 207
                assert answer.headers["X-Answer"] == "yes"
                assert await answer.json() == {"method": "PUT", "path": "/a%20b/c?d=%26&e", "body": "body"}

    run(story)


def test_the_bento_is_told_who_asks_behind_what_the_caller_claims() -> None:
    async def who(request: web.BaseRequest) -> web.Response:
        return web.json_response(request.headers.getall("X-Forwarded-For"))

    async def story() -> None:
        async with routed() as (router, client), server(who) as upstream:
            router.switch(upstream)
            async with client.get("/", headers={"X-Forwarded-For": "203.0.113.7"}) as answer:
                assert await answer.json() == ["203.0.113.7", "127.0.0.1"]

    run(story)


def test_without_a_release_it_says_so() -> None:
    async def story() -> None:
        async with routed() as (router, client):
            router.switch(None, reason="no release yet: train one")
            async with client.get("/predict") as answer:
                assert answer.status == 503
                assert answer.headers["Content-Type"].startswith("application/problem+json")
                assert answer.headers["Retry-After"]
                problem = await answer.json(content_type=None)
                assert problem["status"] == 503
                assert problem["detail"] == "no release yet: train one"

    run(story)


def test_a_request_that_meets_a_gone_service_is_sent_to_the_one_that_took_over() -> None:
    async def story() -> None:
        async with routed() as (router, client), server(echo) as upstream:
            router.switch(Upstream(f"http://127.0.0.1:{free_port('127.0.0.1')}"))
            asked = asyncio.create_task(client.post("/predict", data="once"))
            await asyncio.sleep(0.1)
            router.switch(upstream)
            async with await asked as answer:
                assert answer.status == 207
                assert (await answer.json())["body"] == "once"

    run(story)


def test_a_connection_dropped_before_the_answer_is_tried_again() -> None:
    calls = []

    async def drops_first(request: web.BaseRequest) -> web.StreamResponse:
        calls.append(await request.read())
        if len(calls) == 1:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(text="second")

    async def story() -> None:
        async with routed() as (router, client), server(drops_first) as upstream:
            router.switch(upstream)
            async with client.post("/predict", data="x") as answer:
                assert await answer.text() == "second"
        assert calls == [b"x", b"x"]

    run(story)


def test_a_service_that_stays_away_is_a_bad_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)

    async def story() -> None:
        async with routed() as (router, client):
            router.switch(Upstream(f"http://127.0.0.1:{free_port('127.0.0.1')}"))
            async with client.get("/") as answer:
                assert answer.status == 502
                assert "Traceback" not in await answer.text()

    run(story)


def test_a_body_over_the_limit_is_refused_without_being_passed_on() -> None:
    calls = []

    async def count(request: web.BaseRequest) -> web.StreamResponse:
        calls.append(request)
        return web.Response()

    async def story() -> None:
        async with routed() as (router, client), server(count) as upstream:
            router.switch(upstream)
            async with client.post("/predict", data=io.BytesIO(b"x" * (module.MAX_BODY_BYTES + 1))) as answer:
                assert answer.status == 413
                assert "16 MiB" in (await answer.json(content_type=None))["detail"]
        assert calls == []

    run(story)


def test_a_body_that_is_not_what_its_encoding_says_is_refused() -> None:
    async def story() -> None:
        async with routed() as (router, client), server(echo) as upstream:
            router.switch(upstream)
            junk, headers = b"\x1f\x8b\x08junk", {"Content-Encoding": "gzip"}
            async with client.post("/predict", data=junk, headers=headers) as answer:
                assert answer.status == 400
                assert "Content-Encoding" in (await answer.json(content_type=None))["detail"]

    run(story)


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_SECONDS", 0.2)

    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    async def story() -> None:
        async with routed() as (router, client), server(echo) as upstream:
            router.switch(upstream)
            async with client.post("/predict", data=trickle()) as answer:
                assert answer.status == 408

    run(story)


def test_an_upstream_is_drained_when_its_last_request_is_answered() -> None:
    release = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        await release.wait()
        return web.Response(text="done")

    async def story() -> None:
        async with routed() as (router, client), server(slow) as upstream:
            router.switch(upstream)
            asked = asyncio.create_task(client.get("/"))
            await asyncio.sleep(0.1)
            assert router.switch(None, reason="gone") is upstream
            assert not await upstream.drained(timeout=0.05)
            release.set()
            assert await upstream.drained(timeout=5)
            async with await asked as answer:
                assert await answer.text() == "done"

    run(story)


def test_a_free_port_is_kept_and_a_taken_one_replaced_by_the_next() -> None:
    port = free_port("127.0.0.1")
    assert free_port("127.0.0.1", port) == port
    with socket.create_server(("127.0.0.1", port)):
        assert free_port("127.0.0.1", port) > port
