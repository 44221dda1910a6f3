"""The parts of the traffic in which something moved: by source, by length, by the champion's answer, by language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sentiment.drift.sample import Sample
from sentiment.reviews.language import UNKNOWN, languages_of

FEWEST = 30
"""Rows of a side below which nothing is said about them: a mean of fewer is mostly chance."""

LANGUAGE_ROWS = 500
"""Texts of each side whose language is looked at, evenly spread: telling one takes a third of a millisecond."""

_MOST = 6  # values of one kind that are shown, those with most rows


@dataclass(frozen=True)
class Slice:
    """The texts of both sides that have something in common.

    Attributes
    ----------
    kind, value : str
        What they have in common, such as ``source`` and ``app``.
    reference_share, current_share : float
        Share of each side's texts.
    reference_score, current_score : float or None
        The champion's mean score; None without a champion, or with too few rows.
    unlike : float or None
        Share of the current texts that are stranger than 95% of the reference; None with too few rows.
    """

    kind: str
    value: str
    reference_share: float
    current_share: float
    reference_score: float | None
    current_score: float | None
    unlike: float | None


def slices(*, reference: Sample, current: Sample, unlike: NDArray[np.float64]) -> tuple[Slice, ...]:
    """Return the slices that have enough rows on at least one side, kind by kind, the largest first.

    Parameters
    ----------
    reference, current : Sample
    unlike : array of shape (current texts,)
        See `sentiment.drift.explanation.Explanation`.
    """
    if not (len(reference) and len(current)):
        return ()
    found = []
    for kind in _kinds(reference, current):
        of_kind = list(_of_kind(kind, reference, current, unlike))
        if len(of_kind) > 1:  # one value says nothing
            found.extend(of_kind)
    return tuple(found)


@dataclass(frozen=True)
class _Kind:
    """The value of every text, "" where there is none; `order` where the values have one of their own."""

    name: str
    reference: Sequence[str]
    current: Sequence[str]
    order: tuple[str, ...] = ()


def _kinds(reference: Sample, current: Sample) -> Iterator[_Kind]:
    if reference.sources is not None and current.sources is not None:
        yield _Kind("source", reference.sources, current.sources)
    if reference.predictions is not None and current.predictions is not None:
        yield _Kind("answer", reference.predictions, current.predictions)
    yield _lengths(reference.words, current.words)
    yield _Kind("language", _languages(reference.texts), _languages(current.texts))


def _lengths(reference: NDArray[np.float64], current: NDArray[np.float64]) -> _Kind:
    """Cut by the reference's own lengths: a third of its texts is short, a third long."""
    cuts = np.unique(np.quantile(reference, [1 / 3, 2 / 3]).astype(int))
    ends = cuts.tolist()
    middle = (f"{low + 1:,} to {high:,} words" for low, high in pairwise(ends))
    names = (f"up to {ends[0]:,} words", *middle, f"over {ends[-1]:,} words")
    old, new = ([names[i] for i in np.searchsorted(cuts, side).tolist()] for side in (reference, current))
    return _Kind("length", old, new, order=names)


def _languages(texts: Sequence[str]) -> list[str]:
    places = np.linspace(0, len(texts), min(len(texts), LANGUAGE_ROWS), endpoint=False).astype(int).tolist()
    known = dict(zip(places, languages_of(texts[place] for place in places), strict=True))
    return [language if (language := known.get(i, "")) != UNKNOWN else "" for i in range(len(texts))]


def _of_kind(kind: _Kind, reference: Sample, current: Sample, unlike: NDArray[np.float64]) -> Iterator[Slice]:
    before, after = (Counter(value for value in side if value) for side in (kind.reference, kind.current))
    old, new = max(1, before.total()), max(1, after.total())
    enough = [value for value in before | after if max(before[value], after[value]) >= FEWEST]
    largest = sorted(enough, key=lambda value: (-before[value] / old - after[value] / new, value))[:_MOST]
    for value in [name for name in kind.order if name in largest] or largest:
        here, now = (np.array([each == value for each in side]) for side in (kind.reference, kind.current))
        yield Slice(
            kind=kind.name,
            value=value,
            reference_share=before[value] / old,
            current_share=after[value] / new,
            reference_score=_mean(reference.scores, here),
            current_score=_mean(current.scores, now),
            unlike=_mean(unlike, now),
        )


def _mean(values: NDArray[np.float64] | None, rows: NDArray[np.bool_]) -> float | None:
    kept = values[rows] if values is not None else np.empty(0)
    kept = kept[np.isfinite(kept)]
    return float(kept.mean()) if len(kept) >= FEWEST else None
