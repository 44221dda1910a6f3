"""Answering only when sure: what abstaining costs in coverage and brings in accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sentiment.errors import DataError, NotEnoughDataError


@dataclass(frozen=True)
class CoverageCurve:
    """Accuracy against coverage, one entry a threshold, from the strictest to the one that answers everything.

    Attributes
    ----------
    thresholds : ndarray of float64, descending
        Texts whose most probable label has at least this probability are answered.
    coverage : ndarray of float64
        Share of the texts that are answered.
    expected : ndarray of float64
        Accuracy on them as the probabilities promise it: their mean confidence.
    accuracy : ndarray of float64
        Accuracy on them as measured.
    """

    thresholds: NDArray[np.float64]
    coverage: NDArray[np.float64]
    expected: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def threshold(self, accuracy: float) -> float | None:
        """Return the lowest threshold at which the expected accuracy reaches a level; None if none does.

        With two labels, probabilities of the positive one between ``1 - threshold`` and ``threshold`` are
        the neutral band.
        """
        enough = np.flatnonzero(self.expected >= accuracy)
        return float(self.thresholds[enough[-1]]) if len(enough) else None


def coverage_curve(labels: Sequence[str], probabilities: ArrayLike, names: Sequence[str]) -> CoverageCurve:
    """Draw the curve of held-out texts.

    Parameters
    ----------
    labels : sequence of str
        The n true labels.
    probabilities : array of shape (n, len(names))
        Probability of each label.
    names : sequence of str
        What the columns stand for.

    Raises
    ------
    NotEnoughDataError
        There are no rows.
    DataError
        There are not as many labels as rows, or not as many names as columns.
    """
    matrix, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if not len(truth):
        raise NotEnoughDataError("There are no rows to draw a coverage curve of.", fix="Ingest labelled reviews first.")
    if matrix.shape != (len(truth), len(names)):
        raise DataError(
            f"The probabilities have shape {matrix.shape}, not {(len(truth), len(names))}.",
            fix="Pass one row a label and one column a name.",
        )
    confidence = matrix.max(axis=1)
    hits = np.asarray(names)[matrix.argmax(axis=1)] == truth
    order = np.argsort(-confidence, kind="stable")
    confidence, hits = confidence[order], hits[order]
    last = np.append(confidence[1:] != confidence[:-1], True)  # equal confidences are answered together
    answered = np.arange(1, len(truth) + 1)
    return CoverageCurve(
        thresholds=confidence[last],
        coverage=answered[last] / len(truth),
        expected=(np.cumsum(confidence) / answered)[last],
        accuracy=(np.cumsum(hits) / answered)[last],
    )
