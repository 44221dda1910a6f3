"""Two mixes of categories, compared by the G-test of homogeneity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from sentiment.drift.signals.signal import Signal, unit


def mix_shift(name: str, *, reference: Sequence[str], current: Sequence[str], description: str = "{}") -> Signal:
    """Compare two mixes of categories; the distance is the total variation.

    `description` has a place for the category that moved most. A side without rows gives distance 0 and
    p-value 1.
    """
    old, new = Counter(reference), Counter(current)
    categories = sorted(old.keys() | new.keys())
    if not (reference and current):
        return Signal(name, 1.0, 0.0, 0.0, 0.0, description.format("that moved most"))
    counts = np.array([[side[category] for category in categories] for side in (old, new)], dtype=np.float64)
    shares = counts / counts.sum(axis=1, keepdims=True)
    gaps = np.abs(shares[1] - shares[0])
    moved = int(np.flatnonzero(gaps >= gaps.max() - 1e-9)[-1])  # of two that moved alike, the last: positive
    return Signal(
        name,
        float(g_p_values(counts[0], counts[1])),
        unit(float(gaps.sum() / 2)),
        float(shares[0, moved]),
        float(shares[1, moved]),
        description.format(categories[moved]),
    )


def g_p_values(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values of the G-test of homogeneity.

    Parameters
    ----------
    old, new : array of shape (..., categories)
        Counts of each side.
    """
    both = np.stack((old, new))
    totals, seen = both.sum(axis=-1, keepdims=True), both.sum(axis=0)
    expected = totals * seen / totals.sum(axis=0)
    ratio = np.divide(both, expected, out=np.ones_like(both), where=both > 0)
    statistic = np.maximum(0.0, 2 * (both * np.log(ratio)).sum(axis=(0, -1)))
    freedom = (seen > 0).sum(axis=-1) - 1
    return np.where(freedom > 0, chi2.sf(statistic, np.maximum(freedom, 1)), 1.0)
