"""How often the watch of a canary is wrong: good ones that fail, bad ones that pass, and how long it takes.

Whole rollouts are simulated, every look of every step, and judged by the real thing. Run it with
``python -m benchmarks.canary [--rollouts N]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sentiment.deployment.canary.evidence import Evidence, Histogram, Mirrored, Track
from sentiment.deployment.canary.verdict import CanaryVerdict, judge
from sentiment.settings import CanarySettings

POLICY = CanarySettings()
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, np.inf)
CONFIDENCES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99, 1.0, np.inf)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, np.inf)


@dataclass(frozen=True)
class Conduct:
    """How a version answers.

    Attributes
    ----------
    failed : float
        Share of requests that fail.
    median_seconds : float
        Of log-normal times whose 99th percentile is 3.2 times as long.
    positive, unsure : float
        Share of texts with that label, and without a sure answer.
    confidence : float
        Power of the beta distribution from 0.5 to 1 that its confidence has; 1 is flat, more is surer.
    disagreement : float
        Share of mirrored texts that get another label than from stable; below 0, nothing is mirrored.
    """

    failed: float = 0.002
    median_seconds: float = 0.012
    positive: float = 0.6
    unsure: float = 0.1
    confidence: float = 3.0
    disagreement: float = -1.0


@dataclass(frozen=True)
class Traffic:
    """What both get: requests a second, texts of each, and how alike the texts of one request are."""

    requests_per_second: float = 20.0
    texts: int = 1
    likeness: float = 0.0


STABLE = Conduct()
CASES: dict[str, Conduct] = {
    "the same": STABLE,
    "the same, mirrored: 10% disagree": replace(STABLE, disagreement=0.1),
    "at the limit: errors": replace(STABLE, failed=STABLE.failed + POLICY.max_error_rise),
    "at the limit: labels": replace(STABLE, positive=STABLE.positive + POLICY.max_label_shift),
    "at the limit: unsure": replace(STABLE, unsure=STABLE.unsure + POLICY.max_abstention_rise),
    "at the limit: mirrored": replace(STABLE, disagreement=POLICY.max_disagreement),
    "errors: 3%": replace(STABLE, failed=0.03),
    "errors: 5%": replace(STABLE, failed=0.05),
    "errors: 20%": replace(STABLE, failed=0.2),
    "twice as slow": replace(STABLE, median_seconds=2 * STABLE.median_seconds),
    "three times as slow": replace(STABLE, median_seconds=3 * STABLE.median_seconds),
    "ten times as slow": replace(STABLE, median_seconds=10 * STABLE.median_seconds),
    "labels: 80% positive": replace(STABLE, positive=0.8),
    "labels: 90% positive": replace(STABLE, positive=0.9),
    "labels: always one": replace(STABLE, positive=1.0),
    "labels: exchanged": replace(STABLE, positive=1 - STABLE.positive),
    "confidence: as if drawn by lot": replace(STABLE, confidence=1.0),
    "unsure: 40%": replace(STABLE, unsure=0.4),
    "mirrored: 40% disagree": replace(STABLE, disagreement=0.4),
    "mirrored: labels exchanged, 50:50 traffic": replace(STABLE, disagreement=0.95),
}

GOOD = ("the same", "at the limit")


def rollout(conduct: Conduct, *, seed: int, traffic: Traffic | None = None) -> tuple[CanaryVerdict, float]:
    """Return the last verdict of a simulated rollout, and after how many minutes it came."""
    random, traffic, before = np.random.default_rng(seed), traffic or Traffic(), 0.0
    for weight in POLICY.steps:
        for evidence in _step(random, conduct, traffic, weight):
            verdict = judge(evidence, POLICY)
            if verdict.state != "wait":
                break
        before += evidence.minutes
        if verdict.state == "fail":
            break
    return verdict, before


def _step(random: np.random.Generator, conduct: Conduct, traffic: Traffic, weight: int) -> Iterator[Evidence]:
    stable, canary, minutes = _Counted(random, STABLE, traffic), _Counted(random, conduct, traffic), 0.0
    while True:
        minutes += POLICY.look_seconds / 60
        stable.add(1 - weight / 100)
        canary.add(weight / 100)
        yield Evidence("1", "2", weight, minutes, stable.track(), canary.track(), mirrored=_mirrored(random, conduct))


def _mirrored(random: np.random.Generator, conduct: Conduct) -> Mirrored | None:
    if conduct.disagreement < 0:
        return None
    sent = POLICY.mirrored
    return Mirrored(sent=sent, compared=sent, disagreed=int(random.binomial(sent, conduct.disagreement)))


class _Counted:
    """The counters of one version."""

    def __init__(self, random: np.random.Generator, conduct: Conduct, traffic: Traffic) -> None:
        self._random, self._conduct, self._traffic = random, conduct, traffic
        self._ok = self._failed = self._positive = self._unsure = self._texts = 0
        self._seconds, self._confidence = np.zeros(len(SECONDS)), np.zeros(len(CONFIDENCES))

    def add(self, share: float) -> None:
        """Count what comes between two looks."""
        random, conduct = self._random, self._conduct
        requests = int(random.poisson(self._traffic.requests_per_second * POLICY.look_seconds * share))
        failed = int(random.binomial(requests, conduct.failed))
        ok, texts = requests - failed, (requests - failed) * self._traffic.texts
        likeness = self._traffic.likeness
        shares = np.full(ok, conduct.positive)
        if likeness and 0 < conduct.positive < 1:  # beta-binomial: each caller has a share of its own
            both = 1 / likeness - 1
            shares = random.beta(conduct.positive * both, (1 - conduct.positive) * both, ok)
        self._positive += int(random.binomial(self._traffic.texts, shares).sum())
        self._unsure += int(random.binomial(texts, conduct.unsure))
        self._texts, self._ok, self._failed = self._texts + texts, self._ok + ok, self._failed + failed
        times = conduct.median_seconds * np.exp(random.normal(0, 0.5, requests))
        self._seconds += np.bincount(np.searchsorted(SECONDS, times), minlength=len(SECONDS))
        sure = 0.5 + 0.5 * random.beta(conduct.confidence, 1, texts)
        self._confidence += np.bincount(np.searchsorted(CONFIDENCES, sure), minlength=len(CONFIDENCES))

    def track(self) -> Track:
        """Return what was counted."""
        endpoint = "/predict" if self._traffic.texts == 1 else "/predict_batch"
        batches = [self._ok * (self._traffic.texts == size != 1) for size in SIZES]
        return Track(
            requests={(endpoint, "ok"): self._ok, (endpoint, "failed"): self._failed},
            seconds={endpoint: Histogram(SECONDS, tuple(self._seconds.tolist()))},
            labels={"positive": self._positive, "negative": self._texts - self._positive},
            confidence=Histogram(CONFIDENCES, tuple(self._confidence.tolist())),
            batches=Histogram(SIZES, tuple(map(float, batches))),
            abstained=self._unsure,
        )


def _row(name: str, conduct: Conduct, rollouts: int, traffic: Traffic) -> None:
    ends = [rollout(conduct, seed=seed, traffic=traffic) for seed in range(rollouts)]
    failed = [minutes for verdict, minutes in ends if verdict.state == "fail"]
    by = [verdict.reasons[0].signal for verdict, _ in ends if verdict.state == "fail"]
    commonest = max(set(by), key=by.count) if by else ""
    when = f"{np.median(failed):.1f} ({np.quantile(failed, 0.9):.1f})" if failed else ""
    print(f"| {name} | {len(failed) / rollouts:.1%} | {when} | {commonest} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=300, help="Of each good canary; of a bad one, a sixth.")
    rollouts = parser.parse_args().rollouts
    print("| canary | fails | minutes until then: median (90%) | because of |\n|---|---|---|---|")
    batches = Traffic(requests_per_second=8, texts=64, likeness=0.1)
    for name, conduct in CASES.items():
        _row(name, conduct, rollouts if name.startswith(GOOD) else max(1, rollouts // 6), Traffic())
    for name in ("the same", "labels: 90% positive", "labels: exchanged"):
        _row(f"{name}, all in batches of 64", CASES[name], max(1, rollouts // 6), batches)


if __name__ == "__main__":
    main()
