"""Shares of correct answers, how sure they are, and how sure a loss of accuracy is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import norm


@dataclass(frozen=True)
class Accuracy:
    """A share of correct answers with its Wilson score interval."""

    rows: int
    correct: int
    value: float
    low: float
    high: float


def measure_accuracy(*, correct: int, rows: int, confidence: float = 0.95) -> Accuracy:
    """Return a share of correct answers with its Wilson score interval (Wilson 1927).

    Raises
    ------
    ValueError
        There are no rows, or more correct answers than rows.
    """
    if rows < 1 or not 0 <= correct <= rows:
        raise ValueError(f"{correct} correct of {rows} rows is no accuracy")
    low, high = wilson_interval(correct=correct, rows=rows, z=float(norm.ppf(0.5 + confidence / 2)))
    return Accuracy(rows=rows, correct=correct, value=correct / rows, low=low, high=high)


def wilson_interval(*, correct: int, rows: int, z: float) -> tuple[float, float]:
    """Return the Wilson score interval of a share, `z` standard errors to each side."""
    share = correct / rows
    scale = 1 + z**2 / rows
    centre = (share + z**2 / (2 * rows)) / scale
    half = z * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2)) / scale
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def sure_loss(*, live: Accuracy, reference: Accuracy, alpha: float) -> float:
    """Return the loss of accuracy that is exceeded with confidence ``1 - alpha`` (below 0: maybe none).

    The lower end of Newcombe's hybrid score interval for ``reference - live``.
    """
    z = float(norm.ppf(1 - alpha))
    low, _ = wilson_interval(correct=reference.correct, rows=reference.rows, z=z)
    _, high = wilson_interval(correct=live.correct, rows=live.rows, z=z)
    loss = reference.value - live.value
    return loss - math.sqrt((reference.value - low) ** 2 + (high - live.value) ** 2)
