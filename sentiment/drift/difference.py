"""Two drift checks side by side: what changed from the older to the newer one, in words and figures. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher

from sentiment.drift.records import AccuracyRecord, CheckRecord, SignalRecord, length

_SAME_REASON = 0.5  # as alike as this, two reasons say the same thing of other figures

_WORDS = re.compile(r"(\s+)")
_NEVER = datetime.min.replace(tzinfo=UTC)

Piece = tuple[str, bool]
"""A piece of a text and whether the other text lacks it."""


@dataclass(frozen=True)
class SignalChange:
    """One signal in both checks; None where a check did not measure it."""

    name: str
    older: SignalRecord | None
    newer: SignalRecord | None

    @property
    def change(self) -> float | None:
        """How much farther from the reference it is now."""
        return self.newer.distance - self.older.distance if self.older and self.newer else None


@dataclass(frozen=True)
class Difference:
    """What changed from one check to a later one.

    Attributes
    ----------
    summary : tuple of str
        The changes in plain sentences, the most important first.
    signals : tuple of SignalChange
        Those that changed most first.
    older_reasons, newer_reasons : tuple of tuple of Piece
        Each reason, with what the other check does not say marked.
    """

    older: CheckRecord
    newer: CheckRecord
    summary: tuple[str, ...]
    signals: tuple[SignalChange, ...]
    older_reasons: tuple[tuple[Piece, ...], ...]
    newer_reasons: tuple[tuple[Piece, ...], ...]


def differ(one: CheckRecord, other: CheckRecord, *, title: Callable[[str], str]) -> Difference:
    """Compare two checks, whichever is given first; `title` says what people call a signal."""
    older, newer = sorted((one, other), key=lambda check: (check.time or _NEVER, check.id))
    names = dict.fromkeys(signal.name for check in (newer, older) for signal in check.signals)
    signals = [SignalChange(name, older.signal(name), newer.signal(name)) for name in names]
    return Difference(
        older=older,
        newer=newer,
        summary=(_state(older, newer), *_moved(signals, title), *_accuracy(older, newer), *_sides(older, newer)),
        signals=tuple(sorted(signals, key=lambda signal: -abs(signal.change or 0))),
        older_reasons=mark_news(older.reasons, newer.reasons),
        newer_reasons=mark_news(newer.reasons, older.reasons),
    )


def mark_news(texts: Sequence[str], others: Sequence[str]) -> tuple[tuple[Piece, ...], ...]:
    """Return texts in pieces, those marked that the most similar of some other texts lacks."""
    return tuple(_marked(text, others) for text in texts)


def _marked(text: str, others: Sequence[str]) -> tuple[Piece, ...]:
    words = _WORDS.split(text)
    matched = [
        (_subject(other) == _subject(text), SequenceMatcher(None, _WORDS.split(other), words, autojunk=False))
        for other in others
    ]
    same, best = max(matched, key=lambda match: (match[0], match[1].ratio()), default=(False, None))
    if best is None or (not same and best.ratio() < _SAME_REASON):
        return ((text, True),)
    steps = [step for step in best.get_opcodes() if step[4] > step[3]]
    return tuple(("".join(words[start:end]), kind != "equal") for kind, _, _, start, end in steps)


def _subject(reason: str) -> str:
    """Return what a reason is about: what stands before its colon, or all of it."""
    return reason.partition(":")[0]


def _state(older: CheckRecord, newer: CheckRecord) -> str:
    if older.state == newer.state:
        return f"Both say {newer.word}."
    return f"From {older.word} to {newer.word}."


def _moved(signals: Sequence[SignalChange], title: Callable[[str], str]) -> list[str]:
    began = [s for s in signals if s.newer and s.newer.counts and not (s.older and s.older.counts)]
    ended = [s for s in signals if s.older and s.older.counts and not (s.newer and s.newer.counts)]
    kept = [s for s in signals if s.older and s.newer and s.older.counts and s.newer.counts]
    said = (("Moved only in the newer", began), ("Moved only in the older", ended), ("Moved in both", kept))
    return [f"{what}: {', '.join(title(s.name) for s in which)}." for what, which in said if which]


def _accuracy(older: CheckRecord, newer: CheckRecord) -> list[str]:
    before, after = older.live_accuracy, newer.live_accuracy
    if not (before and after):
        return []
    if before == after:
        return [f"Live accuracy is {after.value:.1%} in both."]
    word = "rose" if after.value > before.value else "fell"
    return [f"Live accuracy {word} from {before.value:.1%} to {after.value:.1%}{_sureness(before, after)}."]


def _sureness(before: AccuracyRecord, after: AccuracyRecord) -> str:
    apart = before.low > after.high or after.low > before.high
    return "; the intervals do not overlap" if apart else "; the intervals overlap, so it may be chance"


def _sides(older: CheckRecord, newer: CheckRecord) -> list[str]:
    said = []
    if older.champion and newer.champion and older.champion != newer.champion:
        said.append(
            f"The champion changed from version {older.champion} to {newer.champion}, and the reference with it: "
            "each check is about its own."
        )
    shared = _shared(older, newer)
    if shared is not None:
        said.append(shared)
    return said


def _shared(older: CheckRecord, newer: CheckRecord) -> str | None:
    if not (older.start and older.end and newer.start and newer.end):
        return None
    both = min(older.end, newer.end) - max(older.start, newer.start)
    if both <= timedelta():
        return f"The windows do not overlap, with {length(-both)} between them."
    return f"The windows share {length(both)} of the newer one's {length(newer.end - newer.start)}."
