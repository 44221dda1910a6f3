"""What a check found, and how one is run so that a broken part never hides the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sentiment.errors import SentimentError
from sentiment.settings import Settings

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """What one look found.

    Attributes
    ----------
    check : str
        What was looked at.
    state : str
        ``ok``, ``warning`` (works, but look at it) or ``problem``.
    said : str
        What was seen.
    fix : str
        What to do; empty where nothing is to be done.
    seconds : float
        How long the look took.
    """

    check: str
    state: State
    said: str
    fix: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON types."""
        return asdict(self)


Look = Callable[[Settings], Iterator[Finding]]


def ok(check: str, said: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", said)


def warning(check: str, said: str, fix: str) -> Finding:
    """Return what works and deserves a look."""
    return Finding(check, "warning", said, fix)


def problem(check: str, said: str, fix: str) -> Finding:
    """Return what does not work."""
    return Finding(check, "problem", said, fix)


def found_by(name: str, look: Look, settings: Settings) -> Iterator[Finding]:
    """Yield what a look finds; what it raises is a problem of its own, and ends only this look."""
    started = time.monotonic()
    try:
        for finding in look(settings):
            seconds, started = time.monotonic() - started, time.monotonic()
            yield Finding(finding.check, finding.state, finding.said, finding.fix, round(seconds, 3))
    except SentimentError as error:
        yield Finding(name, "problem", error.message, error.fix, round(time.monotonic() - started, 3))
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        fix = (
            "This is not foreseen: send the bundle (`sentiment doctor --bundle FILE`) to who looks after the platform."
        )
        yield Finding(name, "problem", said, fix, round(time.monotonic() - started, 3))
