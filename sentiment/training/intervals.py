"""How sure a figure is: bootstrap intervals of metrics, Wilson's interval of a share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from sentiment.training.measures import Floats, Measures

CONFIDENCE = 0.95
RESAMPLES = 1_000

_FEWEST = 200
_DRAWS = 20_000_000  # rows times resamples; more only take longer
_AT_ONCE = 400_000  # rows times resamples that fit into the processor's cache


def bootstrap(measures: Measures, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return the 95% interval of each metric over resamples of the rows (Efron's percentile interval).

    Three additions, each for a case in which percentiles mislead. Noise only ever adds to the calibration error, so
    that its resamples lie above it: its interval reaches as far down as up, and to zero if a perfectly calibrated
    model would show as much by chance (Broecker and Smith, 2007). A share of nothing or of all does not
    vary: its other end is that of Clopper and Pearson. And more than 20,000 rows need fewer resamples, at least 200,
    since their interval is narrow.

    Parameters
    ----------
    measures : Measures
    resamples : int
        Most resamples.
    seed : int
        The same seed gives the same intervals.

    Returns
    -------
    dict of str to (low, high)
        The metrics that are defined for all rows.
    """
    point = {name: float(values[0]) for name, values in measures.of(np.ones((1, measures.rows))).items()}
    drawn: dict[str, list[Floats]] = {name: [] for name in point}
    for counts in _samples(measures.rows, min(resamples, max(_FEWEST, _DRAWS // measures.rows)), seed):
        for name, values in measures.of(counts).items():
            drawn[name].append(values)
    tails = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    found = {}
    for name, value in point.items():
        values = np.concatenate(drawn[name])
        values = values[~np.isnan(values)]
        if not np.isnan(value) and len(values):
            low, high = (float(end) for end in np.quantile(values, tails))
            found[name] = min(low, value), max(high, value)
    name = "expected_calibration_error"
    found[name] = _calibration(measures, point[name], high=found[name][1], resamples=resamples, seed=seed)
    return _with_exact_ends(found, measures)


def share_interval(hits: NDArray[np.intp], rows: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return the ends of the 95% interval of each share (Wilson, 1927); 0 to 1 where there are no rows."""
    z2 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    n = np.maximum(rows, 1e-9)
    middle = (hits + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (hits * (n - hits) / n + z2 / 4)) / (n + z2)
    return np.clip(middle - half, 0.0, 1.0), np.clip(middle + half, 0.0, 1.0)


def _samples(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    size = max(1, _AT_ONCE // rows)
    for start in range(0, resamples, size):
        samples = min(size, resamples - start)
        places = rng.integers(0, rows, (samples, rows)) + rows * np.arange(samples)[:, None]
        yield np.bincount(places.ravel(), minlength=samples * rows).reshape(samples, rows).astype(np.float64)


def _calibration(measures: Measures, error: float, *, high: float, resamples: int, seed: int) -> tuple[float, float]:
    rows, confidence = measures.calibration()
    hits = np.random.default_rng(seed).binomial(
        rows, np.clip(confidence / np.maximum(rows, 1), 0, 1), (resamples, len(rows))
    )
    by_chance = np.abs(confidence - hits).sum(axis=1) / measures.rows
    return (0.0 if error <= np.quantile(by_chance, CONFIDENCE) else max(0.0, 2 * error - high)), high


def _with_exact_ends(found: Mapping[str, tuple[float, float]], measures: Measures) -> dict[str, tuple[float, float]]:
    exact = dict(found)
    for name, rows in measures.shares().items():
        if name in found and found[name][0] == found[name][1]:
            beyond = ((1 - CONFIDENCE) / 2) ** (1 / rows)
            exact[name] = (beyond, 1.0) if found[name][0] == 1 else (0.0, 1 - beyond)
    return exact
