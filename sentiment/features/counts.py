"""In how many texts each n-gram is, counted exactly, one length after another.

The n-grams of one length that are frequent get numbers. One of the next length is then a pair, the number of
its first n-1 tokens and that of its last one: no hash, so no two n-grams are confused. None is lost, because
an n-gram is in no more texts than its parts are (Agrawal and Srikant, 1994). The pairs are dealt into bins by
ranges of first numbers. Within a bin, pair and place fit into one 64-bit number, the sort stays near the
cache, and the bins of all chunks are added up one after another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentiment.features.cells import cells
from sentiment.features.corpus import PIECE_TOKENS, Chunk, Corpus
from sentiment.features.vocabulary import UNKNOWN

_BIN: Final = 1 << 18  # occurrences that are sorted at a time, about
_SHARD: Final = 1 << 22  # occurrences, in all chunks, that are added up at a time, about


@dataclass(frozen=True)
class Level:
    """The frequent n-grams of one length.

    Attributes
    ----------
    prefixes : ndarray of int32
        Number, one length down, of the first n-1 tokens; of single tokens, their number in the dictionary.
    lasts : ndarray of int32
        Number of the last token in the level of single tokens; of single tokens, zero.
    counts : ndarray of int32, shape (classes, n)
        Texts of each class that contain the n-gram.
    numbers : list of int
        Tickets, one a chunk, of the number of the n-gram that starts at each token, `UNKNOWN` if there is none.
    """

    prefixes: NDArray[np.int32]
    lasts: NDArray[np.int32]
    counts: NDArray[np.int32]
    numbers: list[int]

    def __len__(self) -> int:
        return len(self.prefixes)


@dataclass(frozen=True)
class _Table:
    """The n-grams of one chunk: tickets of the distinct pairs, ascending, and of where each of them stands.

    `cuts` tells where the pairs of each bin end.
    """

    pairs: int
    counts: int
    sizes: int
    places: int
    cuts: NDArray[np.int64]


@dataclass(frozen=True)
class _Packing:
    """How a pair and its place fit into 64 bits: first number within its bin, last number, place.

    Attributes
    ----------
    bins : ndarray of unsigned integers
        Bin of each first number; they ascend.
    origins : ndarray
        The first number with which each bin begins.
    last_bits, place_bits : int
        How many bits the last number and the place take.
    """

    bins: NDArray[np.unsignedinteger]
    origins: NDArray[np.intp]
    last_bits: int
    place_bits: int


class Counter:
    """Counts the n-grams of a corpus.

    Parameters
    ----------
    labels : ndarray of shape (texts,)
        Class of each text, from 0 to `classes` - 1.
    least : int
        N-grams in fewer texts are left out.
    """

    def __init__(self, corpus: Corpus, labels: NDArray[np.intp], classes: int, *, least: int) -> None:
        self._corpus, self._spool, self._chunks = corpus, corpus.spool, corpus.chunks()
        self._labels, self._classes, self._least = labels, classes, least

    def levels(self, longest: int) -> list[Level]:
        """Return the frequent n-grams of each length, from 1 to `longest`, or to the last that has any."""
        found = [self._first()]
        while len(found) < longest and len(found[-1]):
            found.append(self._longer(found[0], found[-1], len(found) + 1))
        return found

    def _first(self) -> Level:
        known = len(self._corpus.dictionary)
        counts = np.zeros((self._classes, known), np.int32)
        for chunk in self._chunks:
            tokens, rows = self._spool.get(chunk.tokens), self._spool.get(chunk.rows)
            labels, once, of_once = self._labels[chunk.texts], [], []
            for piece, texts in chunk.pieces(rows):
                height = texts.stop - texts.start
                found = cells(rows[piece] - texts.start, tokens[None, piece], height=height, width=known)
                once.append(found.columns)
                of_once.append(np.repeat(labels[texts], np.diff(found.ends, prepend=0)))
            distinct, of_class = np.concatenate(once), np.concatenate(of_once)
            for number in range(self._classes):
                mine = distinct if self._classes == 1 else distinct[of_class == number]
                counts[number] += np.bincount(mine, minlength=known).astype(np.int32)
        frequent = np.flatnonzero(counts.sum(axis=0) >= self._least).astype(np.int32)
        renumbered = np.full(known, UNKNOWN, np.int32)
        renumbered[frequent] = np.arange(len(frequent), dtype=np.int32)
        numbers = [self._spool.put(renumbered[self._spool.get(chunk.tokens)]) for chunk in self._chunks]
        return Level(frequent, np.zeros_like(frequent), counts[:, frequent], numbers)

    def _longer(self, first: Level, below: Level, length: int) -> Level:
        packing = self._packing(first, below)
        tables = [self._table(number, first, below, length, packing) for number in range(len(self._chunks))]
        pairs, counts = (np.concatenate(parts, axis=-1) for parts in zip(*self._frequent(tables), strict=True))
        numbers = [self._numbers(chunk, table, pairs) for chunk, table in zip(self._chunks, tables, strict=True)]
        lasts, prefixes = _parted(pairs, packing.last_bits)
        return Level(prefixes.astype(np.int32), lasts, counts, numbers)

    def _packing(self, first: Level, below: Level) -> _Packing:
        """Deal out the first numbers, so that no bin has more of them than fit, nor many occurrences."""
        longest = max(chunk.length for chunk in self._chunks)
        last_bits, place_bits = _bits(len(first)), _bits(longest)
        share = max(longest / _BIN, sum(chunk.length for chunk in self._chunks) / _SHARD)
        weights = below.counts.sum(axis=0, dtype=np.float64)
        numbers = weights * (share / weights.sum()) + 0.5 ** (64 - last_bits - place_bits)
        bins = np.floor(np.cumsum(numbers)).astype(np.intp)
        _, origins = np.unique(bins, return_index=True)
        _, bins = np.unique(bins, return_inverse=True)  # without gaps
        return _Packing(bins.astype(np.min_scalar_type(len(origins))), origins, last_bits, place_bits)

    def _table(self, number: int, first: Level, below: Level, length: int, packing: _Packing) -> _Table:
        chunk, get, put = self._chunks[number], self._spool.get, self._spool.put
        rows, labels = get(chunk.rows), self._labels[chunk.texts]
        dealt = _dealt(get(first.numbers[number]), get(below.numbers[number]), rows, length, packing)
        groups = []
        for origin, packed in zip(packing.origins.tolist(), dealt, strict=True):
            packed.sort()
            places, pairs = _parted(packed, packing.place_bits)
            pairs += np.uint64(origin << packing.last_bits)
            groups.append(self._grouped(pairs, places, rows, labels))
        pairs, counts, sizes, places = (np.concatenate(parts, axis=-1) for parts in zip(*groups, strict=True))
        cuts = np.cumsum([0, *(len(group[0]) for group in groups)])
        return _Table(put(pairs), put(counts), put(sizes), put(places), cuts)

    def _grouped(
        self, pairs: NDArray[np.uint64], places: NDArray[np.int32], rows: NDArray[np.int32], labels: NDArray[np.intp]
    ) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Return distinct pairs, texts of each class, occurrences, and the places of all, from pairs that ascend."""
        starts = np.flatnonzero(_changes(pairs))
        sizes = np.diff(starts, append=len(pairs)).astype(np.int32)
        pairs = pairs[starts]
        if len(self._chunks) == 1:  # what is too rare here is too rare
            enough = sizes >= self._least
            places, pairs, sizes = places[np.repeat(enough, sizes)], pairs[enough], sizes[enough]
            starts = np.cumsum(sizes) - sizes
        counts = np.zeros((self._classes, len(pairs)), np.int32)
        if len(pairs):
            of_place = rows[places]
            once = _changes(of_place)
            once[starts] = True
            for number in range(self._classes):
                counted = once if self._classes == 1 else once & (labels[of_place] == number)
                np.add.reduceat(counted, starts, dtype=np.int32, out=counts[number])
        return pairs, counts, sizes, places

    def _frequent(self, tables: Sequence[_Table]) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int32]]]:
        """Add up the tables, a bin at a time."""
        for begins in zip(*(zip(table.cuts[:-1], table.cuts[1:], strict=True) for table in tables), strict=True):
            parts = [slice(*cut) for cut in begins]
            pairs = np.concatenate(
                [self._spool.get(each.pairs, part) for each, part in zip(tables, parts, strict=True)]
            )
            counts = np.concatenate(
                [self._spool.get(each.counts, part) for each, part in zip(tables, parts, strict=True)], axis=1
            )
            if len(tables) > 1 and len(pairs):
                order = np.argsort(pairs, kind="stable")  # it merges runs that ascend
                pairs, counts = pairs[order], counts[:, order]
                starts = np.flatnonzero(_changes(pairs))
                pairs, counts = pairs[starts], np.add.reduceat(counts, starts, axis=1)
            enough = counts.sum(axis=0) >= self._least
            yield pairs[enough], counts[:, enough]

    def _numbers(self, chunk: Chunk, table: _Table, frequent: NDArray[np.uint64]) -> int:
        """Write the number of each n-gram where it stands."""
        pairs = self._spool.get(table.pairs)
        numbers = np.full(chunk.length, UNKNOWN, np.int32)
        if len(frequent):
            found = np.searchsorted(frequent, pairs).astype(np.int32).clip(max=len(frequent) - 1)
            found[frequent[found] != pairs] = UNKNOWN
            numbers[self._spool.get(table.places)] = np.repeat(found, self._spool.get(table.sizes))
        for ticket in (table.pairs, table.counts, table.sizes, table.places):
            self._spool.drop(ticket)
        return self._spool.put(numbers)


