"""Which reviews are nearly the same, by MinHash over runs of three words.

The signature of a text is the least of its shingles' hashes under each of 64 permutations; two texts agree in about
as many places as their shingles overlap (Broder, 1997). Texts that agree in a whole band of the signature are
compared (locality-sensitive hashing). A text of fewer than `FEWEST_WORDS` words is left out: two short texts are
easily alike.

At most about `most` texts are looked at. They are chosen by the least hash of their own shingles, so that copies are
chosen together and the share of copies among the chosen is that among all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sentiment.features.tokens import NO_NGRAM, batches, ngram_keys

ALIKE = 0.8
FEWEST_WORDS = 5
_PLACES, _BANDS = 64, 16
_SEED = 20_260_101
_LARGEST_GROUP = 50  # texts of one band compared with the first of them; a template may have thousands

Signatures = NDArray[np.uint32]


@dataclass(frozen=True)
class Copies:
    """Nearly the same reviews.

    Attributes
    ----------
    reviews : int
        Those that have a near copy.
    looked_at : int
        Those that were compared.
    disagreeing : int
        Pairs whose labels differ.
    pairs : tuple of (str, str, float)
        Ids and similarity, the most alike first, a review in one pair only.
    """

    reviews: int
    looked_at: int
    disagreeing: int
    pairs: tuple[tuple[str, str, float], ...]


class NearCopies:
    """Collects signatures, then compares them.

    Parameters
    ----------
    rows : int
        How many texts there will be.
    most : int
        About how many of them to look at.
    """

    def __init__(self, rows: int, *, most: int) -> None:
        self._limit = np.uint64(min(2**64 - 1, most * 2**64 // max(1, rows)))
        generator = np.random.default_rng(_SEED)
        self._factors = generator.integers(0, 2**63, _PLACES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        self._shifts = generator.integers(0, 2**63, _PLACES, dtype=np.uint64)
        self._ids: list[str] = []
        self._labels: list[str | None] = []
        self._signatures: list[Signatures] = []

    def add(self, ids: Sequence[str], labels: Sequence[str | None], texts: Sequence[str]) -> None:
        """Look at some texts."""
        for part in batches(texts):
            keys = ngram_keys(texts[part], 3)
            shingles = keys.keys[2]
            words = np.bincount(keys.rows, minlength=keys.texts)
            usable = (shingles != NO_NGRAM) & (words[keys.rows] >= FEWEST_WORDS)
            rows, shingles = keys.rows[usable], _spread(shingles[usable])
            if not len(rows):
                continue
            first = np.flatnonzero(np.diff(rows, prepend=-1))
            chosen = _spread(np.minimum.reduceat(shingles, first)) <= self._limit
            self._sign(shingles, first, chosen)
            for row in rows[first][chosen].tolist():
                self._ids.append(ids[part.start + row])
                self._labels.append(labels[part.start + row])

    def found(self) -> Copies:
        """Return what is nearly the same; it does not depend on the order in which texts were added."""
        order = sorted(range(len(self._ids)), key=self._ids.__getitem__)
        ids, labels = [self._ids[place] for place in order], [self._labels[place] for place in order]
        if not ids:
            return Copies(0, 0, 0, ())
        signatures = np.concatenate(self._signatures)[order]
        alike = {pair: score for pair in _candidates(signatures) if (score := _score(signatures, *pair)) >= ALIKE}
        ranked = sorted(alike.items(), key=lambda item: (-item[1], item[0]))
        shown: dict[tuple[int, int], float] = {}
        taken: set[int] = set()
        for (one, other), score in ranked:
            if not taken & {one, other}:
                taken |= {one, other}
                shown[one, other] = score
        return Copies(
            reviews=len({place for pair in alike for place in pair}),
            looked_at=len(ids),
            disagreeing=sum(_disagree(labels[one], labels[other]) for one, other in alike),
            pairs=tuple((ids[one], ids[other], score) for (one, other), score in shown.items()),
        )

    def _sign(self, shingles: NDArray[np.uint64], first: NDArray[np.intp], chosen: NDArray[np.bool_]) -> None:
        signatures = np.empty((int(chosen.sum()), _PLACES), np.uint32)
        for place in range(_PLACES):
            hashes = (shingles * self._factors[place] + self._shifts[place]) >> np.uint64(32)
            signatures[:, place] = np.minimum.reduceat(hashes, first)[chosen]
        self._signatures.append(signatures)


def _candidates(signatures: Signatures) -> Iterator[tuple[int, int]]:
    """Yield pairs that agree in a band: each text with the first and with the one before it."""
    width = _PLACES // _BANDS
    for start in range(0, _PLACES, width):
        _, group = np.unique(signatures[:, start : start + width], axis=0, return_inverse=True)
        order = np.argsort(group.ravel(), kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(group.ravel()[order])) + 1)
        for same in members:
            if len(same) > 1:
                listed = same.tolist()
                yield from pairwise(listed)
                yield from ((listed[0], other) for other in listed[2:_LARGEST_GROUP])


def _score(signatures: Signatures, one: int, other: int) -> float:
    return float((signatures[one] == signatures[other]).mean())


def _disagree(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _spread(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Make keys, or the least of many hashes, look like any number (splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
