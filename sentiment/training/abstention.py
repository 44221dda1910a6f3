"""When a model had better not decide: the confidence above which enough of its answers are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

ANSWERS_ALL, ANSWERS_NONE = 0.0, 1.0

ALPHA = 0.05
"""How often, over trainings, the promise may be broken."""

_STEPS = 100
_STARTS = (10, 40, 70, 100)  # of the steps: ten surest in a hundred are few, and no surer than others in some data


def answer_threshold(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], *, accuracy: float, alpha: float = ALPHA
) -> float:
    """Return the smallest confidence above which at least `accuracy` of the answers to new texts are right.

    The surest tenth of the answers is taken, then ever more, a hundredth of all at a time, as long as an exact
    binomial test rejects that fewer than `accuracy` of all answers as sure are right. The order is fixed and the
    first failure ends it, so that the level of one test is the level of the threshold that is found (fixed-sequence
    testing: Bauer, 1991; for what predictions risk: Angelopoulos et al., 2021). Four such sequences, which begin
    with more and more answers, share `alpha`. A threshold is the confidence of the next answer; given that, those
    above it are a random sample of all that will be above it.

    Parameters
    ----------
    confidence : ndarray of shape (n,)
        Probability of the most probable label, of texts that the model did not learn from.
    right : ndarray of bool, shape (n,)
        Whether that label is right.
    accuracy : float
        Wanted share of right answers, from 0 to below 1.
    alpha : float
        Probability that the share among new answers is smaller.

    Returns
    -------
    float
        `ANSWERS_ALL` if all answers together are right often enough; `ANSWERS_NONE` if not even the surest
        are, or the rows are too few to tell.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked, wrong = confidence[order], np.cumsum(~right[order])
    steps = np.ceil(np.arange(1, _STEPS + 1) / _STEPS * len(ranked)).astype(np.intp)
    sizes = np.searchsorted(-ranked, -ranked[steps - 1], side="right")  # equally sure answers go together
    proven = bdtr(wrong[sizes - 1], sizes, 1 - accuracy) <= alpha / len(_STARTS)
    ends = (start - 1 + _length(proven[start - 1 :]) for start in _STARTS if proven[start - 1])
    last = max(ends, default=0)
    if not last:
        return ANSWERS_NONE
    given = sizes[last - 1]
    return ANSWERS_ALL if given == len(ranked) else float(ranked[given])


def _length(proven: NDArray[np.bool_]) -> int:
    """Return how many are proven before the first that is not."""
    return len(proven) if proven.all() else int(np.argmin(proven))
