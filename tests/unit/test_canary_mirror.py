"""The same texts to two servers, one of which may answer anything."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sentiment.deployment.canary.evidence import Mirrored
from sentiment.deployment.canary.mirror import mirror
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.settings import Settings, load_settings

ANSWER = {"label": "positive", "model_version": "2", "probabilities": {"negative": 0, "positive": 1.0}}


@contextmanager
def server(answer: Callable[[str], tuple[int, object]]) -> Iterator[tuple[str, list[str | None]]]:
    """Answers each text as `answer` says; gives its address and the probe headers that came."""
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["content-length"])))["text"]
            seen.append(self.headers["x-sentiment-probe"])
            status, said = answer(text)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}", seen
        found.shutdown()
        thread.join()


@pytest.fixture
def reviewed(settings: Settings, tmp_path: Path) -> Settings:
    """A platform with reviews, some of them held out, and no prediction yet."""
    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 200, seed=1)])
    return settings


def mirrored(settings: Settings, answer: Callable[[str], tuple[int, object]]) -> Mirrored:
    with ExitStack() as stack:
        stable, probes = stack.enter_context(server(lambda _: (200, ANSWER)))
        canary, _ = stack.enter_context(server(answer))
        policy = {"stable_url": stable, "canary_url": canary, "mirrored": 20}
        given = load_settings(storage={"root": settings.storage.root}, canary=policy, serving={"probe_key": "the key"})
        found = mirror(given, canary="2")
    assert set(probes) == {"the key"}
    assert found is not None
    assert found.sent == len(probes) == 20
    return found


def test_held_out_reviews_are_sent_where_nothing_was_predicted_yet(reviewed: Settings) -> None:
    found = mirrored(reviewed, lambda _: (200, ANSWER))
    assert found.source.startswith("held-out reviews of reviews@v")
    assert (found.compared, found.disagreed, found.canary_failed, found.versions) == (20, 0, 0, ("2",))


def test_another_label_disagrees(reviewed: Settings) -> None:
    assert mirrored(reviewed, lambda _: (200, {**ANSWER, "label": "negative"})).disagreed == 20


@pytest.mark.parametrize(
    "said",
    [
        (500, {}),
        (404, ANSWER),
        (200, {}),
        (200, []),
        (200, "positive"),
        (200, {**ANSWER, "label": "glad"}),
        (200, {**ANSWER, "probabilities": None}),
    ],
)
def test_what_is_no_answer_of_a_model_is_a_failure(reviewed: Settings, said: tuple[int, object]) -> None:
    found = mirrored(reviewed, lambda _: said)
    assert (found.canary_failed, found.stable_failed, found.compared) == (20, 0, 0)


def test_without_addresses_nothing_is_sent(settings: Settings) -> None:
    assert mirror(settings, canary="2") is None
