"""What is known about a canary and the stable version since a step began: counts, nothing judged. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sentiment.deployment.canary.proportions import Count

COMPARED = ("/predict", "/predict_batch")
"""The endpoints whose times are compared; the others are too rare."""

LIKENESS = 0.1
"""How alike the answers to one batch are (intraclass correlation): a tenth for callers of whose texts 50% to 80% are
positive, each with a share of its own."""


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each bucket.

    Attributes
    ----------
    bounds : tuple of float
        Upper ends of the buckets, ascending; the last one is infinite.
    counts : tuple of float
        Values in each of them.
    """

    bounds: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()

    @property
    def total(self) -> float:
        """All values."""
        return sum(self.counts)

    def above(self, bound: float) -> Count:
        """Return how many values lie above one of the bounds."""
        return Count(sum(self.counts[bisect_left(self.bounds, bound) + 1 :]), self.total)

    def quantile(self, share: float) -> float | None:
        """Return about where a share of the values ends, within its bucket in proportion; None if there are none."""
        wanted, below, low = share * self.total, 0.0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count and below + count >= wanted:
                return low if bound == float("inf") else low + (bound - low) * (wanted - below) / count
            below, low = below + count, bound
        return None


@dataclass(frozen=True)
class Track:
    """What one of the two did.

    Attributes
    ----------
    requests : mapping of (endpoint, outcome) to float
    seconds : mapping of str to Histogram
        Times of the endpoints that are `COMPARED`.
    labels : mapping of str to float
        Texts answered, by label.
    versions : frozenset of str
        Model versions that answered, or are up now.
    confidence, unknown, batches : Histogram
        Of each text, its confidence and share of unknown words; of each batch, its texts.
    abstained : float
        Unsure answers.
    feedback : mapping of str to float
        Feedback that ``agrees`` or ``differs``.
    restarts : int
        How often a server began to count anew.
    """

    requests: Mapping[tuple[str, str], float] = field(default_factory=dict)
    seconds: Mapping[str, Histogram] = field(default_factory=dict)
    labels: Mapping[str, float] = field(default_factory=dict)
    versions: frozenset[str] = frozenset()
    confidence: Histogram = Histogram()
    unknown: Histogram = Histogram()
    batches: Histogram = Histogram()
    abstained: float = 0.0
    feedback: Mapping[str, float] = field(default_factory=dict)
    restarts: int = 0

    def outcome(self, outcome: str) -> Count:
        """Return how many requests ended so."""
        return Count(sum(n for (_, said), n in self.requests.items() if said == outcome), sum(self.requests.values()))

    def to(self, endpoint: str) -> Count:
        """Return how many requests were to an endpoint."""
        return Count(sum(n for (path, _), n in self.requests.items() if path == endpoint), sum(self.requests.values()))

    @property
    def answers(self) -> float:
        """Texts answered."""
        return sum(self.labels.values())

    @property
    def independence(self) -> float:
        """What a text counts, from 1 down, since the texts of one batch come from one caller (Kish's design effect)."""
        batches = [(min(bound, 1024.0), n) for bound, n in zip(self.batches.bounds, self.batches.counts, strict=True)]
        texts = sum(size * n for size, n in batches)
        single = max(0.0, self.answers - texts)
        squares = single + sum(size * size * n for size, n in batches)
        mean = squares / (single + texts) if single + texts else 1.0
        return 1 / (1 + LIKENESS * (mean - 1))

    def facts(self) -> dict[str, Any]:
        """Return what people want to see, as JSON types."""
        failed, refused = self.outcome("failed"), self.outcome("refused")
        return {
            "requests": failed.total,
            "failed": failed.share,
            "refused": refused.share,
            "p99_seconds": {endpoint: times.quantile(0.99) for endpoint, times in sorted(self.seconds.items())},
            "answers": self.answers,
            "labels": {label: n / self.answers for label, n in sorted(self.labels.items()) if self.answers},
            "median_confidence": self.confidence.quantile(0.5),
            "abstained": self.abstained / self.answers if self.answers else None,
            "median_unknown_words": self.unknown.quantile(0.5),
            "feedback": dict(sorted(self.feedback.items())),
            "versions": sorted(self.versions),
            "restarts": self.restarts,
        }


@dataclass(frozen=True)
class Mirrored:
    """The same texts sent to both.

    Attributes
    ----------
    sent : int
        Texts.
    stable_failed, canary_failed : int
        Those that were not answered with 200.
    compared, disagreed : int
        Texts that both answered, and those with another label.
    versions : tuple of str
        Model versions that answered for the canary.
    probes, wrong_probes : int
        The probes of the canary's manifest that it answered, and those with other probabilities than its pipeline's.
    source : str
        Where the texts are from.
    """

    sent: int = 0
    stable_failed: int = 0
    canary_failed: int = 0
    compared: int = 0
    disagreed: int = 0
    versions: tuple[str, ...] = ()
    probes: int = 0
    wrong_probes: int = 0
    source: str = ""


@dataclass(frozen=True)
class Evidence:
    """All that a look at a step found.

    Attributes
    ----------
    stable_version, canary_version : str
        What should answer.
    weight : int
        Percent of the traffic that the canary gets.
    minutes : float
        Since the step began.
    stable, canary : Track or None
        None where Prometheus did not answer.
    problem : str
        Why it did not.
    mirrored : Mirrored or None
        None without addresses to send to.
    """

    stable_version: str
    canary_version: str
    weight: int
    minutes: float
    stable: Track | None
    canary: Track | None
    problem: str = ""
    mirrored: Mirrored | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON types."""
        return {
            "stable_version": self.stable_version,
            "canary_version": self.canary_version,
            "weight": self.weight,
            "minutes": self.minutes,
            "stable": self.stable.facts() if self.stable else None,
            "canary": self.canary.facts() if self.canary else None,
            "problem": self.problem,
            "mirrored": asdict(self.mirrored) if self.mirrored else None,
        }
