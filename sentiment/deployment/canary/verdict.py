"""What a look at a canary comes to. Pure.

The chance that a good canary fails is at most `CanarySettings.false_alarm`, over the whole rollout. Each step has an
equal part of it. Half of that is for the one look at which the step's time and traffic are there, which decides; the
other half is shared by all looks before, so that each can only fail what is grossly wrong (as Haybittle and Peto
proposed for trials that are looked at as they run). Within a look, Holm's procedure keeps the level over the signals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sentiment.deployment.canary.evidence import Evidence
from sentiment.deployment.canary.signals import BLAMELESS, Finding, findings, other_traffic
from sentiment.settings import CanarySettings

State = Literal["fail", "wait", "note"]

_ORDER = ("fail", "wait", "note")

NOTHING_WORSE = "Nothing is worse than the policy allows."


@dataclass(frozen=True)
class Reason:
    """One thing that a verdict rests on.

    Attributes
    ----------
    signal : str
        What was looked at, such as ``errors`` or ``label_mix``.
    state : {"fail", "wait", "note"}
        What it makes of the verdict; notes make nothing of it.
    said : str
        What was seen, in plain words with figures.
    """

    signal: str
    state: State
    said: str


@dataclass(frozen=True)
class CanaryVerdict:
    """What one look at one step came to.

    Attributes
    ----------
    state : {"wait", "pass", "fail"}
        ``wait``: look again; ``pass``: the next step may begin; ``fail``: roll back.
    reasons : tuple of Reason
        The decisive ones first.
    evidence : dict
        What was counted, as JSON types.
    """

    state: Literal["wait", "pass", "fail"]
    reasons: tuple[Reason, ...]
    evidence: dict[str, Any]

    @property
    def said(self) -> str:
        """The decisive reasons in one line."""
        return " ".join(reason.said for reason in self.reasons if reason.state == self.state) or NOTHING_WORSE

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON types."""
        return asdict(self)


def judge(evidence: Evidence, policy: CanarySettings) -> CanaryVerdict:
    """Judge what a look found.

    What needs no statistics comes first: another version that answers, answers that are not those of the trained
    pipeline, servers that restart. Then the signals. Label mix, confidence and unsure answers are not blamed on a
    canary that gets other traffic: mirrored texts decide then, or else it waits.
    """
    found, lacking = findings(evidence, policy), tuple(_lacking(evidence, policy))
    late = evidence.minutes >= policy.patience_minutes
    traffic = other_traffic(evidence.stable, evidence.canary) if evidence.stable and evidence.canary else ""
    worse = _rejected(found, level(policy, last=late or not lacking))
    excused = [finding for finding in worse if traffic and finding.signal in BLAMELESS]
    unclear = bool(excused) and not _answer_the_same_texts(evidence, policy)
    if unclear and not late:  # this look does not decide after all
        worse = _rejected(found, level(policy, last=False))
    blamed = [finding for finding in worse if finding not in excused]
    reasons = [
        *_facts(evidence, policy),
        *(Reason(finding.signal, "fail", finding.said) for finding in blamed),
        *_of_traffic(traffic, unclear=unclear, late=late),
        *_of_lack(lacking, evidence, policy, late=late),
        *(Reason(finding.signal, "note", finding.said) for finding in found if finding not in blamed),
    ]
    reasons.sort(key=lambda reason: _ORDER.index(reason.state))
    states = {reason.state for reason in reasons}
    told = {**evidence.to_dict(), "p_values": {finding.signal: finding.p for finding in found}}
    return CanaryVerdict("fail" if "fail" in states else "wait" if "wait" in states else "pass", tuple(reasons), told)


def level(policy: CanarySettings, *, last: bool) -> float:
    """Return the chance that one look may fail a good canary: the one that decides a step, or one before it."""
    looks = math.ceil(policy.patience_minutes * 60 / policy.look_seconds)
    each = policy.false_alarm / len(policy.steps) / 2
    return each if last else each / looks


