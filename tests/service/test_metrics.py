"""``/metrics`` of the built Bento shows what docs/metrics.md says it shows, and nothing else of ours."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bentos import BuiltBentos
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from served import Served, running

from sentiment.settings import load_settings

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(sentiment_\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE)
EARLIER = {
    "app_request_count_total",
    "app_request_latency_seconds",
    "model_prediction_count_total",
    "sentiment_predictions_total",
    "sentiment_prediction_latency_seconds",
    "sentiment_prediction_confidence",
    "sentiment_errors_total",
}


@pytest.fixture(scope="module")
def served(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("metrics")
    settings = load_settings(storage={"root": str(folder / "var")}, serving={"max_batch": 8, "log_flush_seconds": 0.2})
    with running(bentos.first.path, folder, settings) as served:
        yield served


@pytest.fixture(scope="module")
def shown(served: Served) -> dict[str, Metric]:
    """What is shown after one request of each kind, with an answer that feedback agrees with and one it does not."""
    client = served.client
    one = client.post("/predict", json={"text": "a wonderful film"}).json()
    two = client.post("/predict_batch", json={"texts": ["a boring plot", "so dreadful", "unheard of"]}).json()[
        "predictions"
    ]
    client.post("/predict", json={"text": 5})
    client.post("/predict", json={"text": "x" * 50_001})
    client.post("/predict", content=b"a=b", headers={"content-type": "application/x-www-form-urlencoded"})
    client.post("/explain", json={"text": "a wonderful film"})
    client.post("/predict", json={"text": "only a probe"}, headers={"X-Sentiment-Probe": "1"})
    for request_id, label in (
        (one["request_id"], one["label"]),
        (two[0]["request_id"], "positive"),
        ("0" * 32, "positive"),
    ):
        assert client.post("/feedback", json={"request_id": request_id, "label": label}).status_code == 202
    client.get("/model")
    time.sleep(1.5)  # the logs are looked at every second
    text = client.get("/metrics").text
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(shown: dict[str, Metric], name: str) -> dict[str, float]:
    """Return the samples of a counter or gauge by their labels."""
    return {
        ",".join(sample.labels.values()): sample.value
        for sample in shown[name].samples
        if not sample.name.endswith("_created")
    }


def test_the_page_and_the_metrics_name_the_same_things(shown: dict[str, Metric]) -> None:
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}
    real = {}
    for name, family in shown.items():
        if name.startswith("sentiment_"):
            labels = {label for sample in family.samples for label in sample.labels} - {"le", "pid"}
            real[f"{name}_total" if family.type == "counter" else name] = (family.type, labels)
    assert documented == real


def test_the_page_maps_every_earlier_name_to_one_there_is(shown: dict[str, Metric]) -> None:
    table = PAGE.split("## Earlier names")[1]
    mapped = dict(re.findall(r"^\| `(\w+)` \| `(\w+)", table, re.MULTILINE))
    assert set(mapped) == EARLIER
    assert {name.removesuffix("_total") for name in mapped.values()} <= set(shown)


def test_each_request_is_counted_where_it_belongs(shown: dict[str, Metric]) -> None:
    assert values(shown, "sentiment_requests") == {
        "/predict,ok": 1, "probe,ok": 1, "/predict,refused": 3, "/predict_batch,ok": 1, "/explain,ok": 1,
        "/feedback,ok": 3, "/model,ok": 1,
    }  # fmt: skip
    assert values(shown, "sentiment_errors") == {"/predict,invalid": 1, "/predict,too_large": 1, "/predict,not_json": 1}
    assert sum(values(shown, "sentiment_predictions").values()) == 4
    assert values(shown, "sentiment_feedback_agreement") == {"agrees": 1, "differs": 1, "forgotten": 1}
    assert values(shown, "sentiment_prediction_log_dropped") == {"": 0}
    assert values(shown, "sentiment_prediction_log_waiting") == {"": 0}
    assert values(shown, "sentiment_model_load_seconds")[""] > 0


def test_histograms_count_each_text_once(shown: dict[str, Metric]) -> None:
    for name, number in (("prediction_confidence", 4), ("unknown_share", 4), ("batch_texts", 1)):
        samples = {
            sample.labels.get("le", sample.name.rpartition("_")[2]): sample.value
            for sample in shown[f"sentiment_{name}"].samples
        }
        assert samples["count"] == samples["+Inf"] == number
    assert samples["sum"] == 3


def test_bentoml_does_not_see_predictions(shown: dict[str, Metric]) -> None:
    """Whoever breaks the fast path finds it here: answers would be the same, only slower."""
    endpoints = {sample.labels["endpoint"] for sample in shown["bentoml_service_request"].samples if sample.value}
    assert "/model" in endpoints
    assert not endpoints & {"/predict", "/predict_batch", "/explain", "/feedback"}


def test_several_workers_count_together(bentos: BuiltBentos, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("workers")
    configuration = folder / "bentoml.yaml"
    configuration.write_text("services:\n  sentiment:\n    workers: 2\n")
    settings = load_settings(storage={"root": str(folder / "var")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_CONFIG", str(configuration))
        with running(bentos.first.path, folder, settings) as served:
            for number in range(40):
                headers = {"connection": "close"}  # so that either worker may take the next
                served.client.post("/predict", json={"text": f"text {number}"}, headers=headers)
            text = served.client.get("/metrics").text
    shown = {family.name: family for family in text_string_to_metric_families(text)}
    assert values(shown, "sentiment_requests") == {"/predict,ok": 40}
    assert sum(values(shown, "sentiment_predictions").values()) == 40
    assert set(values(shown, "sentiment_prediction_log_dropped")) == {""}
