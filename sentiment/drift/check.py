"""The drift verdict: signals, accuracies and a policy in, one frozen decision with its reasons out.

The rules, in this order:

1. **Live accuracy.** Labelled rows that the champion never saw speak first. With at least
   ``policy.min_labelled`` of them, the loss against the reference accuracy is tested against
   ``policy.max_accuracy_loss``: *drifted* when the lower end of Newcombe's hybrid score interval for the
   difference of two proportions (Newcombe 1998, method 10; one-sided at ``policy.alpha``) lies above it,
   that is, when chance cannot explain a smaller loss. A loss surely above zero, but not surely above the
   allowed one, is *watch*.
2. **Distributions**, with at least ``policy.min_rows`` rows on both sides. A signal counts when it is
   significant after Holm's correction over all signals (Holm 1979) at ``policy.alpha`` *and* its distance
   reaches ``policy.min_distance``: with many rows every trifle is significant. Scores, prediction mix or
   unknown words counting is *drifted*; only the length of the texts counting is *watch*.
3. With too few rows for either, *insufficient_data*; otherwise *stable*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sentiment.drift.accuracy import Accuracy, sure_loss
from sentiment.drift.signals import PREDICTION_MIX, SCORES, UNKNOWN_WORDS, Signal
from sentiment.settings import DriftPolicy

State = Literal["stable", "watch", "drifted", "insufficient_data"]
Action = Literal["retrain", "ask_for_labels"]

DECISIVE = frozenset({SCORES, PREDICTION_MIX, UNKNOWN_WORDS})
"""Signals that mean drift on their own; the others only describe the texts."""

TITLES: Mapping[str, str] = {
    SCORES: "Scores",
    PREDICTION_MIX: "Prediction mix",
    UNKNOWN_WORDS: "Unknown words",
    "characters": "Length in characters",
    "words": "Length in words",
}
"""What people call each signal."""

_SEVERITY: tuple[State, ...] = ("stable", "watch", "drifted")


@dataclass(frozen=True)
class JudgedSignal(Signal):
    """A signal with its Holm-adjusted p-value and whether it counts under the policy.

    `threshold` is the distance from which it counts in a check of this size, `detectable` the one that would be
    found in 95 of 100 cases.
    """

    adjusted_p: float = 1.0
    counts: bool = False
    threshold: float | None = None
    detectable: float | None = None


@dataclass(frozen=True)
class Confirmation:
    """How many of the last checks of this champion said drifted, this one included, and how many must."""

    found: int
    needed: int
    checks: int


@dataclass(frozen=True)
class DriftVerdict:
    """The outcome of a drift check.

    Attributes
    ----------
    state : {"stable", "watch", "drifted", "insufficient_data"}
    reasons : tuple of str
        In plain words with numbers, the most important first. Never empty.
    signals : tuple of JudgedSignal
    reference_rows, current_rows : int
    live_accuracy, reference_accuracy : Accuracy or None
        On labelled rows newer than the champion, and on the reference rows.
    estimated_accuracy : Accuracy or None
        Of the current rows, from how sure the champion is of its answers: an estimate without labels.
    actions : tuple of {"retrain", "ask_for_labels"}
        What the policy asks for.
    alone : {"stable", "watch", "drifted", "insufficient_data"} or None
        What this check says before earlier ones are asked to confirm it; None if that makes no difference.
    confirmation : Confirmation or None
        How often drift was found lately; None where one check is enough.
    level : float or None
        The adjusted p-value from which a signal counts, calibrated for the budget of false alarms.
    false_alarm_days : int or None
        The budget: at most one false alarm in so many daily checks.
    detectable : tuple of str
        The smallest shifts that a check of this size would find in 95 of 100 cases, in plain words.
    """

    state: State
    reasons: tuple[str, ...]
    signals: tuple[JudgedSignal, ...]
    reference_rows: int
    current_rows: int
    live_accuracy: Accuracy | None = None
    reference_accuracy: Accuracy | None = None
    estimated_accuracy: Accuracy | None = None
    actions: tuple[Action, ...] = ()
    alone: State | None = None
    confirmation: Confirmation | None = None
    level: float | None = None
    false_alarm_days: int | None = None
    detectable: tuple[str, ...] = ()

    @property
    def retrain(self) -> bool:
        """Whether the champion should be retrained."""
        return "retrain" in self.actions

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON types."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {**plain, "retrain": self.retrain}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DriftVerdict:
        """Return the verdict that `to_dict` wrote."""
        return cls(
            state=data["state"],
            reasons=tuple(data["reasons"]),
            signals=tuple(JudgedSignal(**signal) for signal in data["signals"]),
            reference_rows=data["reference_rows"],
            current_rows=data["current_rows"],
            live_accuracy=_accuracy(data["live_accuracy"]),
            reference_accuracy=_accuracy(data["reference_accuracy"]),
            estimated_accuracy=_accuracy(data.get("estimated_accuracy")),
            actions=tuple(data.get("actions", ("retrain",) if data["retrain"] else ())),
            alone=data.get("alone"),
            confirmation=Confirmation(**data["confirmation"]) if data.get("confirmation") else None,
            level=data.get("level"),
            false_alarm_days=data.get("false_alarm_days"),
            detectable=tuple(data.get("detectable", ())),
        )


@dataclass(frozen=True)
class _Finding:
    state: State
    reason: str


def judge_drift(
    *,
    signals: Sequence[Signal],
    live_accuracy: Accuracy | None,
    reference_accuracy: Accuracy | None,
    reference_rows: int,
    current_rows: int,
    policy: DriftPolicy,
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
        Error rate, smallest samples, smallest effects.
    """
    judged = judge_signals(signals, policy=policy)
    findings = []
    if live_accuracy and reference_accuracy and min(live_accuracy.rows, reference_accuracy.rows) >= policy.min_labelled:
        findings.append(_judge_accuracy(live=live_accuracy, reference=reference_accuracy, policy=policy))
    lacking = _lacking(reference_rows=reference_rows, current_rows=current_rows, policy=policy)
    if lacking:
        judged = tuple(JudgedSignal(**{**asdict(signal), "counts": False}) for signal in judged)
    else:
        findings.extend(_judge_distributions(judged, policy=policy))
    state: State = "insufficient_data"
    if findings:
        state = max((finding.state for finding in findings), key=_SEVERITY.index)
    ordered = sorted(findings, key=lambda finding: -_SEVERITY.index(finding.state))
    return DriftVerdict(
        state=state,
        reasons=(*(finding.reason for finding in ordered), *lacking),
        signals=judged,
        reference_rows=reference_rows,
        current_rows=current_rows,
        live_accuracy=live_accuracy,
        reference_accuracy=reference_accuracy,
        actions=("retrain",) if state == "drifted" else (),
    )


