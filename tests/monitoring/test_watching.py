"""A real Prometheus with our rules watches a served Bento and the state of a platform, and its alerts fire."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from bentos import BuiltBentos
from monitored import live_through
from served import Served, running
from test_dashboards import EXPRESSIONS

from sentiment.deployment.ports import free_port
from sentiment.metrics.exporter import StateMetrics
from sentiment.settings import load_settings
from sentiment.supervisor import Service

pytestmark = pytest.mark.slow

RULES = Path(__file__).resolve().parents[2] / "helm" / "sentiment" / "files" / "rules"
SHORT = {"5m": "10s", "15m": "10s", "30m": "15s", "1h": "20s", "6h": "25s", "1d": "40s", "3d": "40s"}
CHOICES = {"$__rate_interval": "10s", "$namespace": ".*", "$track": ".*", "$platform": ".*"}
NOTHING_YET = re.compile(r"airflow_|state=\"(stable|drifted|insufficient_data)\"")
"""Queries that have no answer here: no Airflow runs, and the last drift check says `watch`."""


@dataclass(frozen=True)
class Watch:
    served: Served
    prometheus: httpx.Client

    def ask(self, expr: str) -> list[dict[str, Any]]:
        answer = self.prometheus.get("/api/v1/query", params={"query": expr}).json()
        assert answer["status"] == "success", (expr, answer)
        return list(answer["data"]["result"])

    def firing(self) -> dict[str, dict[str, Any]]:
        alerts = self.prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
        return {one["labels"]["alertname"]: one for one in alerts if one["state"] == "firing"}

    def wait(self, happens: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 120
        while not happens():
            assert time.monotonic() < deadline, f"{what}; firing: {sorted(self.firing())}"
            time.sleep(0.5)


def shortened(folder: Path) -> None:
    """Copy the rules with seconds for minutes: what takes an hour in production takes half a minute here."""
    for path in RULES.glob("*.yaml"):
        document = yaml.safe_load(path.read_text())
        for group in document["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                rule["expr"] = re.sub(r"(\[|offset )(\d+[mhd])", lambda found: found[1] + SHORT[found[2]], rule["expr"])
                if "for" in rule:
                    rule["for"] = "6s"
        (folder / path.name).write_text(yaml.safe_dump(document, sort_keys=False))


@contextmanager
def prometheus(folder: Path, targets: dict[str, str]) -> Iterator[httpx.Client]:
    if not shutil.which("prometheus"):
        pytest.skip("Prometheus is not here: install Debian's prometheus")
    folder.mkdir()
    shortened(folder)
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [target], "labels": {"track": "stable"}}]}
        for job, target in targets.items()
    ]
    config = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "rule_files": ["*.yaml"],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.json").write_text(json.dumps(config))
    port = free_port("127.0.0.1")
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.json'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    service = Service("prometheus", command, log_path=folder / "prometheus.log")
    service.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            yield client
    finally:
        service.stop()


@contextmanager
def busy(client: httpx.Client, *, callers: int) -> Iterator[None]:
    """Ask it for batches all the time, a few callers at once."""
    stop = threading.Event()

    def call() -> None:
        with httpx.Client(base_url=client.base_url, timeout=20) as own:
            while not stop.wait(0.1):
                texts = [f"a wonderful film {number} " * 200 for number in range(8)]
                own.post("/predict_batch", json={"texts": texts})
                own.post("/predict", json={"text": "a boring plot"})

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def watch(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    folder = tmp_path_factory.mktemp("watching")
    settings = load_settings(
        storage={"root": str(folder / "var")}, serving={"max_concurrent": 2, "log_flush_seconds": 0.2}
    )
    live_through(settings, champion=bentos.first.model_version)
    state = StateMetrics(settings)
    state.refresh(datetime.now(UTC))
    with running(bentos.first.path, folder, settings) as served:
        api = str(served.client.base_url).removeprefix("http://").rstrip("/")
        targets = {"sentiment": api, "sentiment-state": f"127.0.0.1:{state.serve('127.0.0.1', 0)}"}
        with prometheus(folder / "prometheus", targets) as client:
            yield Watch(served, client)


def ready(watch: Watch) -> bool:
    try:
        return bool(watch.ask("sentiment_state_up") and watch.ask("sentiment_model_info"))
    except (httpx.TransportError, ValueError):
        return False


@pytest.mark.timeout(900)
def test_what_goes_wrong_is_told_and_nothing_else(watch: Watch) -> None:
    watch.wait(lambda: ready(watch), "Prometheus does not see the Bento and the state")
    client = watch.served.client
    answer = client.post("/predict", json={"text": "what a lovely unheard kettle"}).json()
    client.post("/feedback", json={"request_id": answer["request_id"], "label": "positive"})
    client.post("/predict", json={"text": 5})

    with busy(client, callers=1):  # all is well
        watch.wait(lambda: watch.ask("sentiment:label_share:1h"), "no label shares were recorded")
        time.sleep(25)
        assert watch.firing().keys() <= {"SentimentSchedulerDown", "SentimentSlow"}  # no Airflow; a busy machine

    with busy(client, callers=8):  # two at a time are let in, the others are told to come back
        watch.wait(lambda: "SentimentErrors" in watch.firing(), "errors are not told")
        alert = watch.firing()["SentimentErrors"]
        assert alert["labels"]["track"] == "stable"
        assert re.fullmatch(r"[\d.]+% of the requests \(stable\) fail\.", alert["annotations"]["summary"])
        watch.wait(lambda: "SentimentErrorBudgetFast" in watch.firing(), "the error budget is not told")
        for where, expr in EXPRESSIONS.items():
            for name, value in CHOICES.items():
                expr = expr.replace(name, value)
            found = watch.ask(expr)
            if " panel " in where and not NOTHING_YET.search(expr):
                assert found, f"{where} has no data: {expr}"
    assert "SentimentNoPredictions" not in watch.firing()

    watch.wait(lambda: "SentimentNoPredictions" in watch.firing(), "silence is not told")
    assert "SentimentErrors" not in watch.firing()  # it is over
    assert not {"SentimentDown", "SentimentNotDeployed"} & watch.firing().keys()

    watch.served.service.stop()
    watch.wait(
        lambda: {"SentimentDown", "SentimentNotDeployed"} <= watch.firing().keys(), "that it is gone is not told"
    )
    assert watch.firing()["SentimentNotDeployed"]["labels"]["model_version"] == "1"
