"""Why a model was trained: a drift check, the schedule, or a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DRIFT, SCHEDULE, BY_HAND = "drift", "schedule", "by hand"


@dataclass(frozen=True)
class Cause:
    """What asked for a training.

    Attributes
    ----------
    what : str
        `DRIFT`, `SCHEDULE`, `BY_HAND`, or somebody's words.
    check : str or None
        The drift check, if it was one.
    reasons : tuple of str
        What that check said; its report may be removed one day.
    """

    what: str = BY_HAND
    check: str | None = None
    reasons: tuple[str, ...] = ()

    @classmethod
    def of_drift(cls, check: str, reasons: Sequence[str] = ()) -> Cause:
        """Return the cause that a drift check is."""
        return cls(DRIFT, check, tuple(reasons))

    def __str__(self) -> str:
        return self.check or self.what

    def to_dict(self) -> dict[str, Any]:
        """Return the cause as JSON types."""
        return {"what": self.what, "check": self.check, "reasons": list(self.reasons)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cause:
        """Return the cause that `to_dict` wrote."""
        return cls(data["what"], data["check"], tuple(data["reasons"]))