def judge_signals(signals: Sequence[Signal], *, policy: DriftPolicy) -> tuple[JudgedSignal, ...]:
    """Return the signals with Holm-adjusted p-values and whether each counts."""
    adjusted = holm([signal.p_value for signal in signals])
    return tuple(
        JudgedSignal(
            **asdict(signal),
            adjusted_p=p_value,
            counts=p_value <= policy.alpha and signal.distance >= policy.min_distance,
        )
        for signal, p_value in zip(signals, adjusted, strict=True)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _judge_accuracy(*, live: Accuracy, reference: Accuracy, policy: DriftPolicy) -> _Finding:
    sure = sure_loss(live=live, reference=reference, alpha=policy.alpha)
    facts = (
        f"live accuracy is {live.value:.1%} on {live.rows:,} newly labelled rows "
        f"({live.low:.1%} to {live.high:.1%}), against {reference.value:.1%} on held-out rows"
    )
    if sure > policy.max_accuracy_loss:
        return _Finding(
            "drifted",
            f"The champion is wrong more often: {facts}. It lost at least {_points(sure)}; "
            f"{_points(policy.max_accuracy_loss)} are allowed.",
        )
    if sure > 0:
        return _Finding(
            "watch",
            f"The champion is somewhat less accurate: {facts}. The loss is real, but it is not certain "
            f"that it exceeds the {_points(policy.max_accuracy_loss)} allowed.",
        )
    return _Finding("stable", f"The champion holds: {facts}.")


def _judge_distributions(judged: Sequence[JudgedSignal], *, policy: DriftPolicy) -> list[_Finding]:
    counting = sorted((signal for signal in judged if signal.counts), key=lambda s: -s.distance)
    if counting:
        return [_Finding("drifted" if s.name in DECISIVE else "watch", _moved(s, policy)) for s in counting]
    if not judged:
        return [_Finding("stable", "There was nothing to compare.")]
    largest = max(judged, key=lambda signal: signal.distance)
    return [
        _Finding(
            "stable",
            f"No signal moved far enough: the largest distance is {largest.distance:.2f} "
            f"({TITLES.get(largest.name, largest.name).lower()}); "
            f"{policy.min_distance:.2f} and more counts, if it is more than chance.",
        )
    ]


def _moved(signal: JudgedSignal, policy: DriftPolicy) -> str:
    return (
        f"{TITLES.get(signal.name, signal.name)} moved: {signal.description} went from "
        f"{show(signal, signal.reference)} to {show(signal, signal.current)} "
        f"(distance {signal.distance:.2f}, where {policy.min_distance:.2f} counts; "
        f"p {show_p(signal.adjusted_p)})."
    )


def _lacking(*, reference_rows: int, current_rows: int, policy: DriftPolicy) -> tuple[str, ...]:
    sides = (("current", current_rows), ("reference", reference_rows))
    return tuple(
        f"Too few {side} rows to compare distributions: {rows:,} rows, need {policy.min_rows:,}."
        for side, rows in sides
        if rows < policy.min_rows
    )


def show(signal: Signal, value: float) -> str:
    """Return a signal's figure as people read it: a share in percent, a length as a number."""
    if signal.name in {PREDICTION_MIX, UNKNOWN_WORDS}:
        return f"{value:.1%}"
    return f"{value:.2f}" if signal.name == SCORES else f"{value:,.0f}"


def show_p(p_value: float) -> str:
    """Return a p-value as people read it."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _accuracy(data: Mapping[str, Any] | None) -> Accuracy | None:
    return None if data is None else Accuracy(**data)
