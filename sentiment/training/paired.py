"""Two models on the same rows: tests of the difference of their metrics. Pure.

Accuracy is tested by the score test of Tango (1998) for paired proportions, which keeps its level when few rows tell
the models apart, and exactly (McNemar, 1947) for superiority. Other metrics are compared over resamples of the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from sentiment.training.measures import CALIBRATION_BINS, Floats, calibration_bin

POWER = 0.8
RESAMPLES = 1_000

_GROUPS = 1_000

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """How often one of two models is right where the other is wrong.

    Attributes
    ----------
    rows : int
        All rows.
    gained, lost : int
        Rows on which only the challenger, or only the champion, is right.
    """

    rows: int
    gained: int
    lost: int

    @classmethod
    def of(cls, *, challenger: Bools, champion: Bools) -> Pairs:
        """Count from what each of them gets right."""
        return cls(
            rows=len(challenger),
            gained=int((challenger & ~champion).sum()),
            lost=int((~challenger & champion).sum()),
        )

    @property
    def difference(self) -> float:
        """Accuracy of the challenger less that of the champion."""
        return (self.gained - self.lost) / self.rows if self.rows else 0.0

    def p_not_worse(self, margin: float) -> float:
        """P-value of "worse by the margin or more"; small means proved no worse."""
        return float(special.ndtr(-self._score(-margin)))

    def p_worse(self, margin: float) -> float:
        """P-value of "worse by the margin at the most"; small means proved worse than that."""
        return float(special.ndtr(self._score(-margin)))

    def p_better(self) -> float:
        """Exact p-value of "no better" (McNemar, one-sided)."""
        decided = self.gained + self.lost
        return float(special.bdtrc(self.gained - 1, decided, 0.5)) if self.gained else 1.0

    def low(self, alpha: float) -> float:
        """Return what the difference is at the least with confidence ``1 - alpha`` (Tango's score interval)."""
        limit, lowest = float(special.ndtri(1 - alpha)), -1 + 1e-9
        if not self.rows or self._score(lowest) <= limit:
            return -1.0
        return float(optimize.brentq(lambda at: self._score(at) - limit, lowest, self.difference))

    def rows_needed(self, margin: float, alpha: float) -> int:
        """Return with how many rows an equally good challenger is proved no worse four times in five."""
        z = _wanted(alpha)
        discordant = (self.gained + self.lost + 2) / max(self.rows, 1)  # none seen does not mean that there are none
        return math.ceil(discordant * (z / max(margin, 1e-6)) ** 2)

    def _score(self, difference: float) -> float:
        """Return how many standard errors the difference lies above a supposed one, with the error under that one."""
        n, d = self.rows, difference
        if not n:
            return 0.0
        linear = -self.gained - self.lost + (2 * n - self.gained + self.lost) * d
        root = math.sqrt(max(0.0, linear * linear + 8 * n * self.lost * d * (1 - d)))
        lost = (root - linear) / (4 * n)  # likeliest share of lost rows if the difference is the supposed one
        variance = n * (2 * lost + d * (1 - d))
        excess = self.gained - self.lost - n * d
        if variance <= 1e-12:
            return math.copysign(math.inf, excess) if excess else 0.0
        return excess / math.sqrt(variance)


@dataclass(frozen=True, eq=False)
class Comparison:
    """One metric of two models on the same rows.

    Attributes
    ----------
    challenger, champion : float
        The metric of each.
    gains : ndarray of shape (resamples,)
        How much better the challenger is in each resample, whether the metric grows or falls towards the better.
    challengers : ndarray of shape (resamples,)
        The challenger's metric in each resample.
    """

    challenger: float
    champion: float
    gains: Floats
    challengers: Floats

    def p_not_worse(self, margin: float) -> float:
        """P-value of "worse by the margin or more", by percentiles (Efron and Tibshirani, 1993)."""
        return _tail(self.gains, -margin)

    def p_worse(self, margin: float) -> float:
        """P-value of "worse by the margin at the most"."""
        return _tail(-self.gains, margin)

    def p_better(self) -> float:
        """P-value of "no better"."""
        return self.p_not_worse(0.0)

    def low(self, alpha: float) -> float:
        """Return what the gain is at the least with confidence ``1 - alpha``."""
        return float(np.quantile(self.gains, alpha))

    def rows_needed(self, rows: int, margin: float, alpha: float) -> int:
        """Return with how many rows an equally good challenger is proved no worse four times in five."""
        z = _wanted(alpha)
        return math.ceil(rows * (z * float(self.gains.std()) / max(margin, 1e-6)) ** 2)


def _tail(values: Floats, end: float) -> float:
    """Return the share of resamples at or below an end; beyond the last of them, that of a normal distribution."""
    beyond, spread = int((values <= end).sum()), float(values.std())
    if beyond or not spread:
        return (1 + beyond) / (1 + len(values)) if beyond else 0.0
    return min(1 / (1 + len(values)), float(special.ndtr((end - values.mean()) / spread)))


def _wanted(alpha: float) -> float:
    """Return how many standard errors wide the margin must be."""
    return float(special.ndtri(1 - alpha) + special.ndtri(POWER))


def compare(
    truth: NDArray[np.intp], *, challenger: Floats, champion: Floats, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Comparison]:
    """Compare macro-F1, log-loss and calibration error over resamples of the rows, the same for both models.

    More than 1,000 rows are shuffled into 1,000 groups and the groups resampled: every metric here is a function of
    sums over rows, so that this has the same distribution in the limit, and its time does not grow with the rows.

    Parameters
    ----------
    truth : ndarray of int, shape (n,)
        Column of the right label.
    challenger, champion : ndarray of shape (n, labels)
        Probability of each label.
    seed : int
        The same seed gives the same resamples.
    """
    rng = np.random.default_rng(seed)
    groups = min(_GROUPS, len(truth))
    group = rng.permutation(len(truth)) % groups
    counts = _resampled(groups, resamples, seed)
    ours, theirs = (_metrics(truth, answers, group, counts) for answers in (challenger, champion))
    found = {}
    for name, sign in (("macro_f1", 1.0), ("log_loss", -1.0), ("expected_calibration_error", -1.0)):
        gains = sign * (ours[name] - theirs[name])
        found[name] = Comparison(float(ours[name][0]), float(theirs[name][0]), gains[1:], ours[name][1:])
    return found


def holm(p_values: Floats) -> Floats:
    """Return p-values that may be compared with alpha however many there are (Holm, 1979)."""
    order = np.argsort(p_values)
    adjusted = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    found = np.empty(len(order))
    found[order] = np.minimum(adjusted, 1.0)
    return found


def p_worse_by_group(losses: Floats, groups: NDArray[np.intp], margin: float) -> float:
    """P-value of "a mean loss of the margin at the most", where rows of one group are not independent.

    Parameters
    ----------
    losses : ndarray of shape (n,)
        What each row adds to the loss.
    groups : ndarray of int, shape (n,)
        Rows of one group go up and down together; the error is that of the sums of groups (Liang and Zeger, 1986), with
        Student's t for as many groups as there are.
    """
    _, group = np.unique(groups, return_inverse=True)
    count, mean = int(group.max(initial=-1)) + 1, float(losses.mean()) if len(losses) else 0.0
    if count < 2 or mean <= margin:
        return 1.0
    spread = np.bincount(group, losses - mean)
    error = math.sqrt(float((spread**2).sum()) * count / (count - 1)) / len(losses)
    return float(stats.t.sf((mean - margin) / error, count - 1)) if error else 0.0


@lru_cache(maxsize=2)
def _resampled(groups: int, resamples: int, seed: int) -> Floats:
    """Return how often each group counts: once each in the first row, as drawn in the others."""
    places = np.random.default_rng(seed).integers(0, groups, (resamples, groups))
    places += groups * np.arange(resamples)[:, None]
    counts = np.bincount(places.ravel(), minlength=resamples * groups).reshape(resamples, groups)
    return np.vstack([np.ones(groups), counts])


def _metrics(
    truth: NDArray[np.intp], probabilities: Floats, group: NDArray[np.intp], counts: Floats
) -> dict[str, Floats]:
    """Return each metric for each row of `counts`, which says how often each group of rows counts."""
    labels, groups = probabilities.shape[1], counts.shape[1]
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    losses = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], np.finfo(np.float64).eps))
    parts = (
        _sums(group, truth * labels + answers, groups, labels**2),
        _sums(group, calibration_bin(confidence), groups, CALIBRATION_BINS, confidence - (answers == truth)),
        np.bincount(group, losses, groups)[:, None],
    )
    sums = counts @ np.hstack(parts)  # one product: the counts are what is large
    confusion = sums[:, : labels**2].reshape(-1, labels, labels)
    sizes, gaps = confusion.sum(axis=(1, 2)), sums[:, labels**2 : -1]
    right = np.einsum("sii->si", confusion)
    either = confusion.sum(axis=2) + confusion.sum(axis=1)
    f1 = np.divide(2 * right, either, out=np.zeros_like(right), where=either > 0)
    return {
        "macro_f1": f1.sum(axis=1) / np.maximum((either > 0).sum(axis=1), 1),
        "log_loss": sums[:, -1] / sizes,
        "expected_calibration_error": np.abs(gaps).sum(axis=1) / sizes,
    }


def _sums(
    group: NDArray[np.intp], column: NDArray[np.intp], groups: int, columns: int, values: Floats | None = None
) -> Floats:
    found = np.bincount(group * columns + column, values, groups * columns).astype(np.float64)
    return found.reshape(groups, columns)
