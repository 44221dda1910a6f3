"""Shares of correct answers, how sure they are, and how sure a loss of accuracy is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
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


def estimate_accuracy(
    *, reference: Accuracy, reference_confidence: ArrayLike, confidence: ArrayLike, level: float = 0.95
) -> Accuracy:
    """Estimate how often the champion is right where nobody gave labels, from how sure it is of its answers.

    The reference accuracy minus the fall of the mean confidence, the difference of confidences (Guillory et al. 2021,
    "Predicting with confidence on unseen distributions"). The interval has the errors of both means and of the
    reference accuracy; that confidence falls as accuracy does is an assumption, so this is never a proof.

    Parameters
    ----------
    reference : Accuracy
        On labelled rows.
    reference_confidence, confidence : array of shape (n,), (m,)
        Calibrated probabilities of the answers to those rows, and to the rows without labels.
    level : float
        Of the interval.

    Raises
    ------
    ValueError
        A side is empty.
    """
    old, new = (np.asarray(side, dtype=np.float64) for side in (reference_confidence, confidence))
    if not (len(old) and len(new)):
        raise ValueError("there are no answers to estimate from")
    value = min(1.0, max(0.0, reference.value - float(old.mean() - new.mean())))
    error = math.sqrt(
        reference.value * (1 - reference.value) / reference.rows + old.var() / len(old) + new.var() / len(new)
    )
    half = float(norm.ppf(0.5 + level / 2)) * error
    return Accuracy(
        rows=len(new),
        correct=round(value * len(new)),
        value=value,
        low=max(0.0, value - half),
        high=min(1.0, value + half),
    )
