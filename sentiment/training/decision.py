"""What the gate says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from sentiment.settings import GateMode

SLICE, BEHAVIOUR = "slice ", "behaviour "
"""How the names of checks of one slice, and of one kind of behavioural cases, begin."""

HEADLINES = ("mode", "first_model", "non_inferiority", "superiority")
"""The checks that say why a challenger is promoted."""


class Outcome(StrEnum):
    """What the gate says."""

    promote = "promote"
    reject = "reject"
    inconclusive = "inconclusive"


@dataclass(frozen=True)
class Check:
    """One question the gate asked.

    Attributes
    ----------
    outcome : Outcome
        ``promote`` means that this check has no objection.
    numbers : Mapping[str, float]
        What it was decided on.
    reason : str
        The answer in plain words.
    """

    name: str
    outcome: Outcome
    numbers: Mapping[str, float]
    reason: str


@dataclass(frozen=True)
class Decision:
    """The outcome, every check behind it, the policy, and the accuracy per slice for whoever reads it."""

    outcome: Outcome
    champion: str | None
    snapshot: str
    checks: tuple[Check, ...]
    slices: Mapping[str, Mapping[str, float]]
    mode: GateMode = GateMode.enforce
    policy: Mapping[str, Any] = field(default_factory=dict)

    @property
    def permits(self) -> bool:
        """Whether the challenger may become champion."""
        return self.mode is not GateMode.dry_run and self.outcome is Outcome.promote

    @property
    def reason(self) -> str:
        """The reasons that decided, in one line; of a promotion, the main tests."""
        decisive = [check for check in self.checks if check.outcome is self.outcome]
        if self.outcome is Outcome.promote:
            decisive = [check for check in decisive if check.name in HEADLINES]
        said = " ".join(check.reason for check in decisive)
        return f"Dry run, nothing is promoted. {said}" if self.mode is GateMode.dry_run else said

    def to_dict(self) -> dict[str, Any]:
        """Return the decision as JSON types."""
        return {**asdict(self), "reason": self.reason, "permits": self.permits}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Decision:
        """Read a decision back from what `to_dict` returned, by this version or an earlier one."""
        known = {name: value for name, value in data.items() if name in cls.__dataclass_fields__}
        decision: Decision = TypeAdapter(cls).validate_python(known)
        return decision
