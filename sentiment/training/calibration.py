"""Honest probabilities: which rows are held out to judge a classifier, and what its margins are multiplied by."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from sentiment.serving.scorer import probabilities_of

_FOLDS = 5
_RUNS = 50  # neighbouring rows are often about the same thing, so they are held out together
_Float = NDArray[np.float64]


def held_out_parts(codes: NDArray[np.intp], enough: int) -> Iterator[NDArray[np.bool_]]:
    """Yield which rows to hold out: a fifth, and more fifths until `enough` rows have been judged."""
    folds, judged = folds_of(codes), 0
    for fold in range(_FOLDS):
        if judged >= enough:
            return
        held_out = folds == fold
        judged += int(held_out.sum())
        yield held_out


def folds_of(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Deal the rows of each label to the folds in runs of neighbours, all folds alike."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)[codes[order]]
    place = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    run = np.where(sizes >= _RUNS * _FOLDS, place * _RUNS // sizes, place)
    folds = np.empty(len(codes), np.intp)
    folds[order] = run % _FOLDS
    return folds


def sharpness(evidence: _Float, intercepts: _Float, codes: NDArray[np.intp], importance: _Float) -> float:
    """Return the factor on the evidence under which the labels are most likely (temperature scaling)."""

    def surprise(logarithm: float) -> float:
        likelihood = probabilities_of(evidence * np.exp(logarithm) + intercepts)[np.arange(len(codes)), codes]
        return -float(importance @ np.log(np.maximum(likelihood, 1e-12)) / importance.sum())

    limit = np.log(4.0)  # few rows can be separated perfectly, and would ask for infinity
    found = optimize.minimize_scalar(surprise, bounds=(-limit, limit), method="bounded")
    return float(np.exp(found.x))


def platt(margins: _Float, target: NDArray[np.bool_], importance: _Float) -> tuple[float, float]:
    """Return the slope and the offset that make margins log-odds of the target (Platt, 1999).

    The targets are drawn in a little, as if one more row of each kind had been seen, so that few rows that can be
    separated perfectly do not ask for an infinite slope.
    """
    inside, outside = np.count_nonzero(target), np.count_nonzero(~target)
    wanted = np.where(target, (inside + 1) / (inside + 2), 1 / (outside + 2))
    scale = max(float(margins.std()), 1e-12)  # the slopes of an SVC and of a regression differ by much
    total = importance.sum()

    def surprise(line: _Float) -> tuple[float, _Float]:
        logits = margins / scale * line[0] + line[1]
        losses = np.logaddexp(0.0, logits) - wanted * logits
        slopes = importance * (np.exp(-np.logaddexp(0.0, -logits)) - wanted)
        gradient = np.array([slopes @ margins / scale, slopes.sum()]) / total
        return float(importance @ losses / total), gradient

    found = optimize.minimize(
        surprise, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)]
    )
    return float(found.x[0] / scale), float(found.x[1])
