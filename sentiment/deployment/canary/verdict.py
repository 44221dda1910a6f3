"""What a look at a canary comes to. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


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
    state: Literal["fail", "wait", "note"]
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
        return " ".join(reason.said for reason in self.reasons if reason.state == self.state) or "Nothing is worse."

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON types."""
        return asdict(self)
