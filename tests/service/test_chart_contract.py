"""What the chart relies on is there: a served Bento takes the arguments, probes, test and metric names of the chart."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from bentos import BuiltBentos
from faults import S3Server

from sentiment.deployment.backend import environment
from sentiment.deployment.ports import free_port
from sentiment.deployment.shipping import ship
from sentiment.packaging import bento_file
from sentiment.serving.manifest import digest_of_files
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage
from sentiment.supervisor import Service

GOLDEN = Path(__file__).resolve().parents[1] / "helm" / "golden" / "production.yaml"
RENDERED: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all(GOLDEN.read_text()) if one}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Bento that was started with the arguments of the chart's pods."""
    folder = tmp_path_factory.mktemp("served")
    settings = load_settings(storage={"root": str(folder / "var")})
    [container] = RENDERED["Deployment"]["spec"]["template"]["spec"]["containers"]
    with serving(container, bentos.first.path, folder, settings) as url:
        yield url


@contextmanager
def serving(container: dict[str, Any], path: str, folder: Path, settings: Settings) -> Iterator[str]:
    """Run what a container of the chart runs, with another address and the Bento somewhere else."""
    port = free_port("127.0.0.1")
    first, *flags = container["args"]
    assert first == "serve"  # what the image's entry point makes `bentoml serve ... PATH` of
    flags = ["--host=127.0.0.1" if flag.startswith("--host=") else flag for flag in flags]
    flags = [f"--port={port}" if flag.startswith("--port=") else flag for flag in flags]
    service = Service(
        "the Bento",
        [sys.executable, "-m", "bentoml", "serve", *flags, path],
        log_path=folder / "bento.log",
        env={
            **environment(settings),
            "BENTOML_HOME": str(folder / "home"),
            "BENTOML_DO_NOT_TRACK": "True",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    service.start()
    try:
        wait_ready(f"http://127.0.0.1:{port}", service)
        yield f"http://127.0.0.1:{port}"
    finally:
        service.stop()


def wait_ready(url: str, service: Service) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        service.check_alive()
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"not ready:\n{service.last_lines()}")


def run_test_pod(url: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run what `helm test` runs, with the interpreter of this test in the place of the image's."""
    [container] = RENDERED["Pod"]["spec"]["containers"]
    assert container["args"][:2] == ["python", "-c"]
    return subprocess.run(
        [sys.executable, "-c", container["args"][2]],
        env={**os.environ, "SERVICE_URL": url, "KEYS_NEEDED": "no", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_test_pod_is_content(served: str) -> None:
    ended = run_test_pod(served)
    assert ended.returncode == 0, ended.stderr
    assert "model version 1 says" in ended.stdout


def test_the_test_pod_sees_that_no_key_is_asked_for_where_one_should_be(served: str) -> None:
    ended = run_test_pod(served, KEYS_NEEDED="yes")
    assert ended.returncode == 1
    assert "/predict answered 200, not 401" in ended.stderr


def test_the_probes_ask_for_what_is_there(served: str) -> None:
    [container] = RENDERED["Deployment"]["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert httpx.get(served + container[probe]["httpGet"]["path"]).status_code == 200


def test_the_alerts_ask_for_metrics_that_there_are(served: str) -> None:
    httpx.post(f"{served}/predict", json={"text": "a wonderful film"}).raise_for_status()
    shown = httpx.get(served + RENDERED["ServiceMonitor"]["spec"]["endpoints"][0]["path"]).text
    rules = RENDERED["PrometheusRule"]["spec"]["groups"][0]["rules"]
    asked = set(re.findall(r"\bsentiment_[a-z_]+[a-z](?=[{\[])", " ".join(rule["expr"] for rule in rules)))
    assert {"sentiment_model_info", "sentiment_requests_total"} <= asked
    assert {name for name in asked if not re.search(rf"^{name}\b", shown, re.MULTILINE)} == set()
    for label in ('endpoint="/predict"', "model_version=", "label=", "bento="):
        assert label in shown


def test_a_pod_of_the_runtime_fetches_what_was_shipped_and_serves_it(
    bentos: BuiltBentos, s3: Settings, store: S3Server, tmp_path: Path
) -> None:
    """`sentiment ship`, then the command of the init container against the S3 server, then that of the server."""
    file = bento_file(bentos.second.version)
    Storage(s3).upload(Path(bentos.settings.storage.root, file), file)
    deployment = s3.deployment.model_copy(update={"runtime_image": f"registry.example.com/runtime@sha256:{'5' * 64}"})
    shipped = ship(s3.model_copy(update={"deployment": deployment}), bentos.second)

    rendered = next(yaml.safe_load_all(GOLDEN.with_name("fetched.yaml").read_text().partition("kind: Deployment")[2]))
    pod = rendered["spec"]["template"]["spec"]
    [fetching], [container] = pod["initContainers"], pod["containers"]
    assert fetching["command"] == ["python", "/opt/sentiment/fetch.py"]
    folder = tmp_path / "volume" / Path(fetching["args"][2]).name
    folder.parent.mkdir()
    ended = subprocess.run(
        [sys.executable, "images/serving/fetch.py", *shipped.values()["bento"].values(), str(folder)],
        cwd=GOLDEN.parents[3],
        env={**os.environ, "SENTIMENT_STORAGE__ENDPOINT": store.url},  # as the ConfigMap names it
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert f"Fetched {shipped.bento_uri}" in ended.stderr

    before = content(folder)
    with serving(container, str(folder), tmp_path, load_settings(storage={"root": str(tmp_path / "var")})) as url:
        answer = httpx.post(f"{url}/predict", json={"text": "the film was not wonderful"}).json()
    assert answer["model_version"] == bentos.second.model_version
    scorer = bentos.shelf.load_scorer(bentos.shelf.version("2"))
    expected = dict(zip(scorer.labels, scorer.probabilities(["the film was not wonderful"])[0], strict=True))
    assert answer["label"] == max(expected, key=lambda label: expected[label])
    assert answer["score"] == pytest.approx(expected["positive"])
    assert content(folder) == before, "its volume is read-only in the pod"


def content(folder: Path) -> str:
    return digest_of_files(folder, [str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()])
