"""The parts of the traffic in which something moved: by source, by length, by the champion's answer, by language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentiment.drift.signals import Sample
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
    for kind, old, new in _kinds(reference, current):
        of_kind = list(_of_kind(kind, old, new, reference, current, unlike))
        if len(of_kind) > 1:  # one value says nothing
            found.extend(of_kind)
    return tuple(found)


def _kinds(reference: Sample, current: Sample) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each kind of slice with the value of every text; "" where there is none."""
    if reference.sources is not None and current.sources is not None:
        yield "source", list(reference.sources), list(current.sources)
    if reference.predictions is not None and current.predictions is not None:
        yield "answer", list(reference.predictions), list(current.predictions)
    cuts = np.unique(np.quantile(reference.words, [1 / 3, 2 / 3]).astype(int))
    yield "length", _lengths(reference.words, cuts), _lengths(current.words, cuts)
    yield "language", _languages(reference.texts), _languages(current.texts)


def _lengths(words: NDArray[np.float64], cuts: NDArray[np.int_]) -> list[str]:
    names = [f"up to {cut:,} words" for cut in cuts.tolist()] + [f"over {int(cuts[-1]):,} words"]
    return [names[place] for place in np.searchsorted(cuts, words, side="left").tolist()]


def _languages(texts: Sequence[str]) -> list[str]:
    places = np.linspace(0, len(texts), min(len(texts), LANGUAGE_ROWS), endpoint=False).astype(int).tolist()
    known = dict(zip(places, languages_of(texts[place] for place in places), strict=True))
    return [language if (language := known.get(i, "")) != UNKNOWN else "" for i in range(len(texts))]


def _of_kind(
    kind: str, old: list[str], new: list[str], reference: Sample, current: Sample, unlike: NDArray[np.float64]
) -> Iterator[Slice]:
    before, after = (Counter(value for value in side if value) for side in (old, new))
    enough = {value for value in before | after if max(before[value], after[value]) >= FEWEST}
    largest = sorted(enough, key=lambda value: (-(before[value] / len(old) + after[value] / len(new)), value))[:_MOST]
    for value in largest:
        here, now = (np.array([each == value for each in side]) for side in (old, new))
        yield Slice(
            kind=kind,
            value=value,
            reference_share=before[value] / before.total() if before else 0.0,
            current_share=after[value] / after.total() if after else 0.0,
            reference_score=_mean(reference.scores, here),
            current_score=_mean(current.scores, now),
            unlike=_mean(unlike, now),
        )


def _mean(values: NDArray[np.float64] | None, rows: NDArray[np.bool_]) -> float | None:
    kept = values[rows] if values is not None else np.empty(0)
    kept = kept[np.isfinite(kept)]
    return float(kept.mean()) if len(kept) >= FEWEST else None
