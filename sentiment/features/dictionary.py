"""Small numbers for tokens, given out as they are first seen: what n-grams are counted by."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentiment.features.tokens import NgramKeys

_FREE: Final = -1
_FIRST_BITS = 16
_SPARSE = 4  # the table has this many places a token, so that nearly every token is found at its own place


class Dictionary:
    """The tokens seen so far, numbered from 0 in the order in which they came.

    An open-addressing hash table whose probes are whole arrays: the leading bits of a token's key are its
    place, and the few that find another token there look at the next place.

    Attributes
    ----------
    keys : ndarray of uint64
        Key of each token, by number; `len(self)` of them count.
    words : list of str
        The tokens, by number.
    """

    def __init__(self) -> None:
        self.words: list[str] = []
        self.keys = np.empty(0, np.uint64)
        self._resize(_FIRST_BITS)

    def __len__(self) -> int:
        return len(self.words)

    def numbers(self, ngrams: NgramKeys) -> NDArray[np.int32]:
        """Return the number of each token of a batch; new tokens get the next numbers, in order."""
        keys = ngrams.keys[0]
        numbers = self._find(keys)
        if len(unseen := np.flatnonzero(numbers == _FREE)):
            new, first, which = np.unique(keys[unseen], return_index=True, return_inverse=True)
            order = np.argsort(first)
            rank = np.empty(len(new), np.int32)
            rank[order] = np.arange(len(self), len(self) + len(new), dtype=np.int32)
            numbers[unseen] = rank[which]
            self.words += [ngrams.word(1, place) for place in unseen[first[order]].tolist()]
            self._add(new[order])
        return numbers

    def _find(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the number of each key, `_FREE` where it is not known."""
        if not len(self):
            return np.full(len(keys), _FREE, np.int32)
        places = (keys >> self._shift).astype(np.int64)
        numbers: NDArray[np.int32] = self._table[places]
        pending = np.flatnonzero((self.keys[numbers] != keys) & (numbers != _FREE))
        while len(pending):
            places[pending] = (places[pending] + 1) % len(self._table)
            numbers[pending] = here = self._table[places[pending]]
            pending = pending[(self.keys[here] != keys[pending]) & (here != _FREE)]
        return numbers

    def _add(self, keys: NDArray[np.uint64]) -> None:
        self.keys = np.concatenate([self.keys, keys])
        if len(self.keys) * _SPARSE > len(self._table):
            self._resize((len(self.keys) * _SPARSE).bit_length() + 1)
        else:
            self._place(np.arange(len(self.keys) - len(keys), len(self.keys), dtype=np.int32))

    def _resize(self, bits: int) -> None:
        self._shift = np.uint64(64 - bits)
        self._table = np.full(1 << bits, _FREE, np.int32)
        self._place(np.arange(len(self.keys), dtype=np.int32))

    def _place(self, numbers: NDArray[np.int32]) -> None:
        """Write tokens into the table: each takes its place if it is free and no other took it first."""
        places = (self.keys[numbers] >> self._shift).astype(np.int64)
        while len(numbers):
            free = self._table[places] == _FREE
            self._table[places[free]] = numbers[free]
            homeless = self._table[places] != numbers
            numbers, places = numbers[homeless], (places[homeless] + 1) % len(self._table)
