"""A server that speaks the API of Prometheus, with what a test prepared: what each track counted since a step began."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

REQUESTS = 2_000


@dataclass
class Prepared:
    """What it tells.

    Attributes
    ----------
    versions : dict of str to str
        Model version of each track.
    failed : dict of str to int
        Requests of each track that failed, of `REQUESTS`.
    """

    url: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    def series(self, start: float, end: float) -> Iterator[dict[str, Any]]:
        """Yield counters that began at nothing when the step did."""
        for track, version in self.versions.items():
            failed = self.failed.get(track, 0)
            good = REQUESTS - failed
            counts: list[tuple[str, dict[str, str], int]] = [
                ("requests_total", {"endpoint": "/predict", "outcome": "ok"}, good),
                ("requests_total", {"endpoint": "/predict", "outcome": "failed"}, failed),
                ("predictions_total", {"label": "positive", "model_version": version}, good // 2),
                ("predictions_total", {"label": "negative", "model_version": version}, good - good // 2),
                *(("request_seconds_bucket", {"endpoint": "/predict", "le": le}, good) for le in ("0.01", "+Inf")),
                *(("prediction_confidence_bucket", {"le": le}, good) for le in ("0.9", "+Inf")),
            ]
            for name, labels, count in counts:
                labels = {"__name__": f"sentiment_{name}", "track": track, "instance": track, **labels}
                yield {"metric": labels, "values": [[start, "0"], [end, str(count)]]}
            info = {"__name__": "sentiment_model_info", "track": track, "instance": track, "model_version": version}
            yield {"metric": info, "values": [[start, "1"], [end, "1"]]}


@contextmanager
def prometheus() -> Iterator[Prepared]:
    """Serve it on a free port of this machine."""
    prepared = Prepared()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            prepared.asked += 1
            found = list(prepared.series(float(asked["start"][0]), float(asked["end"][0])))
            said = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": found}}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        prepared.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield prepared
        finally:
            server.shutdown()
            thread.join()
