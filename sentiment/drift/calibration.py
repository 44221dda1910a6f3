"""How often a drift check would alarm although nothing moved, and from when on a signal counts.

Both sides of a check are drawn from the reference again and again, with replacement and of the sizes at hand; whatever
is found then is a false alarm. That gives, for this reference and these sizes:

- the **level**: the Holm-adjusted p-value from which a decisive signal counts, so that at one check a day there is at
  most one false alarm in the stated number of days, with 95% confidence. Signals depend on each other, so it is usually
  above one in that number, which is what the tests alone would allow;
- the **noise** of each signal's distance, from which its threshold and the smallest shift that would be found follow.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, pearson3, skew

from sentiment.drift.sample import LANGUAGE_ROWS, TEXT_ROWS, Sample
from sentiment.drift.signals import LANGUAGE_MIX, MIXES, TEXT, VALUES, WORD
from sentiment.drift.signals.text import mean_embeddings, used_columns
from sentiment.drift.signals.word import Presence

RESAMPLES = 1_000
POWER = 1.645  # standard errors for 95 of 100 checks
_AT_ONCE = 50
_SEED = 20_260_102
_DOUBT = 0.05  # that the level keeps its budget
_TAIL = 0.05  # the share of resamples by which the tail of the smallest p-value is measured; below, it is a line


@dataclass(frozen=True)
class Noise:
    """The squared distance of a signal where nothing moved: a Pearson type III curve by its first three moments."""

    mean: float
    spread: float
    lean: float

    def distance(self, p_value: float) -> float:
        """Return the distance that has this p-value."""
        square = self.mean + self.spread * float(pearson3.isf(p_value, self.lean)) if self.spread else self.mean
        return math.sqrt(min(1.0, max(0.0, square)))


@dataclass(frozen=True)
class Calibration:
    """What chance does to a check of these sizes.

    Attributes
    ----------
    reference_rows, current_rows : int
    days : int
        At most one false alarm in so many checks.
    level : float
        The Holm-adjusted p-value from which a signal counts.
    noise : mapping of str to Noise
    """

    reference_rows: int
    current_rows: int
    days: int
    level: float
    noise: Mapping[str, Noise]

    def detectable(self, name: str, threshold: float) -> float:
        """Return the true distance of a signal that passes `threshold` in about 95 of 100 checks."""
        if name in (TEXT, WORD):  # the square errs as it does where nothing moved, and as much again where it did
            return math.sqrt(min(1.0, threshold**2 + 2 * POWER * self.noise[name].spread))
        return min(1.0, threshold + POWER * 0.5 * math.sqrt(self._error))  # the largest error of a share

    def at(self, current_rows: int) -> Calibration:
        """Return the calibration for another number of current rows: noise goes with one over the rows."""
        other = replace(self, current_rows=current_rows)
        factor = other._error / self._error
        noise = {name: Noise(one.mean * factor, one.spread * factor, one.lean) for name, one in self.noise.items()}
        return replace(other, noise=noise)

    @property
    def _error(self) -> float:
        return 1 / self.reference_rows + 1 / self.current_rows

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Return the calibration that `to_dict` wrote."""
        return cls(**{**data, "noise": {name: Noise(**noise) for name, noise in data["noise"].items()}})


def calibrate(
    reference: Sample,
    *,
    current_rows: int,
    days: int,
    decisive: Collection[str],
    resamples: int = RESAMPLES,
) -> Calibration | None:
    """Measure what chance does to a check of `current_rows` rows against this reference.

    Parameters
    ----------
    reference : Sample
    current_rows : int
    days : int
        The budget: at most one false alarm in so many daily checks.
    decisive : collection of str
        Names of the signals that make an alarm.
    resamples : int
        How often both sides are drawn.

    Returns
    -------
    Calibration or None
        None for fewer than two rows on a side: nothing can be drawn.
    """
    if min(len(reference), current_rows) < 2:
        return None
    rng = np.random.default_rng(_SEED)
    presence = Presence(reference.features)
    drawn = [_Draw(reference, presence, current_rows, rng, _AT_ONCE) for _ in range(math.ceil(resamples / _AT_ONCE))]
    found = {name: np.concatenate([part.found[name] for part in drawn]) for name in drawn[0].found}
    noise = {name: _noise(distances) for name, distances in found.items()}
    p_values = np.array([_ranks(distances) for distances in found.values()])
    alarming = [index for index, name in enumerate(found) if name in decisive]
    smallest = holm(p_values)[alarming].min(axis=0) if alarming else np.ones(p_values.shape[1])
    surely = float(binom.ppf(_DOUBT, len(smallest), _TAIL)) / len(smallest)  # as many may lie there by chance
    level = float(np.quantile(smallest, surely)) / (_TAIL * days)
    return Calibration(len(reference), current_rows, days, min(level, 0.5), noise)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's step-down adjusted p-values (Holm 1979), shape (signals, ...) in and out."""
    found = np.asarray(p_values, dtype=np.float64)
    if not len(found):
        return found
    order = np.argsort(found, axis=0, kind="stable")
    factors = np.arange(len(found), 0, -1).reshape(-1, *[1] * (found.ndim - 1))
    ordered = np.take_along_axis(found, order, axis=0) * factors
    adjusted = np.empty_like(found)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(ordered, axis=0), 1.0), axis=0)
    return adjusted


