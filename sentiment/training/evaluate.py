"""How good probabilities are: checked, measured, and each metric with its interval."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sentiment.errors import DataError, NotEnoughDataError
from sentiment.training.intervals import RESAMPLES, bootstrap
from sentiment.training.measures import Measures


def evaluate(
    labels: Sequence[str],
    probabilities: ArrayLike,
    names: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, float]:
    """Measure probabilities against the true labels.

    Parameters
    ----------
    labels : sequence of str
        The n true labels.
    probabilities : array of shape (n, len(names))
        Probability of each label.
    names : sequence of str
        What the columns stand for.
    resamples : int
        Resamples behind each interval; 0 leaves the intervals out.
    seed : int
        Of the resamples.

    Returns
    -------
    dict
        ``accuracy``; ``macro_f1`` and ``weighted_f1`` over the labels that occur or were predicted;
        ``log_loss`` in nats; ``brier``, the squared error (half its sum over labels if there are two, so
        that it lies in 0..1); ``expected_calibration_error`` of the most probable label over 15 bins of equal
        width (Guo et al., 2017); ``auc``, for more than two labels the mean of each against the rest;
        ``precision_LABEL``, ``recall_LABEL`` and ``f1_LABEL``. Each with ``_low`` and ``_high``, the ends of its
        95% bootstrap interval. What is not defined is absent: the AUC when only one label occurs, the precision of a
        label that was never predicted, the recall of one that does not occur. Never NaN.

    Raises
    ------
    NotEnoughDataError
        There are no rows.
    DataError
        A label is not among the names, or the probabilities have another shape or are not probabilities.
    """
    measures = measure(labels, probabilities, names)
    metrics = {name: float(value[0]) for name, value in measures.of(np.ones((1, measures.rows))).items()}
    found = {name: value for name, value in metrics.items() if not np.isnan(value)}
    if resamples:
        for name, (low, high) in bootstrap(measures, resamples=resamples, seed=seed).items():
            found |= {f"{name}_low": low, f"{name}_high": high}
    return found


def measure(labels: Sequence[str], probabilities: ArrayLike, names: Sequence[str]) -> Measures:
    """Return the measures of checked probabilities; raises as `evaluate` does."""
    matrix = np.asarray(probabilities, dtype=np.float64)
    truth = _codes(labels, names)
    _check(matrix, rows=len(truth), columns=len(names))
    return Measures(truth, matrix, names)


def _codes(labels: Sequence[str], names: Sequence[str]) -> NDArray[np.intp]:
    positions = {name: position for position, name in enumerate(names)}
    if unknown := sorted({str(label) for label in labels if label not in positions}):
        raise DataError(
            f"Unknown labels: {', '.join(unknown[:5])}; the model knows {', '.join(names)}.",
            fix="Evaluate on reviews of the label scheme under which the model was trained.",
        )
    if not len(labels):
        raise NotEnoughDataError("There are no rows to evaluate on.", fix="Ingest labelled reviews first.")
    return np.array([positions[label] for label in labels], dtype=np.intp)


def _check(matrix: NDArray[np.float64], *, rows: int, columns: int) -> None:
    if matrix.shape != (rows, columns):
        raise DataError(
            f"The probabilities have shape {matrix.shape}, not {(rows, columns)}.",
            fix="Pass one row a label and one column a name.",
        )
    if not (np.all(matrix >= 0) and np.allclose(matrix.sum(axis=1), 1.0, atol=1e-6)):
        raise DataError(
            "The probabilities are not probabilities: a row is negative, not finite, or does not sum to one.",
            fix="Score the rows again with an intact model.",
        )
