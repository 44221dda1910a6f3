"""The n-grams that a model knows: their keys, their words, and a fast way from key to column."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.features.tokens import NO_NGRAM

UNKNOWN = -1
"""Column of a key that is not in the vocabulary."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd and without pattern, so the leading bits of a product are a fair place
_TRIES = 10_000


@dataclass(frozen=True)
class Vocabulary:
    """Known n-grams in the order of their columns.

    The words are kept as one UTF-8 buffer, because an array of fixed-width strings is as wide as the longest
    "word" somebody ever typed.

    Attributes
    ----------
    keys : ndarray of uint64, shape (columns,)
        Keys of the n-grams, each once.
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
        """Make a vocabulary from keys and their words."""
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
        """Return the column of each key, `UNKNOWN` where there is none; the shape stays the same."""
        columns, known = self._probe(keys)
        columns[~known] = UNKNOWN
        return columns

    def known(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the columns of those keys that have one, in their order; `NO_NGRAM` must not be among the keys."""
        columns, known = self._probe(keys)
        return columns[known]

    def _probe(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Look at the one place where each key can be: there is nothing to search, and nothing to branch on."""
        twists, mask, shift, places, candidates = self._table
        twisted = twists.take((keys & mask).view(np.int64))
        twisted ^= keys
        twisted *= _FACTOR
        twisted >>= shift
        columns = places.take(twisted.view(np.int64))
        return columns, candidates.take(columns) == keys

    @cached_property
    def _table(self) -> tuple[NDArray[np.uint64], np.uint64, np.uint64, NDArray[np.int32], NDArray[np.uint64]]:
        """A perfect hash table: what twists the keys of each bucket, the column at each place, the key of a column."""
        twists, places = perfect_hash(self.keys)
        candidates = np.append(self.keys, np.uint64(NO_NGRAM))  # the last one is at `UNKNOWN`
        return twists, _mask(twists), _shift(places), places, candidates


def perfect_hash(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Give each key a place of its own (Fox, Heath, Chen and Daoud, 1992, "A faster algorithm for ... hash functions").

    The last bits of a key say its bucket, and one number a bucket, the twist, sends all its keys to free places.
    Large buckets choose first, while there is room; in each round all that are left try the next number.

    Parameters
    ----------
    keys : ndarray of uint64, shape (n,)
        Without repeats.

    Returns
    -------
    twists : ndarray of uint64, shape (buckets,)
    places : ndarray of int32, shape (about 2 n to 4 n,)
        Position of the key at each place, `UNKNOWN` where there is none.

    Raises
    ------
    ValueError
        Some keys cannot be told apart; with hashes that does not happen.
    """
    bits = max(4, len(keys).bit_length() + 1)
    twists, places = np.zeros(1 << (bits - 2), np.uint64), np.full(1 << bits, UNKNOWN, np.int32)
    buckets = (keys & _mask(twists)).view(np.int64)
    sizes = np.bincount(buckets, minlength=len(twists))
    ranked = np.argsort(buckets, kind="stable")
    claims = np.empty(len(places), np.int64)
    for size in np.unique(sizes[sizes > 0])[::-1].tolist():
        left = ranked[sizes[buckets[ranked]] == size]
        for twist in _twists():
            if not len(left):
                break
            place = (((keys[left] ^ twist) * _FACTOR) >> _shift(places)).view(np.int64)
            claims[place] = left
            alone = (places[place] == UNKNOWN) & (claims[place] == left)
            settled = np.repeat(alone.reshape(-1, size).all(axis=1), size)
            places[place[settled]] = left[settled]
            twists[buckets[left[settled]]] = twist
            left = left[~settled]
        else:
            raise ValueError(f"{len(left)} keys cannot be told apart")
    return twists, places


def _twists() -> Iterator[np.uint64]:
    """Give the numbers that are tried: zero, then always the same ones in no order (a congruential generator)."""
    number = 0
    for _ in range(_TRIES):
        yield np.uint64(number)
        number = (number * 0x5851F42D4C957F2D + 0x14057B7EF767814F) % (1 << 64)


def _mask(array: NDArray[Any]) -> np.uint64:
    return np.uint64(len(array) - 1)


def _shift(array: NDArray[Any]) -> np.uint64:
    return np.uint64(65 - len(array).bit_length())
