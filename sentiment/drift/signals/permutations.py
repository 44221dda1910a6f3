"""Permutation tests: the same texts, dealt to two sides at random, and how far in the tail a value lies."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearson3, skew

from sentiment.drift.signals.signal import unit

PERMUTATIONS = 200
_SEED = 20_260_101


@lru_cache(maxsize=1)
def deals(rows: tuple[int, int]) -> NDArray[np.uint16]:
    """Deal ``sum(rows)`` texts to two sides `PERMUTATIONS` times, always in the same ways.

    Returns an array of shape (texts, permutations), with ones for what goes to the second side. The last one is
    kept: all tests of a check deal the same rows.
    """
    rng = np.random.default_rng(_SEED)
    dealt = np.zeros((PERMUTATIONS, sum(rows)), dtype=np.uint16)
    for row in dealt:
        row[rng.choice(sum(rows), rows[1], replace=False)] = 1
    return np.ascontiguousarray(dealt.T)


def with_actual(dealt: NDArray[np.uint16], rows: tuple[int, int]) -> NDArray[np.uint16]:
    """Return deals with the actual one, of the first rows to the first side, before them."""
    return np.column_stack((np.repeat(np.array([0, 1], np.uint16), rows), dealt))


def tail(value: float, drawn: NDArray[np.float64]) -> float:
    """Return the chance of a value this large or larger, by a Pearson type III curve through what was drawn."""
    spread = float(drawn.std())
    if spread < 1e-12:
        return 1.0
    lean = max(float(skew(drawn)), 0.0)  # a sum of weighted chi-squares leans to the right
    return unit(float(pearson3.sf((value - float(drawn.mean())) / spread, lean)))
