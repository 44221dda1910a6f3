"""The n-grams that a model knows: their keys, their words, and a fast way from key to column."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sentiment.features.tokens import NO_NGRAM

UNKNOWN = -1
"""Column of a key that is not in the vocabulary."""


@dataclass(frozen=True)
class Vocabulary:
    """Known n-grams in the order of their columns.

    The words are kept as one UTF-8 buffer, because an array of fixed-width strings is as wide as the longest
    "word" somebody ever typed.

    Attributes
    ----------
    keys : ndarray of uint64, shape (columns,)
        Keys of the n-grams, strictly ascending.
    text : ndarray of uint8
        The n-grams themselves, tokens joined by a space, end to end in UTF-8.
    ends : ndarray of int64, shape (columns,)
        Where each n-gram ends in `text`.
    """

    keys: NDArray[np.uint64]
    text: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @classmethod
    def of_words(cls, keys: NDArray[np.uint64], words: Iterable[str]) -> "Vocabulary":
        """Make a vocabulary from keys in ascending order and their words."""
        encoded = [word.encode() for word in words]
        ends = np.cumsum([len(word) for word in encoded], dtype=np.int64)
        return cls(keys, np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.keys)

    def word(self, column: int) -> str:
        """Return the n-gram of a column."""
        begin = self.ends[column - 1] if column else 0
        return self.text[begin : self.ends[column]].tobytes().decode()

    def words(self) -> list[str]:
        """Return all n-grams in column order."""
        return [self.word(column) for column in range(len(self))]

    def columns(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the column of each key, `UNKNOWN` where there is none; the shape stays the same.

        Keys are hashes, so their leading bits are a fair bucket number. Nearly every bucket holds one key
        or none: one probe settles nearly all, and the few that are left look at their bucket's next key.
        """
        shift, first = self._buckets
        buckets = (keys >> shift).astype(np.int64)
        begin, end = first[buckets], first[buckets + 1]
        candidates = np.append(self.keys, np.uint64(NO_NGRAM))
        columns: NDArray[np.int32] = np.where(candidates[begin] == keys, begin, np.int32(UNKNOWN))
        flat, wanted, last = columns.reshape(-1), keys.reshape(-1), end.reshape(-1) - 1
        pending = np.flatnonzero((columns == UNKNOWN) & (begin + 1 < end))
        column = begin.reshape(-1)[pending]
        while len(pending):
            column = column + 1
            found = candidates[column] == wanted[pending]
            flat[pending[found]] = column[found]
            further = ~found & (column < last[pending])
            pending, column = pending[further], column[further]
        return columns

    @cached_property
    def _buckets(self) -> tuple[np.uint64, NDArray[np.int32]]:
        bits = min(22, max(8, len(self.keys).bit_length() + 3))
        shift = np.uint64(64 - bits)
        numbers = np.arange((1 << bits) + 1, dtype=np.uint64)
        return shift, np.searchsorted(self.keys >> shift, numbers).astype(np.int32)
