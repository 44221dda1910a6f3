"""The n-grams that a model knows: their keys, their words, and a fast way from key to column."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.features.tokens import NO_NGRAM

UNKNOWN = -1
"""Column of a key that is not in the vocabulary."""

_FACTOR = np.array(
    0x9E3779B97F4A7C15, np.uint64
)  # odd and without pattern, so the leading bits of a product are a fair place
_TRIES = 10_000
_NOTHING = np.array([NO_NGRAM], np.uint64)


class _Table(NamedTuple):
    """A perfect hash table.

    Attributes
    ----------
    twists : ndarray of uint16
        What twists the keys of each bucket; `mask` says the bucket.
    places : ndarray of int32
        The column at each place, or `UNKNOWN`; `shift` says the place.
    candidates : ndarray of uint64
        The key of each column, and one more that stands for `UNKNOWN` and is never met there.
    """

    twists: NDArray[np.uint16]
    mask: NDArray[np.uint64]
    shift: NDArray[np.uint64]
    places: NDArray[np.int32]
    candidates: NDArray[np.uint64]


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

    def known(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return which of the keys, shape (n,), have a column, and these columns, in the order of the keys."""
        columns, known = self._probe(keys)
        places = known.nonzero()[0]
        return places, columns.take(places)

    def _probe(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Look at the one place where each key can be: there is nothing to search, and nothing to branch on."""
        twists, mask, shift, places, candidates = self._table
        twisted = keys ^ twists.take((keys & mask).view(np.int64))
        twisted *= _FACTOR
        twisted >>= shift
        columns = places.take(twisted.view(np.int64))
        return columns, candidates.take(columns) == keys

    @cached_property
    def _table(self) -> _Table:
        twists, places = perfect_hash(self.keys)
        nobody = self.keys[:1] if len(self) else ~_NOTHING  # a key that has a place is never looked for at another
        return _Table(twists, _mask(twists), _shift(places), places, np.append(self.keys, nobody))


def perfect_hash(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Give each key a place of its own (Fox, Heath, Chen and Daoud, 1992, "A faster algorithm for ... hash functions").

    The last bits of a key say its bucket, and one number a bucket, the twist, sends all its keys to free places.
    Large buckets choose first, while there is room; in each round all that are left try the next number. The tables
    are as small as that goes, because what does not fit the processor's cache is slow.

    Parameters
    ----------
    keys : ndarray of uint64, shape (n,)
        Without repeats.

    Returns
    -------
    twists : ndarray of uint16, shape (buckets,)
    places : ndarray of int32, shape (1.25 n to 2.5 n,)
        Position of the key at each place, `UNKNOWN` where there is none.

    Raises
    ------
    ValueError
        Some keys cannot be told apart; with hashes that does not happen.
    """
    bits = max(4, (len(keys) * 5 // 4).bit_length())
    twists, places = np.zeros(1 << (bits - 1), np.uint16), np.full(1 << bits, UNKNOWN, np.int32)
    buckets = (keys & _mask(twists)).view(np.int64)
    sizes = np.bincount(buckets, minlength=len(twists))
    ranked = np.argsort(buckets, kind="stable")
    claims = np.empty(len(places), np.int64)
    for size in np.unique(sizes[sizes > 0])[::-1].tolist():
        left = ranked[sizes[buckets[ranked]] == size]
        for twist in range(_TRIES):
            if not len(left):
                break
            place = (((keys[left] ^ np.uint64(twist)) * _FACTOR) >> _shift(places)).view(np.int64)
            claims[place] = left
            alone = (places[place] == UNKNOWN) & (claims[place] == left)
            settled = np.repeat(alone.reshape(-1, size).all(axis=1), size)
            places[place[settled]] = left[settled]
            twists[buckets[left[settled]]] = twist
            left = left[~settled]
        else:
            raise ValueError(f"{len(left)} keys cannot be told apart")
    return twists, places


def _mask(array: NDArray[Any]) -> NDArray[np.uint64]:
    return np.array(len(array) - 1, np.uint64)  # a scalar is the same and takes numpy twice as long


def _shift(array: NDArray[Any]) -> NDArray[np.uint64]:
    return np.array(65 - len(array).bit_length(), np.uint64)
