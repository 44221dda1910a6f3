"""In how many texts each n-gram is: counted a batch at a time, then added up by ranges of keys."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.features.tokens import NO_NGRAM, NgramKeys

_SHARD_KEYS = 1 << 18


@dataclass(frozen=True)
class Counts:
    """In how many texts of each class every n-gram is.

    Attributes
    ----------
    keys : ndarray of uint64, shape (n,)
        Keys of the n-grams, ascending.
    counts : ndarray of int32, shape (n, classes)
        Texts that contain them.
    """

    keys: NDArray[np.uint64]
    counts: NDArray[np.int32]

    def frequent(self, least: int) -> "Counts":
        """Return the n-grams that are in `least` texts or more."""
        enough = self.counts.sum(axis=1) >= least
        return Counts(self.keys[enough], self.counts[enough])


def count(ngrams: NgramKeys, labels: NDArray[np.intp], classes: int) -> Counts:
    """Count the texts of one batch."""
    keys = ngrams.keys.reshape(-1)
    rows = np.tile(ngrams.rows, len(ngrams.keys))
    order = _ascending(keys)
    keys, rows = keys[order], rows[order]
    # The order is stable and rows ascend within each length, so an n-gram's repeats in a text are neighbours.
    first = (_changes(keys) | _changes(rows)) & (keys != NO_NGRAM)
    keys, belongs = keys[first], labels[rows[first]]
    return _grouped(keys, (belongs[:, None] == np.arange(classes)).astype(np.int32))


def merged(tables: Sequence[Counts]) -> Iterator[Counts]:
    """Add up the tables, one range of keys after another, so that no sort is large."""
    total = sum(len(table.keys) for table in tables)
    bits = max(1, (total // _SHARD_KEYS).bit_length())
    borders = np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    cuts = [[0, *np.searchsorted(table.keys, borders), len(table.keys)] for table in tables]
    for shard in range(1 << bits):
        parts = [slice(cut[shard], cut[shard + 1]) for cut in cuts]
        if not parts:
            continue
        keys = np.concatenate([table.keys[part] for table, part in zip(tables, parts, strict=True)])
        counts = np.concatenate([table.counts[part] for table, part in zip(tables, parts, strict=True)])
        order = _ascending(keys)
        yield _grouped(keys[order], counts[order])


def _grouped(keys: NDArray[np.uint64], counts: NDArray[np.int32]) -> Counts:
    """Add up the counts of equal keys, which are neighbours."""
    if not len(keys):
        return Counts(keys, counts)
    starts = np.flatnonzero(_changes(keys))
    return Counts(keys[starts], np.add.reduceat(counts, starts, axis=0, dtype=np.int32))


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a value differs from the one before; compared as they are, for 64-bit keys do not fit a float."""
    changes = np.ones(len(values), np.bool_)
    changes[1:] = values[1:] != values[:-1]
    return changes


def _ascending(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Stable order of the keys.

    The leading bits and the position packed into one number sort several times faster than an argsort;
    the rare keys that share all leading bits show as a descent, and then the argsort is made after all.
    """
    bits = np.uint64(max(1, len(keys).bit_length()))
    positions = np.arange(len(keys), dtype=np.uint64)
    packed = (keys >> bits << bits) | positions
    packed.sort()
    order = (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    ordered = keys[order]
    if np.any(ordered[1:] < ordered[:-1]):
        order = np.argsort(keys, kind="stable")
    return order


def chi_squared(counts: NDArray[np.int32], class_sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Chi-squared of presence against class, as ``sklearn.feature_selection.chi2`` defines it."""
    expected = counts.sum(axis=1, keepdims=True) * (class_sizes / class_sizes.sum())
    value: NDArray[np.float64] = ((counts - expected) ** 2 / expected).sum(axis=1)
    return value