class _Draw:
    """Some resamples: the distances of each signal, shape (resamples,)."""

    def __init__(
        self, reference: Sample, presence: Presence, current_rows: int, rng: np.random.Generator, count: int
    ) -> None:
        rows = (len(reference), current_rows)
        dealt = [_counts(rng, len(reference), size, count) for size in rows]
        self.found: dict[str, NDArray[np.float64]] = {}
        for name, values in _values_of(reference):
            self.found[name] = _of_values(values, *dealt, rows=rows)
        for name, categories in _mixes_of(reference):
            sizes = (len(categories), min(current_rows, LANGUAGE_ROWS) if name == LANGUAGE_MIX else current_rows)
            whole = sizes == rows  # otherwise known, or looked at, of some rows only, and drawn by itself
            parts = dealt if whole else [_counts(rng, len(categories), size, count) for size in sizes]
            self.found[name] = _of_mix(categories, *parts)
        if reference.features.nnz:
            size = reference.features.shape[0]
            sizes = (size, min(current_rows, TEXT_ROWS))
            old, new = dealt if sizes == rows else [_counts(rng, size, side, count) for side in sizes]
            embedded = mean_embeddings(used_columns(reference.features), reference=old, current=new, rows=sizes)
            self.found[TEXT] = embedded.distances()
            self.found[WORD] = presence.distances(reference=old, current=new, rows=sizes)


def _counts(rng: np.random.Generator, population: int, size: int, count: int) -> NDArray[np.float32]:
    drawn = [np.bincount(rng.integers(population, size=size), minlength=population) for _ in range(count)]
    return np.stack(drawn, axis=1).astype(np.float32)


def _values_of(reference: Sample) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for name, (attribute, _) in VALUES.items():
        values = getattr(reference, attribute)
        if values is not None:
            yield name, np.nan_to_num(values)


def _mixes_of(reference: Sample) -> Iterator[tuple[str, Sequence[str]]]:
    for name, (attribute, _) in MIXES.items():
        categories = getattr(reference, attribute)
        known = [one for one in categories if one is not None] if categories is not None else []
        if known:
            yield name, known


def _of_values(
    values: NDArray[np.float64], old: NDArray[np.float32], new: NDArray[np.float32], *, rows: tuple[int, int]
) -> NDArray[np.float64]:
    order = np.argsort(values, kind="stable")
    last = np.append(np.diff(values[order]) > 0, True)  # of equal values: the distribution steps once
    gaps = np.cumsum(old[order] / rows[0] - new[order] / rows[1], axis=0, dtype=np.float64)[last]
    distances: NDArray[np.float64] = np.abs(gaps).max(axis=0)
    return distances


def _of_mix(categories: Sequence[str], old: NDArray[np.float32], new: NDArray[np.float32]) -> NDArray[np.float64]:
    names, places = np.unique(np.asarray(categories, dtype=object).astype(str), return_inverse=True)
    belongs = np.eye(len(names))[places]
    before, after = old.T @ belongs, new.T @ belongs
    shares = [side / side.sum(axis=1, keepdims=True) for side in (before, after)]
    distances: NDArray[np.float64] = np.abs(shares[0] - shares[1]).sum(axis=1) / 2
    return distances


def _noise(distances: NDArray[np.float64]) -> Noise:
    squares = distances**2
    spread = float(squares.std())
    return Noise(float(squares.mean()), spread, max(float(skew(squares)), 0.0) if spread else 0.0)


def _ranks(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of the resamples that are as far or farther: p-values that hold whatever ties they have."""
    ordered = np.sort(distances)
    return 1 - np.searchsorted(ordered, distances, side="left") / len(distances)
