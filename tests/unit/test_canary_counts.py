"""What Prometheus's answer says was counted: restarts, births, gaps and all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sentiment.deployment.canary import look
from sentiment.deployment.canary.evidence import Histogram
from sentiment.deployment.canary.prometheus import increase, tracks
from sentiment.errors import SettingsError
from sentiment.settings import load_settings

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(0, "100"), (1, "100"), (2, "130")], (30, 0)),
        ([(1, "5"), (2, "8")], (8, 0)),  # was not there when the step began
        ([(0, "100"), (1, "110"), (2, "4"), (3, "9")], (19, 1)),  # restarted
        ([(0, "10"), (1, "NaN"), (2, "12")], (2, 0)),
        ([(0, "NaN")], (0, 0)),
        ([], (0, 0)),
        ([(0, "7"), (3, "9")], (2, 0)),  # not scraped in between
    ],
)
def test_a_counter_is_worth_its_increases(values: list[tuple[float, str]], expected: tuple[float, int]) -> None:
    assert increase(values, start=0.5) == expected


def series(name: str, *values: float, track: str = "canary", **labels: str) -> dict[str, object]:
    found = {"__name__": f"sentiment_{name}", "track": track, "instance": "a", **labels}
    return {"metric": found, "values": [(at, str(value)) for at, value in enumerate(values)]}


def test_series_are_added_up_over_servers_and_by_track() -> None:
    found = tracks(
        [
            series("requests_total", 10, 20, endpoint="/predict", outcome="ok"),
            series("requests_total", 0, 5, endpoint="/predict", outcome="ok", instance="b"),
            series("requests_total", 0, 3, endpoint="/predict", outcome="ok", track="stable"),
            series("requests_total", 0, 90, endpoint="probe", outcome="ok"),
            series("requests_total", 0, 90, endpoint="/predict", outcome="ok", track="blue"),
            series("prediction_confidence_bucket", 1, 3, le="0.5"),
            series("prediction_confidence_bucket", 2, 10, le="1.0"),
            series("prediction_confidence_bucket", 2, 10, le="+Inf"),
        ],
        start=0.5,
        end=0.5,
    )
    assert found["canary"].requests == {("/predict", "ok"): 15}
    assert found["stable"].requests == {("/predict", "ok"): 3}
    assert found["canary"].confidence == Histogram((0.5, 1.0, float("inf")), (2, 6, 0))


def test_a_server_that_begins_anew_restarted_once() -> None:
    found = tracks(
        [
            series("predictions_total", 10, 1, label="positive", model_version="2"),
            series("predictions_total", 9, 2, label="negative", model_version="2"),
        ],
        start=0.5,
        end=0.5,
    )
    assert found["canary"].restarts == 1
    assert found["canary"].labels == {"positive": 1, "negative": 2}


def test_versions_are_those_that_answered_or_are_up() -> None:
    gone = series("model_info", 1, model_version="7")
    up = series("model_info", 1, 1, model_version="2")
    idle = series("predictions_total", 3, 3, label="positive", model_version="6")
    answered = series("predictions_total", 3, 4, label="positive", model_version="5")
    assert tracks([gone, up, idle, answered], start=0.5, end=0.5)["canary"].versions == {"2", "5"}


def test_a_histogram_says_about_where_its_quantiles_are() -> None:
    histogram = Histogram((1.0, 2.0, float("inf")), (50, 50, 0))
    assert histogram.quantile(0.75) == 1.5
    assert histogram.above(1.0).share == 0.5
    assert Histogram((1.0,), (0,)).quantile(0.5) is None


class Broken(BaseHTTPRequestHandler):
    """Answers as `status` and `said` say."""

    status, said, asked = 503, b"", 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def broken() -> Iterator[tuple[type[Broken], str]]:
    handler = type("Handler", (Broken,), {})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def looked(url: str, *, minutes: float = 1) -> tuple[str, str]:
    settings = load_settings(canary={"prometheus_url": url, "attempts": 2, "timeout_seconds": 2})
    verdict = look(settings, stable="1", canary="2", weight=5, since=NOW - timedelta(minutes=minutes), now=NOW)
    return verdict.state, verdict.said


@pytest.mark.parametrize(
    ("status", "said", "attempts"),
    [(503, b"", 2), (200, b"<html>", 1), (200, json.dumps({"status": "success", "data": 5}).encode(), 1)],
)
def test_a_prometheus_that_fails_is_asked_again_and_is_a_reason_to_wait(
    broken: tuple[type[Broken], str], status: int, said: bytes, attempts: int
) -> None:
    handler, url = broken
    handler.status, handler.said = status, said
    state, reason = looked(url)
    assert (state, handler.asked) == ("wait", attempts)
    assert url in reason
    assert looked(url, minutes=61)[0] == "fail"


def test_no_prometheus_at_all_is_a_reason_to_wait() -> None:
    assert looked("http://127.0.0.1:9")[0] == "wait"


def test_a_query_that_is_refused_names_the_setting(broken: tuple[type[Broken], str]) -> None:
    broken[0].status, broken[0].said = 400, b"parse error"
    with pytest.raises(SettingsError, match=r"parse error.*canary\.matchers"):
        looked(broken[1])


def test_a_watch_needs_a_prometheus() -> None:
    with pytest.raises(SettingsError, match=r"canary\.prometheus_url"):
        looked("")
