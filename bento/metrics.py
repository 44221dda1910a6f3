"""The service's own Prometheus metrics, shown on BentoML's ``/metrics`` beside BentoML's.

They are made on first use, in the worker: prometheus-client decides at import whether several processes share
their counts, and BentoML sets that up just before the worker starts.
"""

from __future__ import annotations

from collections import Counter as Tally
from functools import lru_cache

from prometheus_client import Counter, Histogram

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters and histograms of the service."""

    def __init__(self) -> None:
        self._requests = Counter("sentiment_requests", "Requests by endpoint and outcome.", ["endpoint", "outcome"])
        self._seconds = Histogram(
            "sentiment_request_seconds", "Seconds from request to answer.", ["endpoint"], buckets=SECONDS
        )
        self._predictions = Counter(
            "sentiment_predictions", "Texts answered, by label and model version.", ["label", "model_version"]
        )

        self._feedback = Counter("sentiment_feedback", "Feedback received, by the label said to be right.", ["label"])

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a finished request: `ok`, `refused` (4xx) or `failed` (5xx)."""
        outcome = "ok" if status < 400 else "refused" if status < 500 else "failed"
        self._requests.labels(endpoint, outcome).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def count(self, labels: Tally[str], *, model_version: str) -> None:
        """Count answered texts by label."""
        for label, number in labels.items():
            self._predictions.labels(label, model_version).inc(number)

    def count_feedback(self, label: str) -> None:
        """Count feedback by label."""
        self._feedback.labels(label).inc()


@lru_cache(maxsize=1)
def metrics() -> Metrics:
    """Return the metrics of this process."""
    return Metrics()


def exposition(name: str, kind: str, text: str, value: float, **labels: str) -> str:
    """Return one metric in Prometheus's text format, for values that are read when they are asked for."""
    pairs = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
    sample = f"{name}{{{pairs}}}" if pairs else name
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n{sample} {value}\n"


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
