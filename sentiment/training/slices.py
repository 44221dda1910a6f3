"""Groups of reviews on which a model may do worse than on the whole: one definition for gate and evaluation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

NEGATION = re.compile(r"\b(?:not|no|never|nothing|hardly|without)\b|\wn['\u2019]t\b", re.IGNORECASE)
SHORT_WORDS, LONG_WORDS = 20, 200
NEWEST = 0.2
MOMENT = "datetime64[us]"
MOST_VALUES = 50  # of sources and of ratings; a column of free text would make a slice of every row

Words = NDArray[np.object_]


@dataclass(frozen=True)
class Traits:
    """What the slices are made by, as arrays of one length; the texts themselves are not kept.

    Attributes
    ----------
    label, source, rating : ndarray of str or None
        As delivered; None where a review has none.
    words : ndarray of int
        Words in the text.
    negation : ndarray of bool
        Whether the text holds a negation.
    moment : ndarray of datetime64
        When the review was written or taken in; NaT where that is not known.
    """

    label: Words
    source: Words
    rating: Words
    words: NDArray[np.intp]
    negation: NDArray[np.bool_]
    moment: NDArray[np.datetime64]

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        *,
        labels: Sequence[str],
        sources: Sequence[object],
        ratings: Sequence[object] | None = None,
        moments: NDArray[np.datetime64] | None = None,
    ) -> Traits:
        """Return the traits of reviews; anything but a string counts as no source or rating."""
        return cls(
            label=_words(labels),
            source=_words(sources),
            rating=_words(ratings if ratings is not None else [None] * len(texts)),
            words=np.array([len(text.split()) for text in texts], dtype=np.intp),
            negation=np.array([NEGATION.search(text) is not None for text in texts], dtype=bool),
            moment=np.full(len(texts), "NaT", MOMENT) if moments is None else moments.astype(MOMENT),
        )

    @classmethod
    def joined(cls, parts: Sequence[Traits]) -> Traits:
        """Return the traits of all parts, in their order."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def slices(self) -> dict[str, NDArray[np.bool_]]:
        """Return which reviews are in which slice; every review is in several, and no slice is empty."""
        found = {f"label {name}": self.label == name for name in _commonest(self.label)}
        found |= {f"source {name}": self.source == name for name in _commonest(self.source)}
        found |= {f"rating {name}": self.rating == name for name in _commonest(self.rating)}
        found[f"short (under {SHORT_WORDS} words)"] = self.words < SHORT_WORDS
        found[f"medium ({SHORT_WORDS} to {LONG_WORDS - 1} words)"] = self._medium()
        found[f"long ({LONG_WORDS} words or more)"] = self.words >= LONG_WORDS
        found["with negation"] = self.negation
        found["without negation"] = ~self.negation
        found |= self._newest()
        return {name: np.asarray(rows, dtype=bool) for name, rows in found.items() if rows.any()}

    def _newest(self) -> dict[str, NDArray[np.bool_]]:
        """Return the newest fifth, whole moments only; nothing where all reviews are of one moment."""
        moments = np.sort(self.moment[~np.isnat(self.moment)])
        if not len(moments):
            return {}
        cut = moments[int(len(moments) * (1 - NEWEST))]
        if cut == moments[0]:
            cut = moments[min(np.searchsorted(moments, cut, side="right"), len(moments) - 1)]
        return {"newest reviews": self.moment >= cut} if cut > moments[0] else {}

    def _medium(self) -> NDArray[np.bool_]:
        return (self.words >= SHORT_WORDS) & (self.words < LONG_WORDS)


def _words(values: Sequence[object]) -> Words:
    found = np.empty(len(values), dtype=object)
    found[:] = [value if isinstance(value, str) else None for value in values]
    return found


def _commonest(values: Words) -> list[str]:
    counts = Counter(value for value in values.tolist() if value is not None)
    names = (name for name, _ in counts.most_common(MOST_VALUES))
    return sorted(names, key=lambda name: (len(name) if name.isdigit() else 0, name))  # 10 after 9
