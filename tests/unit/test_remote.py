"""Files at addresses: tried again a bounded number of times, never too large, never over plain http."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sentiment.errors import SourceError
from sentiment.reviews import remote
from sentiment.reviews.ingest import ingest
from sentiment.reviews.table import read_snapshot
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage

CONTENT = b"text,label\nGood,pos\nBad,neg\n"
Serve = Callable[..., str]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server that answers with these states in turn, the last one for ever; give its address."""
    monkeypatch.setattr(remote, "FIRST_WAIT_SECONDS", 0.01)
    servers = []

    def start(*states: int, cut: int = 0, location: str = "") -> str:
        waiting = list(states)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                state = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                self.send_response(state)
                if location:
                    self.send_header("location", location)
                self.send_header("content-length", str(len(CONTENT)))
                self.end_headers()
                self.wfile.write(CONTENT[: len(CONTENT) - cut])

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/data/shop.csv"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_file_at_an_address_is_taken_in_and_nothing_is_left_behind(settings: Settings, serve: Serve) -> None:
    assert ingest(settings, paths=[serve(200)]).accepted == 2
    assert read_snapshot(Storage(settings), 1)["source"].tolist() == ["shop", "shop"]
    assert list(Path(settings.storage.root, "downloads").iterdir()) == []


def test_a_server_that_is_busy_is_asked_again_and_it_shows(
    settings: Settings, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    assert ingest(settings, paths=[serve(503, 429, 200)]).accepted == 2
    assert "attempt 1 of 4: the server answered 503" in caplog.text
    assert "attempt 2 of 4: the server answered 429" in caplog.text


@pytest.mark.parametrize(
    ("states", "options", "said"),
    [
        ((503,), {}, "was not fetched in 4 attempts: the server answered 503"),
        ((404,), {}, "answered 404"),
        ((200,), {"cut": 5}, "was not fetched in 4 attempts"),
        ((302,), {"location": "http://192.0.2.1/shop.csv"}, "which is not https"),
    ],
    ids=["busy for ever", "absent", "cut off", "leads elsewhere"],
)
def test_what_cannot_be_fetched_is_told_and_adds_nothing(
    settings: Settings,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    states: tuple[int, ...],
    options: dict[str, str],
    said: str,
) -> None:
    with pytest.raises(SourceError, match=said):
        ingest(settings, paths=[serve(*states, **options)])
    assert not Path(settings.storage.root, "tables").exists()


def test_a_file_that_is_too_large_is_not_fetched_to_its_end(settings: Settings, serve: Serve) -> None:
    small = load_settings(storage=settings.storage.model_dump(), data={"max_download_bytes": 10})
    with pytest.raises(SourceError, match="larger than 10 bytes"):
        ingest(small, paths=[serve(200)])


@pytest.mark.parametrize("address", ["http://192.0.2.1/a.csv", "ftp://127.0.0.1/a.csv", "https://127.0.0.1/"])
def test_addresses_of_other_kinds_are_refused(settings: Settings, address: str) -> None:
    with pytest.raises(SourceError, match="cannot be fetched"):
        ingest(settings, paths=[address])