def _rejected(found: Sequence[Finding], alpha: float) -> list[Finding]:
    """Return what Holm's procedure rejects, the surest first."""
    rejected = []
    for place, finding in enumerate(sorted(found, key=lambda finding: finding.p)):
        if finding.p > alpha / (len(found) - place):
            break
        rejected.append(finding)
    return rejected


def _facts(evidence: Evidence, policy: CanarySettings) -> Iterator[Reason]:
    """Yield what is wrong whatever the counts."""
    mirrored, version = evidence.mirrored, evidence.canary_version
    answered = evidence.canary.versions if evidence.canary else frozenset()
    if others := sorted({*answered, *(mirrored.versions if mirrored else ())} - {version}):
        yield Reason("version", "fail", f"The canary should be version {version}, but {_and(others)} answers too.")
    if evidence.stable and (others := sorted(evidence.stable.versions - {evidence.stable_version})):
        said = f"Stable should be version {evidence.stable_version}, but {_and(others)} answers too."
        yield Reason("version", "fail", said)
    if mirrored and mirrored.wrong_probes:
        said = f"{mirrored.wrong_probes} of {mirrored.probes} probes are not answered as the trained pipeline did."
        yield Reason("probes", "fail", said)
    if evidence.canary and evidence.canary.restarts > policy.max_restarts:
        said = (
            f"The canary's servers restarted {evidence.canary.restarts} times, of which {policy.max_restarts} may be."
        )
        yield Reason("restarts", "fail", said)


def _of_traffic(traffic: str, *, unclear: bool, late: bool) -> Iterator[Reason]:
    if unclear:
        said = f"They cannot be compared: {traffic}. Set canary.stable_url and canary.canary_url to send both the same."
        yield Reason("traffic", "fail" if late else "wait", said)
    elif traffic:
        yield Reason("traffic", "note", f"They get other requests: {traffic}.")


def _of_lack(
    lacking: Sequence[tuple[str, str]], evidence: Evidence, policy: CanarySettings, *, late: bool
) -> Iterator[Reason]:
    passes = policy.on_patience == "pass" and not _no_data(evidence)
    state: State = "wait" if not late else "note" if passes else "fail"
    after = f" after {evidence.minutes:.0f} minutes" if late else ""
    for signal, said in lacking:
        yield Reason(signal, state, f"{said}{after}.")


def _answer_the_same_texts(evidence: Evidence, policy: CanarySettings) -> bool:
    return evidence.mirrored is not None and evidence.mirrored.compared >= policy.mirrored / 2


def _lacking(evidence: Evidence, policy: CanarySettings) -> Iterator[tuple[str, str]]:
    """Yield what is not there yet for the step to pass."""
    if evidence.minutes < policy.step_minutes:
        yield "time", f"{evidence.minutes:.1f} of {policy.step_minutes:g} minutes"
    if evidence.problem:
        yield "prometheus", evidence.problem
    for name, track in (("canary", evidence.canary), ("stable", evidence.stable)):
        if track is None:
            continue
        if track.outcome("ok").total < policy.min_requests:
            yield "traffic", f"{track.outcome('ok').total:,.0f} of {policy.min_requests:,} requests to {name}"
        elif track.answers * track.independence < policy.min_requests / 2:
            said = f"{track.answers:,.0f} texts to {name}, which come in so few batches that they count as"
            yield "traffic", f"{said} {track.answers * track.independence:,.0f} of {policy.min_requests / 2:,.0f}"
    if evidence.mirrored and evidence.mirrored.sent and evidence.mirrored.stable_failed == evidence.mirrored.sent:
        yield "mirrored", "The stable version answers no mirrored request; it may want serving.probe_key"


def _no_data(evidence: Evidence) -> bool:
    return any(track is None or not track.outcome("ok").total for track in (evidence.canary, evidence.stable))


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)
