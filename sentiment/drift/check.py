"""The drift verdict: signals, accuracies and a policy in, one frozen decision with its reasons out.

The rules, in this order:

1. **Live accuracy.** Labelled rows that the champion never saw speak first. With at least
   ``policy.min_labelled`` of them, the loss against the reference accuracy is tested against
   ``policy.max_accuracy_loss``: *drifted* when the lower end of Newcombe's hybrid score interval for the
   difference of two proportions (Newcombe 1998, method 10; one-sided, at one false alarm in
   ``policy.false_alarm_days``) lies above it, that is, when chance cannot explain a smaller loss. A loss surely above
   zero, but not surely above the allowed one, is *watch*. If a larger loss is excluded, and the labelled rows are
   like the current ones (no decisive signal tells them apart), they speak for them: what moved is *watch* at most.
2. **Distributions**, with at least ``policy.min_rows`` rows on both sides. A signal counts when it is significant after
   Holm's correction over all signals (Holm 1979), at the level that resampling the reference gave for the budget of
   false alarms, *and* its distance reaches ``policy.min_distance`` (``min_text_distance``, ``min_word_distance`` for
   the words): with many rows every trifle is significant. A signal of ``policy.decisive`` that counts is
   *drifted*, another *watch*.
3. **The estimate.** How sure the champion is of its answers tells how often it is right, as far as it is calibrated
   (the difference of confidences, Guillory et al. 2021). An estimated loss above the allowed one is *watch*.
4. With too few rows for any of these, *insufficient_data*; otherwise *stable*.
5. **Confirmation.** Where the policy wants ``confirm_checks`` of the last ``confirm_of`` checks to say *drifted*, one
   that is not confirmed yet is *watch*.

What to do is decided apart from the state. *Retrain* when drifted and there are ``policy.min_labelled`` new labelled
rows to learn from that are not of another kind than the current ones: without them a retraining would only repeat the
champion. *Ask for labels* when drifted, or when an accuracy seems lost, and there are not so many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sentiment.drift.accuracy import Accuracy, estimate_accuracy, sure_loss
from sentiment.drift.calibration import Calibration
from sentiment.drift.detectable import OTHER_KIND, detectable_shifts
from sentiment.drift.sample import Sample
from sentiment.drift.signals import TEXT, Signal, compare
from sentiment.drift.significance import judge_signals, smallest_distance
from sentiment.drift.verdict import TITLES, Action, Confirmation, DriftVerdict, JudgedSignal, State, show, show_p
from sentiment.settings import DriftPolicy

_LIKELY = 0.05
"""Error rate at which a loss of accuracy is excluded."""

_SEVERITY: tuple[State, ...] = ("stable", "watch", "drifted")


@dataclass(frozen=True)
class _Finding:
    state: State
    reason: str
    accuracy: bool = False
    holds: bool = False  # no larger loss of accuracy than the allowed one is likely


def judge_drift(
    *,
    signals: Sequence[Signal],
    live_accuracy: Accuracy | None,
    reference_accuracy: Accuracy | None,
    reference_rows: int,
    current_rows: int,
    policy: DriftPolicy,
    estimated_accuracy: Accuracy | None = None,
    calibration: Calibration | None = None,
    labels_are_of_the_traffic: bool | None = None,
    earlier: Sequence[State] = (),
) -> DriftVerdict:
    """Decide whether the current texts have drifted from the reference; the rules are the module's.

    Parameters
    ----------
    signals : sequence of Signal
        What was compared; see `sentiment.drift.signals.compare`.
    live_accuracy : Accuracy or None
        The champion on labelled rows newer than its snapshot.
    reference_accuracy : Accuracy or None
        The champion on the held-out rows of its snapshot.
    reference_rows, current_rows : int
        Rows behind the signals.
    policy : DriftPolicy
        Budget of false alarms, smallest samples, smallest effects, confirmation.
    estimated_accuracy : Accuracy or None
        Of the current rows, from how sure the champion is; see `sentiment.drift.accuracy.estimate_accuracy`.
    calibration : Calibration or None
        For these sizes; without one, the level is one in ``policy.false_alarm_days``.
    labels_are_of_the_traffic : bool or None
        Whether the newly labelled rows are like the current ones; None if that cannot be told.
    earlier : sequence of str
        What earlier checks of the same champion found by themselves (`DriftVerdict.alone`), the newest first.
    """
    level = calibration.level if calibration else 1 / policy.false_alarm_days
    lacking = _lacking(reference_rows=reference_rows, current_rows=current_rows, policy=policy)
    judged = judge_signals(signals, policy=policy, level=level, calibration=calibration, enough=not lacking)
    findings = [] if lacking else _judge_distributions(judged, policy=policy)
    if live_accuracy and reference_accuracy and min(live_accuracy.rows, reference_accuracy.rows) >= policy.min_labelled:
        findings.insert(0, _judge_accuracy(live=live_accuracy, reference=reference_accuracy, policy=policy))
    elif estimated_accuracy and reference_accuracy and not lacking:
        findings.extend(_judge_estimate(estimated_accuracy, reference=reference_accuracy, policy=policy))
    if labels_are_of_the_traffic:
        findings = _outspoken(findings)
    alone: State = max((f.state for f in findings), key=_SEVERITY.index) if findings else "insufficient_data"
    state, confirmation, unconfirmed = _confirmed(alone, earlier=earlier, policy=policy)
    ordered = sorted(findings, key=lambda finding: -_SEVERITY.index(finding.state))
    labelled = live_accuracy is not None and live_accuracy.rows >= policy.min_labelled
    return DriftVerdict(
        state=state,
        reasons=(*unconfirmed, *(finding.reason for finding in ordered), *lacking),
        signals=judged,
        reference_rows=reference_rows,
        current_rows=current_rows,
        live_accuracy=live_accuracy,
        reference_accuracy=reference_accuracy,
        estimated_accuracy=estimated_accuracy,
        actions=_actions(state, findings, labelled=labelled and labels_are_of_the_traffic is not False),
        alone=alone,
        confirmation=confirmation,
        level=level,
        false_alarm_days=policy.false_alarm_days,
        detectable=detectable_shifts(judged, live=live_accuracy, reference=reference_accuracy, policy=policy)
        if calibration
        else (),
    )


def judge_samples(
    *,
    reference: Sample,
    current: Sample,
    policy: DriftPolicy,
    live_accuracy: Accuracy | None = None,
    reference_accuracy: Accuracy | None = None,
    calibration: Calibration | None = None,
    labelled: Sample | None = None,
    earlier: Sequence[State] = (),
) -> DriftVerdict:
    """Compare two samples and decide; see `judge_drift`. `labelled` are the rows behind the live accuracy."""
    estimated = None
    if reference_accuracy and reference.confidence is not None and current.confidence is not None and len(current):
        estimated = estimate_accuracy(
            reference=reference_accuracy,
            reference_confidence=reference.confidence,
            confidence=current.confidence,
        )
    return judge_drift(
        signals=compare(reference=reference, current=current),
        live_accuracy=live_accuracy,
        reference_accuracy=reference_accuracy,
        reference_rows=len(reference),
        current_rows=len(current),
        policy=policy,
        estimated_accuracy=estimated,
        calibration=calibration,
        labels_are_of_the_traffic=None if labelled is None else _alike(labelled, current, policy=policy),
        earlier=earlier,
    )


def _alike(labelled: Sample, current: Sample, *, policy: DriftPolicy) -> bool | None:
    """Whether no decisive signal tells the labelled rows from the current ones; None for too few rows."""
    if min(len(labelled), len(current)) < policy.min_rows:
        return None
    signals = compare(reference=replace(labelled, labels=None), current=current)
    judged = judge_signals(signals, policy=policy, level=1 / policy.false_alarm_days)
    return not any(signal.counts for signal in judged if signal.name in policy.decisive)


def _outspoken(findings: Sequence[_Finding]) -> list[_Finding]:
    """Let labels speak for the traffic that they are of: what moved is watched if the champion holds on it."""
    if not any(finding.holds for finding in findings):
        return list(findings)
    but = " The champion holds on labelled rows that are like these."
    return [
        replace(finding, state="watch", reason=finding.reason + but) if finding.state == "drifted" else finding
        for finding in findings
    ]


def _confirmed(
    alone: State, *, earlier: Sequence[State], policy: DriftPolicy
) -> tuple[State, Confirmation | None, tuple[str, ...]]:
    if policy.confirm_of == 1:
        return alone, None, ()
    found = [alone, *earlier[: policy.confirm_of - 1]].count("drifted")
    confirmation = Confirmation(found, policy.confirm_checks, policy.confirm_of)
    if alone != "drifted" or found >= policy.confirm_checks:
        return alone, confirmation, ()
    wait = (
        f"Drift is not confirmed yet: {found} of the last {policy.confirm_of} checks found it, "
        f"{policy.confirm_checks} must."
    )
    return "watch", confirmation, (wait,)


def _actions(state: State, findings: Sequence[_Finding], *, labelled: bool) -> tuple[Action, ...]:
    lost = any(finding.accuracy and finding.state == "drifted" for finding in findings)
    if state == "drifted" and (labelled or lost):
        return ("retrain",)
    doubtful = any(finding.accuracy and finding.state != "stable" for finding in findings)
    return ("ask_for_labels",) if (state == "drifted" or doubtful) and not labelled else ()


def _judge_accuracy(*, live: Accuracy, reference: Accuracy, policy: DriftPolicy) -> _Finding:
    sure = sure_loss(live=live, reference=reference, alpha=1 / policy.false_alarm_days)
    facts = (
        f"live accuracy is {live.value:.1%} on {live.rows:,} newly labelled rows "
        f"({live.low:.1%} to {live.high:.1%}), against {reference.value:.1%} on held-out rows"
    )
    if sure > policy.max_accuracy_loss:
        return _Finding(
            "drifted",
            f"The champion is wrong more often: {facts}. It lost at least {_points(sure)}; "
            f"{_points(policy.max_accuracy_loss)} are allowed.",
            accuracy=True,
        )
    if sure > 0:
        return _Finding(
            "watch",
            f"The champion is somewhat less accurate: {facts}. The loss is real, but it is not certain "
            f"that it exceeds the {_points(policy.max_accuracy_loss)} allowed.",
            accuracy=True,
        )
    most = -sure_loss(live=reference, reference=live, alpha=_LIKELY)
    return _Finding("stable", f"The champion holds: {facts}.", accuracy=True, holds=most <= policy.max_accuracy_loss)


def _judge_estimate(estimate: Accuracy, *, reference: Accuracy, policy: DriftPolicy) -> list[_Finding]:
    if reference.value - estimate.high <= policy.max_accuracy_loss:
        return []
    return [
        _Finding(
            "watch",
            f"The champion is less sure of its answers: by an estimate without labels {estimate.value:.1%} of them are "
            f"right ({estimate.low:.1%} to {estimate.high:.1%}), against {reference.value:.1%} on held-out rows.",
            accuracy=True,
        )
    ]


def _judge_distributions(judged: Sequence[JudgedSignal], *, policy: DriftPolicy) -> list[_Finding]:
    counting = sorted((signal for signal in judged if signal.counts), key=_exceeds)[::-1]
    if counting:
        return [_Finding("drifted" if s.name in policy.decisive else "watch", _moved(s, policy)) for s in counting]
    if not judged:
        return [_Finding("stable", "There was nothing to compare.")]
    largest = max(judged, key=_exceeds)
    needed = largest.threshold or smallest_distance(largest.name, policy)
    return [
        _Finding(
            "stable",
            f"No signal moved far enough: the nearest to its threshold is "
            f"{TITLES.get(largest.name, largest.name).lower()}, distance {largest.distance:.3f} of {needed:.3f}.",
        )
    ]


def _exceeds(signal: JudgedSignal) -> float:
    return signal.distance / signal.threshold if signal.threshold else signal.distance


def _moved(signal: JudgedSignal, policy: DriftPolicy) -> str:
    needed = signal.threshold or smallest_distance(signal.name, policy)
    if signal.name == TEXT:
        foreign = min(100, 100 * signal.distance / OTHER_KIND)
        return (
            f"Words moved, as far as if {foreign:.0f} of 100 texts were of another kind "
            f"(distance {signal.distance:.3f}, where {needed:.3f} counts; p {show_p(signal.adjusted_p)})."
        )
    return (
        f"{TITLES.get(signal.name, signal.name)} moved: {signal.description} went from "
        f"{show(signal, signal.reference)} to {show(signal, signal.current)} "
        f"(distance {signal.distance:.3f}, where {needed:.3f} counts; p {show_p(signal.adjusted_p)})."
    )


def _lacking(*, reference_rows: int, current_rows: int, policy: DriftPolicy) -> tuple[str, ...]:
    sides = (("current", current_rows), ("reference", reference_rows))
    return tuple(
        f"Too few {side} rows to compare distributions: {rows:,} rows, need {policy.min_rows:,}."
        for side, rows in sides
        if rows < policy.min_rows
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
