"""Two samples of numbers, compared by the two-sample Kolmogorov-Smirnov test."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kstwo

from sentiment.drift.signals.signal import Signal, unit


def value_shift(name: str, *, reference: ArrayLike, current: ArrayLike, description: str = "") -> Signal:
    """Compare two samples of numbers; the distance is the Kolmogorov-Smirnov statistic.

    Values that are not finite are left out. Ties make the test conservative, never the reverse. A side
    without values gives distance 0 and p-value 1: nothing was seen, so nothing is claimed.
    """
    old, new = _finite(reference), _finite(current)
    if not (len(old) and len(new)):
        return Signal(name, 1.0, 0.0, _mean(old), _mean(new), description)
    points = np.union1d(old, new)
    shares = [np.searchsorted(np.sort(side), points, side="right") / len(side) for side in (old, new)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    p_value = float(ks_p_values(distance, rows=(len(old), len(new))))
    return Signal(name, p_value, unit(distance), _mean(old), _mean(new), description)


def ks_p_values(distances: ArrayLike, *, rows: tuple[int, int]) -> NDArray[np.float64]:
    """Return the p-values of Kolmogorov-Smirnov statistics of samples of these sizes."""
    size = max(1, round(rows[0] * rows[1] / (rows[0] + rows[1])))
    found = np.asarray(distances, dtype=np.float64)
    return np.where(found > 0, np.clip(kstwo.sf(found, size), 0, 1), 1.0)


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _mean(values: NDArray[np.float64]) -> float:
    scale = float(np.abs(values).max()) if len(values) else 0.0
    return float((values / scale).mean()) * scale if scale else 0.0  # the largest floats do not overflow
