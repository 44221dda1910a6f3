"""Each way in which a canary can be worse, as one p-value: "no worse than the policy allows". Pure.

A signal that looks at several places (labels, buckets, endpoints) multiplies its smallest p-value by their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from sentiment.deployment.canary.evidence import COMPARED, Evidence, Histogram, Mirrored, Track
from sentiment.deployment.canary.proportions import Count, p_larger, p_over
from sentiment.settings import CanarySettings
from sentiment.training.intervals import share_interval

BLAMELESS = frozenset({"label_mix", "confidence", "abstention"})
"""What other traffic alone can change."""

TRAFFIC_SHIFT, TRAFFIC_P = 0.1, 0.001
QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Finding:
    """What one signal says.

    Attributes
    ----------
    p : float
        Small means proved worse than the policy allows.
    said : str
        What was seen.
    """

    signal: str
    p: float
    said: str


def findings(evidence: Evidence, policy: CanarySettings) -> list[Finding]:
    """Return what each signal says for which there is anything to compare."""
    found: list[Finding | None] = []
    if evidence.stable and evidence.canary:
        found += [signal(evidence.stable, evidence.canary, policy) for signal in _SIGNALS]
    if evidence.mirrored:
        found += [_mirrored_errors(evidence.mirrored, policy), _disagreement(evidence.mirrored, policy)]
    return [finding for finding in found if finding]


def other_traffic(stable: Track, canary: Track) -> str:
    """Return in which way the two get other requests, which no model could cause; empty if they do not."""
    for endpoint in COMPARED:
        ours, theirs = canary.to(endpoint), stable.to(endpoint)
        if _differ(ours, theirs):
            return f"{ours} of the canary's requests are to {endpoint}, {theirs} of stable's"
    for bound in stable.unknown.bounds[:-1]:
        ours, theirs = _texts(canary, canary.unknown.above(bound)), _texts(stable, stable.unknown.above(bound))
        if _differ(ours, theirs):
            return f"{ours} of the canary's texts have over {bound:.0%} unknown words, {theirs} of stable's"
    return ""


def _differ(ours: Count, theirs: Count) -> bool:
    p = min(p_larger(ours, than=theirs, allowed=TRAFFIC_SHIFT), p_larger(theirs, than=ours, allowed=TRAFFIC_SHIFT))
    return p <= TRAFFIC_P


def _errors(stable: Track, canary: Track, policy: CanarySettings) -> Finding | None:
    return _requests("errors", "failed", stable, canary, policy.max_error_rise)


def _refusals(stable: Track, canary: Track, policy: CanarySettings) -> Finding | None:
    return _requests("refusals", "refused", stable, canary, policy.max_refusal_rise)


def _requests(signal: str, outcome: str, stable: Track, canary: Track, allowed: float) -> Finding | None:
    ours, theirs = canary.outcome(outcome), stable.outcome(outcome)
    if not ours.total or not theirs.total:
        return None
    said = f"{ours} of {ours.total:,.0f} requests {outcome}, of stable's {theirs}."
    return Finding(signal, p_larger(ours, than=theirs, allowed=allowed), said)


def _latency(stable: Track, canary: Track, policy: CanarySettings) -> Finding | None:
    """Compare the share of requests over a bound with stable's over one that is shorter by the allowed ratio.

    If no request took longer than so many times as long, the one could not exceed the other. The shorter bounds are
    those at which half, nine tenths and 99% of stable's requests have ended.
    """
    places = []
    for endpoint in COMPARED:
        ours, theirs = canary.seconds.get(endpoint, Histogram()), stable.seconds.get(endpoint, Histogram())
        if not ours.total or not theirs.total or ours.bounds != theirs.bounds:
            continue
        for short in sorted({_end(theirs, share) for share in QUANTILES}):
            slow = max(short * policy.max_latency_ratio, policy.always_fast_seconds) * (1 - 1e-9)
            long = next(bound for bound in ours.bounds if bound >= slow)
            if long != float("inf"):
                over, before = ours.above(long), theirs.above(short)
                p = p_larger(over, than=before, allowed=policy.max_slow_rise)
                said = f"{over} of {over.total:,.0f} requests to {endpoint} took over {long * 1000:g} ms"
                places.append((p, f"{said}, of stable's {before} over {short * 1000:g} ms."))
    return _worst("latency", places)


def _end(histogram: Histogram, share: float) -> float:
    return next(b for b in histogram.bounds if histogram.above(b).share <= 1 - share)


def _label_mix(stable: Track, canary: Track, policy: CanarySettings) -> Finding | None:
    if not stable.answers or not canary.answers:
        return None
    places = []
    for label in sorted({*stable.labels, *canary.labels}):
        ours, theirs = (Count(track.labels.get(label, 0.0), track.answers) for track in (canary, stable))
        p = p_larger(_texts(canary, ours), than=_texts(stable, theirs), allowed=policy.max_label_shift)
        places.append((p, f"{ours} of {ours.total:,.0f} answers are {label}, of stable's {theirs}."))
    return _worst("label_mix", places)


def _confidence(stable: Track, canary: Track, policy: CanarySettings) -> Finding | None:
    if stable.confidence.bounds != canary.confidence.bounds or not stable.confidence.total:
        return None
    places = []
    for bound in stable.confidence.bounds[:-2]:  # none is above 1
        ours, theirs = canary.confidence.above(bound), stable.confidence.above(bound)
        one, other = _texts(canary, ours), _texts(stable, theirs)
        said = f"{ours} of {ours.total:,.0f} answers are surer than {bound:g}, of stable's {theirs}."
        surer = p_larger(one, than=other, allowed=policy.max_confidence_rise)
        less = p_larger(one.others, than=other.others, allowed=policy.max_confidence_fall)
        places += [(surer, said), (less, said)]
    return _worst("confidence", places)


def _abstention(stable: Track, canary: Track, policy: CanarySettings) -> Finding | None:
    if not stable.answers or not canary.answers:
        return None
    ours, theirs = (Count(track.abstained, track.answers) for track in (canary, stable))
    p = p_larger(_texts(canary, ours), than=_texts(stable, theirs), allowed=policy.max_abstention_rise)
    return Finding("abstention", p, f"{ours} of {ours.total:,.0f} answers are unsure, of stable's {theirs}.")


def _feedback(stable: Track, canary: Track, policy: CanarySettings) -> Finding | None:
    ours, theirs = (
        Count(track.feedback.get("differs", 0.0), sum(track.feedback.values())) for track in (canary, stable)
    )
    if not ours.total or not theirs.total:
        return None
    said = f"{ours} of {ours.total:,.0f} pieces of feedback contradict it, of those on stable {theirs}."
    return Finding("feedback", p_larger(ours, than=theirs, allowed=policy.max_feedback_rise), said)


def _mirrored_errors(mirrored: Mirrored, policy: CanarySettings) -> Finding | None:
    if not mirrored.sent:
        return None
    ours, theirs = Count(mirrored.canary_failed, mirrored.sent), Count(mirrored.stable_failed, mirrored.sent)
    said = f"{ours} of {mirrored.sent} mirrored requests were not answered, by stable {theirs}."
    return Finding("mirrored_errors", p_larger(ours, than=theirs, allowed=policy.max_error_rise), said)


def _disagreement(mirrored: Mirrored, policy: CanarySettings) -> Finding | None:
    if not mirrored.compared:
        return None
    seen = Count(mirrored.disagreed, mirrored.compared)
    (low,), (high,) = share_interval(np.array([mirrored.disagreed]), np.array([mirrored.compared]))
    said = f"{seen} of {mirrored.compared} mirrored texts got another label than from stable ({low:.0%} to {high:.0%})."
    return Finding("disagreement", p_over(seen, policy.max_disagreement), said)


_SIGNALS: tuple[Callable[[Track, Track, CanarySettings], Finding | None], ...] = (
    _errors, _refusals, _latency, _label_mix, _confidence, _abstention, _feedback,
)  # fmt: skip


def _texts(track: Track, count: Count) -> Count:
    """Return a count of texts as one of independent ones."""
    return count.scaled(track.independence)


def _worst(signal: str, places: Iterable[tuple[float, str]]) -> Finding | None:
    found = list(places)
    if not found:
        return None
    p, said = min(found)
    return Finding(signal, min(1.0, p * len(found)), said)
