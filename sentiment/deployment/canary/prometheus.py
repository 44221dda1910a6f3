"""What Prometheus counted of each track since a step began: exactly, from the counters, not from rates.

One range query gives every counter at the step's beginning, now, and at moments between. A counter is worth its
increases; one that falls began anew with its server and is worth all that it has since. One that was not there at the
beginning began at nothing. What a server that restarts counted since the last moment before it is lost: a sixtieth of
the step at the most.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import tenacity

from sentiment.deployment.canary.evidence import COMPARED, Histogram, Track
from sentiment.errors import ServiceError, SettingsError, one_line
from sentiment.settings import CanarySettings

MOMENTS = 60
TRACKS = ("stable", "canary")
ENDPOINTS = (*COMPARED, "/explain", "/feedback")
_KEYS = {
    "requests_total": ("endpoint", "outcome"),
    "request_seconds_bucket": ("endpoint", "le"),
    "predictions_total": ("label",),
    "prediction_confidence_bucket": ("le",),
    "abstentions_total": (),
    "unknown_share_bucket": ("le",),
    "batch_texts_bucket": ("le",),
    "feedback_agreement_total": ("outcome",),
    "model_info": (),
}
"""What is asked for, and the labels that are kept apart."""

Series = Mapping[str, Any]


def count(policy: CanarySettings, *, since: datetime, now: datetime) -> dict[str, Track]:
    """Return what each track did; of a track without any series, an empty one.

    Raises
    ------
    ServiceError
        Prometheus did not answer in any attempt, or did not understand.
    SettingsError
        It does not take the token or the query.
    """
    end = int(now.timestamp() * 1000)
    every = max(1, math.ceil((end - since.timestamp() * 1000) / MOMENTS))
    start = end - every * MOMENTS
    query = {
        "query": _selector(policy.matchers),
        "start": f"{start / 1000:.3f}",
        "end": f"{end / 1000:.3f}",
        "step": f"{every / 1000:.3f}",
    }
    return tracks(_ask(policy, query), start=(start + every / 2) / 1000, end=(end - every / 2) / 1000)


def _selector(matchers: str) -> str:
    names = f'__name__=~"sentiment_({"|".join(_KEYS)})"'
    return "{" + ",".join(part for part in (names, f'track=~"{"|".join(TRACKS)}"', matchers.strip(" ,")) if part) + "}"


def _ask(policy: CanarySettings, query: Mapping[str, str]) -> list[Series]:
    url = f"{policy.prometheus_url.rstrip('/')}/api/v1/query_range"
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(policy.attempts),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=policy.timeout_seconds),
        retry=tenacity.retry_if_exception_type(httpx.HTTPError),
        reraise=True,
    )

    def ask() -> list[Series]:
        answer = httpx.post(url, data=dict(query), headers=_headers(policy), timeout=policy.timeout_seconds)
        if answer.status_code in (400, 401, 403, 422):
            raise SettingsError(
                f"Prometheus at {url} answers {answer.status_code} to {query['query']}: {answer.text[:200]}",
                fix="Correct canary.matchers, or canary.prometheus_token_file.",
            )
        answer.raise_for_status()
        said = answer.json()
        if said.get("status") != "success" or said["data"]["resultType"] != "matrix":
            raise ValueError(f"status {said.get('status')}")
        return list(said["data"]["result"])

    try:
        return retrying(ask)
    except httpx.HTTPError as error:
        attempts = f"{policy.attempts} attempts" if policy.attempts > 1 else "1 attempt"
        raise ServiceError(f"Prometheus at {url} did not answer in {attempts}: {one_line(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(f"What answers at {url} is not Prometheus: {one_line(error)}") from error


def _headers(policy: CanarySettings) -> dict[str, str]:
    if not policy.prometheus_token_file:
        return {}
    try:
        return {"authorization": f"Bearer {Path(policy.prometheus_token_file).read_text().strip()}"}
    except OSError as error:
        raise SettingsError(
            f"The token of Prometheus cannot be read: {one_line(error)}.", fix="Correct canary.prometheus_token_file."
        ) from error


def increase(values: Sequence[Sequence[Any]], *, start: float) -> tuple[float, int]:
    """Return by how much a counter grew, and how often it began anew.

    Parameters
    ----------
    values : sequence of (seconds, str)
        As Prometheus gives them.
    start : float
        A counter that was not there yet at this moment began at nothing.
    """
    samples = [(float(at), float(value)) for at, value in values]
    samples = [(at, value) for at, value in samples if math.isfinite(value)]
    before = samples[0][1] if samples and samples[0][0] <= start else 0.0
    grown, begun = 0.0, 0
    for _, value in samples:
        fell = value < before
        grown, begun, before = grown + (value if fell else value - before), begun + fell, value
    return grown, begun


def tracks(found: Iterable[Series], *, start: float, end: float) -> dict[str, Track]:
    """Return what each track did by the series of a range query.

    Parameters
    ----------
    start, end : float
        When the step began, and the moment since which a model that is up must have been seen.
    """
    tallies = {track: _Tally() for track in TRACKS}
    for series in found:
        labels = series["metric"]
        if tally := tallies.get(labels.get("track", "")):
            tally.add(labels, series["values"], start=start, end=end)
    return {track: tally.track() for track, tally in tallies.items()}


class _Tally:
    """Adds up the series of one track."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[tuple[str, ...], float]] = defaultdict(lambda: defaultdict(float))
        self._restarts: dict[str, int] = defaultdict(int)
        self._versions: set[str] = set()

    def add(self, labels: Mapping[str, str], values: Sequence[Sequence[Any]], *, start: float, end: float) -> None:
        name = labels["__name__"].removeprefix("sentiment_")
        version = labels.get("model_version", "")
        if name == "model_info":
            self._versions |= {version} if values and float(values[-1][0]) >= end else set()
            return
        if "endpoint" in labels and labels["endpoint"] not in ENDPOINTS:
            return
        grown, begun = increase(values, start=start)
        server = labels.get("instance", "")
        self._restarts[server] = max(self._restarts[server], begun)
        if grown and version:
            self._versions.add(version)
        self._counts[name][tuple(labels[key] for key in _KEYS[name] if key in labels)] += grown

    def track(self) -> Track:
        counts = self._counts
        times: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        for (endpoint, bound), number in counts["request_seconds_bucket"].items():
            times[endpoint][(bound,)] = number
        return Track(
            requests={(endpoint, outcome): n for (endpoint, outcome), n in counts["requests_total"].items()},
            seconds={endpoint: _histogram(times[endpoint]) for endpoint in COMPARED if endpoint in times},
            labels={label: n for (label,), n in counts["predictions_total"].items()},
            versions=frozenset(self._versions),
            confidence=_histogram(counts["prediction_confidence_bucket"]),
            unknown=_histogram(counts["unknown_share_bucket"]),
            batches=_histogram(counts["batch_texts_bucket"]),
            abstained=sum(counts["abstentions_total"].values()),
            feedback={said: n for (said,), n in counts["feedback_agreement_total"].items() if said != "forgotten"},
            restarts=sum(self._restarts.values()),
        )


def _histogram(cumulative: Mapping[tuple[str, ...], float]) -> Histogram:
    """Return what lies in each bucket by how much lies up to its end."""
    ends = sorted((float(bound), n) for (bound,), n in cumulative.items())
    counts = [max(0.0, n - before) for (_, n), before in zip(ends, [0.0, *(n for _, n in ends)], strict=False)]
    return Histogram(tuple(bound for bound, _ in ends), tuple(counts))
