"""The service's own Prometheus metrics, on BentoML's ``/metrics`` beside BentoML's; docs/metrics.md explains them.

They are made on first use, in the worker: prometheus-client decides at import whether several processes share
their counts, and BentoML sets that up just before the worker starts. Every value of a label is of a set that is known
beforehand, so that no caller can make their number grow.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CONFIDENCES = (0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99, 1.0)
SHARES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
ERRORS = {
    400: "invalid", 422: "invalid", 401: "unauthorised", 403: "unauthorised", 404: "not_found", 405: "not_found",
    408: "too_slow", 413: "too_large", 415: "not_json", 429: "too_many", 503: "busy", 504: "busy",
}  # fmt: skip
"""Types of errors by status; other statuses are `refused` (4xx) or `failed` (5xx)."""

REMEMBERED = 20_000
"""Answers of which at least so many are remembered, for feedback to be compared with."""

WATCH_SECONDS = 1.0


class Log(Protocol):
    """What is watched of a log."""

    @property
    def waiting(self) -> int:
        """Records that are not in the storage yet."""
        ...

    @property
    def oldest_seconds(self) -> float:
        """For how long the oldest of them has waited."""
        ...

    @property
    def dropped(self) -> int:
        """Records given up."""
        ...


class Metrics:
    """Counters and histograms of the service."""

    def __init__(self) -> None:
        self._requests = Counter("sentiment_requests", "Requests by endpoint and outcome.", ["endpoint", "outcome"])
        self._errors = Counter("sentiment_errors", "Requests without an answer, by type.", ["endpoint", "type"])
        self._seconds = Histogram(
            "sentiment_request_seconds", "Seconds from request to answer.", ["endpoint"], buckets=SECONDS
        )
        self._batches = Histogram("sentiment_batch_texts", "Texts in a batch request.", buckets=TEXTS)
        self._predictions = Counter(
            "sentiment_predictions", "Texts answered, by label and model version.", ["label", "model_version"]
        )
        self._confidences = Histogram(
            "sentiment_prediction_confidence", "Probability of the label answered.", buckets=CONFIDENCES
        )
        self._unknown = Histogram(
            "sentiment_unknown_share", "Share of a text's tokens that the model does not know.", buckets=SHARES
        )
        self._abstentions = Counter("sentiment_abstentions", "Unsure answers, by model version.", ["model_version"])
        self._feedback = Counter("sentiment_feedback", "Feedback received, by the label said to be right.", ["label"])
        self._agreement = Counter(
            "sentiment_feedback_agreement", "Feedback against the answer it is about.", ["outcome"]
        )
        self._children: dict[tuple[Any, ...], Any] = {}
        self._answers: dict[str, str] = {}
        self._older_answers: dict[str, str] = {}

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a finished request: `ok`, `refused` (4xx) or `failed` (5xx)."""
        outcome = "ok" if status < 400 else "refused" if status < 500 else "failed"
        self._child(self._requests, endpoint, outcome).inc()
        self._child(self._seconds, endpoint).observe(seconds)
        if status >= 400:
            self._child(self._errors, endpoint, ERRORS.get(status, outcome)).inc()

    def batch(self, texts: int) -> None:
        """Count a batch by its size."""
        self._batches.observe(texts)

    def answered(
        self,
        answers: Sequence[Mapping[str, Any]],
        *,
        confidences: Sequence[float],
        unknown_shares: Sequence[float],
        model_version: str,
    ) -> None:
        """Count answered texts, and remember the answers for feedback to be compared with."""
        unsure = 0
        for label, number in Tally(answer["label"] for answer in answers).items():
            self._child(self._predictions, label, model_version).inc(number)
        for answer in answers:
            unsure += answer["abstained"]
            self._answers[answer["request_id"]] = answer["label"]
        if unsure:
            self._child(self._abstentions, model_version).inc(unsure)
        _observe_all(self._confidences, confidences, CONFIDENCES)
        _observe_all(self._unknown, unknown_shares, SHARES)
        if len(self._answers) > REMEMBERED:
            self._answers, self._older_answers = {}, self._answers

    def count_feedback(self, request_id: str, label: str) -> None:
        """Count feedback by label, and by whether it agrees with the answer, as far as that is remembered."""
        self._child(self._feedback, label).inc()
        answered = self._answers.get(request_id) or self._older_answers.get(request_id)
        outcome = "forgotten" if answered is None else "agrees" if answered == label else "differs"
        self._child(self._agreement, outcome).inc()

    def _child(self, metric: Any, *labels: str) -> Any:
        """Return what counts for these labels; as `labels`, without its lock."""
        key = (metric, *labels)
        if (found := self._children.get(key)) is None:
            found = self._children[key] = metric.labels(*labels)
        return found


class LogWatch(threading.Thread):
    """Shows how a log is doing, every second, so that each of several workers adds its own.

    Parameters
    ----------
    name : str
        The log's, in the names of the metrics: ``prediction`` or ``feedback``.
    log : Log or None
        What is watched; all is 0 without one.
    """

    def __init__(self, name: str, log: Log | None) -> None:
        super().__init__(name=f"{name}-log-watch", daemon=True)
        self._log, self._seen, self._idle = log, 0, threading.Event()
        about = f"sentiment_{name}_log"
        self._waiting = Gauge(f"{about}_waiting", "Records not in the storage yet.", multiprocess_mode="livesum")
        self._age = Gauge(
            f"{about}_age_seconds", "For how long the oldest of them has waited.", multiprocess_mode="livemax"
        )
        self._dropped = Counter(f"{about}_dropped", "Records given up.")

    def run(self) -> None:
        """Look until the process ends."""
        while self._log is not None:
            self.look(self._log)
            self._idle.wait(WATCH_SECONDS)

    def look(self, log: Log) -> None:
        """Show the state of now."""
        waiting, dropped = log.waiting, log.dropped
        self._waiting.set(waiting)
        self._dropped.inc(dropped - self._seen)
        self._seen = dropped
        self._age.set(log.oldest_seconds)


def _observe_all(histogram: Histogram, values: Sequence[float], bounds: Sequence[float]) -> None:
    """Observe many values at once, for which prometheus-client has no call; one by one it took a third of a batch."""
    if len(values) == 1:
        histogram.observe(values[0])
        return
    for place, number in Tally(bisect_left(bounds, value) for value in values).items():
        histogram._buckets[place].inc(number)
    histogram._sum.inc(sum(values))


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
