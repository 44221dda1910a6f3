"""Every metric of a classifier as a function of how often each row counts.

With each row counted once these are the metrics; with the counts of many resamples at once, as the rows of one
matrix, they are the metrics of every resample. So there is one definition of each metric, and no loop over resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15

Floats = NDArray[np.float64]


class Measures:
    """The metrics of some answers.

    Parameters
    ----------
    truth : ndarray of int, shape (n,)
        Column of the right label.
    probabilities : ndarray of shape (n, len(names))
        Probability of each label.
    names : sequence of str
        What the columns stand for.
    """

    def __init__(self, truth: NDArray[np.intp], probabilities: Floats, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.rows = len(truth)
        self._truth, self._answers = truth, probabilities.argmax(axis=1)
        self._confidence = probabilities.max(axis=1)
        self._sums = self._columns(truth, probabilities)
        shown = [1] if len(names) == 2 else np.unique(truth).tolist()
        self._rankings = [_Ranking(truth == column, probabilities[:, column]) for column in shown]

    def of(self, counts: Floats) -> dict[str, Floats]:
        """Return each metric for each row of `counts`.

        Parameters
        ----------
        counts : ndarray of shape (samples, n)
            How often each row is in each sample.

        Returns
        -------
        dict of str to ndarray of shape (samples,)
            NaN where a metric is not defined: the precision of a label that was never answered, the recall of
            one that never occurs, the AUC of a single label.
        """
        labels, rows = len(self.names), counts.sum(axis=1)
        sums = counts @ self._sums
        confusion = sums[:, : labels**2].reshape(-1, labels, labels)
        log_loss, brier = sums[:, labels**2] / rows, sums[:, labels**2 + 1] / rows
        right = np.einsum("sii->si", confusion)
        occurring, answered = confusion.sum(axis=2), confusion.sum(axis=1)
        f1 = _ratio(2 * right, occurring + answered)
        defined = ~np.isnan(f1)
        f1_or_zero = np.where(defined, f1, 0.0)
        found = {
            "accuracy": right.sum(axis=1) / rows,
            "macro_f1": f1_or_zero.sum(axis=1) / defined.sum(axis=1),
            "weighted_f1": (f1_or_zero * occurring).sum(axis=1) / rows,
            "log_loss": log_loss,
            "brier": brier,
            "expected_calibration_error": np.abs(sums[:, labels**2 + 2 :]).sum(axis=1) / rows,
            "auc": _mean_of_defined(np.stack([ranking.auc(counts) for ranking in self._rankings], axis=1)),
        }
        per_label = {"precision": _ratio(right, answered), "recall": _ratio(right, occurring), "f1": f1}
        for position, name in enumerate(self.names):
            found |= {f"{measure}_{name}": values[:, position] for measure, values in per_label.items()}
        return found

    def shares(self) -> dict[str, int]:
        """Return the metrics that are shares of a number of rows, with that number."""
        rows = {"accuracy": self.rows}
        for position, name in enumerate(self.names):
            rows[f"precision_{name}"] = int((self._answers == position).sum())
            rows[f"recall_{name}"] = int((self._truth == position).sum())
        return {name: count for name, count in rows.items() if count}

    def calibration(self) -> tuple[NDArray[np.intp], Floats]:
        """Return how many answers are in each calibration bin, and the sum of their confidence."""
        bins = calibration_bin(self._confidence)
        confidence = np.bincount(bins, self._confidence, CALIBRATION_BINS).astype(np.float64)
        return np.bincount(bins, minlength=CALIBRATION_BINS), confidence

    def _columns(self, truth: NDArray[np.intp], probabilities: Floats) -> Floats:
        """Return what is summed over rows: cells of the confusion, losses, and gaps of the calibration bins."""
        labels, everyone = len(self.names), np.arange(self.rows)
        answers, confidence = self._answers, self._confidence
        columns = np.zeros((self.rows, labels**2 + 2 + CALIBRATION_BINS))
        columns[everyone, truth * labels + answers] = 1.0
        columns[:, labels**2] = -np.log(np.maximum(probabilities[everyone, truth], np.finfo(np.float64).eps))
        errors = ((probabilities - np.eye(labels)[truth]) ** 2).sum(axis=1)
        columns[:, labels**2 + 1] = errors / (2 if labels == 2 else 1)
        columns[everyone, labels**2 + 2 + calibration_bin(confidence)] = confidence - (answers == truth)
        return columns


def calibration_bin(confidence: Floats, bins: int = CALIBRATION_BINS) -> NDArray[np.intp]:
    """Return the bin of each confidence: of equal width, each with its upper end (Guo et al., 2017)."""
    return np.clip(np.ceil(confidence * bins).astype(np.intp) - 1, 0, bins - 1)


class _Ranking:
    """One label against the rest, sorted once by its probability."""

    def __init__(self, positive: NDArray[np.bool_], scores: Floats) -> None:
        order = np.argsort(scores, kind="stable")
        ranked = scores[order]
        self._positive = np.flatnonzero(positive)
        self._negative = order[~positive[order]]
        others = ranked[~positive[order]]
        self._below = np.searchsorted(others, scores[self._positive], side="left")
        self._up_to = np.searchsorted(others, scores[self._positive], side="right")

    def auc(self, counts: Floats) -> Floats:
        """Return the share of pairs that are in the right order, ties counted half; NaN without pairs."""
        negatives = np.zeros((len(counts), len(self._negative) + 1))
        np.cumsum(counts[:, self._negative], axis=1, out=negatives[:, 1:])
        positives = counts[:, self._positive]
        won = np.einsum("sp,sp->s", positives, negatives[:, self._below] + negatives[:, self._up_to]) / 2
        return _ratio(won, positives.sum(axis=1) * negatives[:, -1])


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _mean_of_defined(values: Floats) -> Floats:
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1).astype(np.float64))
