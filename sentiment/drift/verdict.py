"""The outcome of a drift check: a frozen verdict with its reasons, and how its figures are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sentiment.drift.accuracy import Accuracy
from sentiment.drift.signals import Signal
from sentiment.drift.titles import TITLES, written

State = Literal["stable", "watch", "drifted", "insufficient_data"]
Action = Literal["retrain", "ask_for_labels"]

__all__ = [
    "TITLES",
    "Action",
    "Confirmation",
    "DriftVerdict",
    "JudgedSignal",
    "State",
    "show",
    "show_p",
]


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


def show(signal: Signal, value: float) -> str:
    """Return a signal's figure as people read it: a share in percent, a length as a number."""
    return written(signal.name, value)


def show_p(p_value: float) -> str:
    """Return a p-value as people read it."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _accuracy(data: Mapping[str, Any] | None) -> Accuracy | None:
    return None if data is None else Accuracy(**data)