def _dealt(
    lasts: NDArray[np.int32], prefixes: NDArray[np.int32], rows: NDArray[np.int32], length: int, packing: _Packing
) -> Iterator[NDArray[np.uint64]]:
    """Return, for each bin, its pairs with their places: first number in the bin, last number, place."""
    hands: list[list[NDArray[np.uint64]]] = [[] for _ in packing.origins]
    for begin in range(0, len(prefixes), PIECE_TOKENS):
        here, there = slice(begin, begin + PIECE_TOKENS), slice(begin + 1, begin + PIECE_TOKENS + 1)
        beyond = prefixes[there]
        possible = (prefixes[here][: len(beyond)] != UNKNOWN) & (beyond != UNKNOWN)
        if length == 2:  # longer ones overlap, so that both parts lie in the same text
            possible &= rows[here][: len(beyond)] == rows[there]
        places = np.flatnonzero(possible) + begin
        prefix = prefixes[places]
        bin_ = packing.bins[prefix]
        order = np.argsort(bin_, kind="stable")
        places, prefix = places[order], prefix[order] - packing.origins[bin_[order]]
        last = lasts[places + (length - 1)]
        packed = prefix.astype(np.uint64) << np.uint64(packing.last_bits) | last.astype(np.uint64)
        packed = packed << np.uint64(packing.place_bits) | places.astype(np.uint64)
        ends = np.cumsum(np.bincount(bin_, minlength=len(hands)))
        for hand, part in zip(hands, np.split(packed, ends[:-1]), strict=True):
            hand.append(part)
    for hand in hands:
        yield np.concatenate(hand) if hand else np.empty(0, np.uint64)
        hand.clear()


def _parted(packed: NDArray[np.uint64], bits: int) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """Return the last bits of packed numbers, and the rest."""
    return (packed & np.uint64((1 << bits) - 1)).astype(np.int32), packed >> np.uint64(bits)


def chi_squared(counts: NDArray[np.int32], class_sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Chi-squared of presence against class, as ``sklearn.feature_selection.chi2`` defines it.

    Parameters
    ----------
    counts : ndarray of int32, shape (classes, n)
    """
    expected = counts.sum(axis=0) * (class_sizes / class_sizes.sum())[:, None]
    value: NDArray[np.float64] = ((counts - expected) ** 2 / expected).sum(axis=0)
    return value


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a value differs from the one before."""
    changes = np.ones(len(values), np.bool_)
    changes[1:] = values[1:] != values[:-1]
    return changes


def _bits(values: int) -> int:
    """How many bits the numbers from 0 to `values` - 1 take."""
    return max(0, values - 1).bit_length()
