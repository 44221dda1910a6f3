"""Which reviews there are, in 17 bytes each: the id as two integers, and the label as one byte.

Ids are kept sorted. New ones go to a small sorted run first, which is merged into the large one when it has
grown to an eighth of it, so that every id is moved a bounded number of times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_SMALL_RUN = 100_000
_ABSENT, _UNLABELLED = -1, 0

Ids = NDArray[np.uint64]


class KnownReviews:
    """The ids and labels of the reviews that exist."""

    def __init__(self) -> None:
        self._labels: dict[str | None, int] = {None: _UNLABELLED}
        self._names: list[str | None] = [None]
        self._large, self._small = _Run.empty(), _Run.empty()

    def __len__(self) -> int:
        return len(self._large) + len(self._small)

    @property
    def nbytes(self) -> int:
        """Memory that the ids and labels take."""
        return self._large.nbytes + self._small.nbytes

    def among(self, review_ids: Sequence[str]) -> dict[str, str | None]:
        """Return the labels of those of the reviews that are known, by id."""
        if not len(self) or not len(review_ids):
            return {}
        ids = _pack(review_ids)
        codes = self._large.codes_of(ids)
        codes = np.where(codes == _ABSENT, self._small.codes_of(ids), codes)
        names = self._names
        return {review_ids[place]: names[codes[place]] for place in np.flatnonzero(codes != _ABSENT).tolist()}

    def update(self, review_ids: Sequence[str], labels: Iterable[str | None]) -> None:
        """Add reviews; a label replaces a missing one and never another."""
        if not len(review_ids):
            return
        ids = _pack(review_ids)
        codes = np.fromiter((self._code(label) for label in labels), dtype=np.int8, count=len(review_ids))
        new = ~(self._large.improve(ids, codes) | self._small.improve(ids, codes))
        self._small = self._small.merged(_Run.of(ids[new], codes[new]))
        if len(self._small) > max(_SMALL_RUN, len(self._large) // 8):
            self._large, self._small = self._large.merged(self._small), _Run.empty()

    def _code(self, label: str | None) -> int:
        if label not in self._labels:
            self._labels[label] = len(self._names)
            self._names.append(label)
        return self._labels[label]


class _Run:
    """Sorted ids, each once, and the code of the label of each."""

    def __init__(self, high: Ids, low: Ids, codes: NDArray[np.int8]) -> None:
        self._high, self._low, self._codes = high, low, codes

    @classmethod
    def empty(cls) -> _Run:
        return cls(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int8))

    @classmethod
    def of(cls, ids: Ids, codes: NDArray[np.int8]) -> _Run:
        """Sort ids that may repeat; of several codes of one id the greatest, a label, stays."""
        order = np.lexsort((-codes.astype(np.int16), ids[:, 1], ids[:, 0]))
        ids, codes = ids[order], codes[order]
        first = np.ones(len(ids), bool)
        first[1:] = (ids[1:] != ids[:-1]).any(axis=1)
        return cls(ids[first, 0], ids[first, 1], codes[first])

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def nbytes(self) -> int:
        return int(self._high.nbytes + self._low.nbytes + self._codes.nbytes)

    def codes_of(self, ids: Ids) -> NDArray[np.int8]:
        found, places = self._find(ids)
        codes = np.full(len(ids), _ABSENT, np.int8)
        codes[found] = self._codes[places[found]]
        return codes

    def improve(self, ids: Ids, codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Give labels to those of the ids that are here without one; return which are here at all."""
        found, places = self._find(ids)
        better = found & (codes > _UNLABELLED)
        better[better] = self._codes[places[better]] == _UNLABELLED
        self._codes[places[better]] = codes[better]
        return found

    def merged(self, other: _Run) -> _Run:
        """Return both runs as one; they share no id. One column at a time, to hold little twice."""
        at = np.searchsorted(self._high, other._high)
        self._high = np.insert(self._high, at, other._high)
        self._low = np.insert(self._low, at, other._low)
        self._codes = np.insert(self._codes, at, other._codes)
        return self

    def _find(self, ids: Ids) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        places = np.searchsorted(self._high, ids[:, 0])
        if not len(self):
            return np.zeros(len(ids), bool), places
        last = len(self) - 1
        while True:
            safe = np.minimum(places, last)
            same_high = (places <= last) & (self._high[safe] == ids[:, 0])
            found = same_high & (self._low[safe] == ids[:, 1])
            elsewhere = same_high & ~found  # half the hash of another review: look at the next
            if not elsewhere.any():
                return found, safe
            places = places + elsewhere


def _pack(review_ids: Sequence[str]) -> Ids:
    """Return 32 hexadecimal digits each as two big-endian integers."""
    raw = bytes.fromhex("".join(review_ids))
    return np.frombuffer(raw, dtype=">u8").reshape(-1, 2).astype(np.uint64)
