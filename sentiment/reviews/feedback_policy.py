"""What becomes of feedback: which of it labels a text, and why the rest does not. Pure.

Feedback is taken in the order in which the servers received it.

1. The same reporter about the same text with the same label again is a `duplicate`.
2. More than ``burst_rows`` texts from one reporter within ``burst_seconds`` are a `burst`, all of them.
3. What exceeds ``max_per_reporter`` or ``max_per_client`` in its window is `over_cap`.
4. All that is left is a voice. Voices that give one text different labels, earlier ones included, are in
   `disagreement`, however many there are on either side: a person decides.
5. Of the voices that agree the first is `accepted`; the others, which `agree`, add nothing.

What is no voice cannot veto either, so that one reporter can neither swing the labels nor block those of others
beyond the cap. What was decided stays decided: of feedback that arrives after an ingest has accepted its text
with another label, only the later part is in disagreement.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from sentiment.settings import FeedbackPolicy

ACCEPTED, AGREES = "accepted", "agrees"
DUPLICATE, BURST, OVER_CAP, DISAGREEMENT = "duplicate", "burst", "over_cap", "disagreement"

UNMATCHED, TEXT_NOT_KEPT = "unmatched", "text_not_kept"
"""Outcomes of what is about no text: its prediction is not there, or only a hash of the text is."""

HELD = (DUPLICATE, BURST, OVER_CAP, DISAGREEMENT, UNMATCHED, TEXT_NOT_KEPT)
"""Outcomes that go to the quarantine."""

VOICES = (ACCEPTED, AGREES, DISAGREEMENT)
"""Outcomes that count against the caps, and in what others say about the same text."""


@dataclass(frozen=True, slots=True, order=True)
class Opinion:
    """What one reporter, behind one client address, said about one text; ordered by when."""

    received_at: datetime
    reporter: str
    client: str
    text_id: str
    label: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Judged:
    """An opinion and what became of it."""

    opinion: Opinion
    outcome: str


def judge_feedback(opinions: Sequence[Opinion], *, past: Iterable[Judged], policy: FeedbackPolicy) -> list[str]:
    """Return what becomes of each opinion; the order in which they are given does not count.

    Parameters
    ----------
    opinions : sequence of Opinion
        What is to be decided.
    past : iterable of Judged
        What was decided about the same texts ever, and from the same reporters and clients since `evidence_start`.
    policy : FeedbackPolicy
        Caps and what is a burst.
    """
    before = [judged for judged in past if judged.outcome not in (UNMATCHED, TEXT_NOT_KEPT)]
    outcomes: dict[int, str] = {}

    def undecided() -> list[int]:
        return [place for place in order if place not in outcomes]

    order = sorted(range(len(opinions)), key=opinions.__getitem__)
    outcomes |= dict.fromkeys(_repeated(opinions, order, before), DUPLICATE)
    outcomes |= dict.fromkeys(_crowded(opinions, undecided(), before, policy), BURST)
    outcomes |= dict.fromkeys(_excessive(opinions, undecided(), before, policy), OVER_CAP)
    outcomes |= _settled(opinions, undecided(), before)
    return [outcomes[place] for place in range(len(opinions))]


def window_of(moment: datetime, policy: FeedbackPolicy) -> int:
    """Return the number of the window that a moment is in."""
    return int(moment.timestamp() // (policy.window_hours * 3600))


def evidence_start(opinions: Iterable[Opinion], policy: FeedbackPolicy) -> datetime:
    """Return since when earlier decisions matter to caps and bursts."""
    first = min(opinion.received_at for opinion in opinions)
    return first - timedelta(seconds=max(policy.window_hours * 3600, policy.burst_seconds))


def _repeated(opinions: Sequence[Opinion], places: Iterable[int], before: Iterable[Judged]) -> list[int]:
    def said(opinion: Opinion) -> tuple[str, str, str]:
        return opinion.reporter, opinion.text_id, opinion.label

    seen = {said(judged.opinion) for judged in before}
    repeated = []
    for place in places:
        if said(opinions[place]) in seen:
            repeated.append(place)
        seen.add(said(opinions[place]))
    return repeated


def _crowded(
    opinions: Sequence[Opinion], places: Sequence[int], before: Iterable[Judged], policy: FeedbackPolicy
) -> list[int]:
    moments = defaultdict(list)
    earlier = (judged.opinion for judged in before if judged.outcome != DUPLICATE)
    for opinion in chain(earlier, (opinions[place] for place in places)):
        moments[opinion.reporter].append(opinion.received_at)
    spans = {reporter: _busy_spans(sorted(found), policy) for reporter, found in moments.items()}
    return [place for place in places if _within(opinions[place].received_at, spans[opinions[place].reporter])]


def _busy_spans(moments: Sequence[datetime], policy: FeedbackPolicy) -> list[tuple[datetime, datetime]]:
    """Return the spans that are too short for the moments in them, in order, joined where they overlap."""
    spans: list[tuple[datetime, datetime]] = []
    for start, end in zip(moments, moments[policy.burst_rows :], strict=False):
        if end - start > timedelta(seconds=policy.burst_seconds):
            continue
        if spans and start <= spans[-1][1]:
            start = spans.pop()[0]
        spans.append((start, end))
    return spans


def _within(moment: datetime, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    place = bisect_left(spans, moment, key=lambda span: span[1])  # the first that does not end before
    return place < len(spans) and spans[place][0] <= moment


def _excessive(
    opinions: Sequence[Opinion], places: Iterable[int], before: Iterable[Judged], policy: FeedbackPolicy
) -> list[int]:
    counts: Counter[tuple[str, str, int]] = Counter()

    def allowances(opinion: Opinion) -> Mapping[tuple[str, str, int], int]:
        window = window_of(opinion.received_at, policy)
        return {
            ("reporter", opinion.reporter, window): policy.max_per_reporter,
            ("client", opinion.client, window): policy.max_per_client,
        }

    for judged in before:
        if judged.outcome in VOICES:
            counts.update(allowances(judged.opinion).keys())
    excessive = []
    for place in places:
        allowed = allowances(opinions[place])
        if any(counts[who] >= most for who, most in allowed.items()):
            excessive.append(place)
        else:
            counts.update(allowed.keys())
    return excessive


def _settled(opinions: Sequence[Opinion], places: Sequence[int], before: Iterable[Judged]) -> dict[int, str]:
    said = defaultdict(set)
    done = set()
    for judged in before:
        if judged.outcome in VOICES:
            said[judged.opinion.text_id].add(judged.opinion.label)
        if judged.outcome == ACCEPTED:
            done.add(judged.opinion.text_id)
    for place in places:
        said[opinions[place].text_id].add(opinions[place].label)
    outcomes = {}
    for place in places:
        text_id = opinions[place].text_id
        outcomes[place] = DISAGREEMENT if len(said[text_id]) > 1 else AGREES if text_id in done else ACCEPTED
        if outcomes[place] == ACCEPTED:
            done.add(text_id)
    return outcomes
