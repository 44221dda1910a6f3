"""From occurrences to the cells of a matrix: what is in which row, and how often."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_ODD = 0x9E3779B1


class Cells(NamedTuple):
    """The cells of a sparse matrix that are not zero, row by row, columns ascending.

    Attributes
    ----------
    columns, counts : ndarray of int32
        Column of each cell, and how often it occurred.
    ends : ndarray of intp, shape (rows,)
        Where each row ends.
    """

    columns: NDArray[np.int32]
    counts: NDArray[np.int32]
    ends: NDArray[np.intp]


def cells(rows: NDArray[Any], columns: NDArray[np.int32], *, height: int, width: int) -> Cells:
    """Gather occurrences into the cells of a matrix of `height` rows and `width` columns.

    Parameters
    ----------
    rows : ndarray of integers, shape (tokens,)
        Row of each token.
    columns : ndarray of int32, shape (lengths, tokens)
        Column of each n-gram that starts there; negative ones are left out.
    """
    bits = width.bit_length()
    kind = np.dtype(np.uint32 if height << bits < 1 << 32 else np.uint64)  # the narrower sorts twice as fast
    shift = kind.type(bits)
    places: NDArray[Any] = (np.left_shift(rows.astype(kind), shift) | columns.view(np.uint32))[columns >= 0]
    places.sort()
    starts = np.ones(len(places), np.bool_)
    starts[1:] = places[1:] != places[:-1]
    first = np.flatnonzero(starts)
    distinct = places[first]
    ends = np.searchsorted(distinct, np.left_shift(np.arange(1, height + 1, dtype=kind), shift))
    counts = np.diff(first, append=len(places))
    return Cells((distinct & kind.type((1 << bits) - 1)).astype(np.int32), counts.astype(np.int32), ends)


def stands(rows: NDArray[np.int64], columns: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return True for one occurrence of each cell; faster than `cells`, which sorts and counts.

    Each occurrence writes its number to a place that its cell determines. It is the one that stands for its cell
    if it is still there; where two cells have met at a place, a sort decides.

    Parameters
    ----------
    rows : ndarray of int64, shape (occurrences,)
        Row of each occurrence.
    columns : ndarray of int32, shape (occurrences,)
        Its column, not negative.
    """
    if not len(rows):
        return np.zeros(0, np.bool_)
    size = 1 << max(len(rows), int(rows.max())).bit_length() + 2
    places = rows * _ODD  # which moves no two rows to the same places, so two cells that meet differ in their columns
    places ^= columns
    places &= size - 1
    last, numbers = np.empty(size, np.int32), np.arange(len(rows), dtype=np.int32)
    last[places] = numbers
    winners = last.take(places, mode="clip")
    found: NDArray[np.bool_] = winners == numbers
    beaten = (columns.take(winners, mode="clip") != columns).nonzero()[0]
    if len(beaten):
        met = (rows.take(beaten) << 32) | columns.take(beaten)
        found[beaten[np.unique(met, return_index=True)[1]]] = True
    return found
