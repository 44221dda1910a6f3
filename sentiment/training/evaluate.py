"""How good probabilities are: accuracy, F1, likelihood, calibration and ranking, as plain numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sentiment.errors import DataError, NotEnoughDataError

CALIBRATION_BINS = 15


def evaluate(labels: Sequence[str], probabilities: ArrayLike, names: Sequence[str]) -> dict[str, float]:
    """Measure probabilities against the true labels.

    Parameters
    ----------
    labels : sequence of str
        The n true labels.
    probabilities : array of shape (n, len(names))
        Probability of each label.
    names : sequence of str
        What the columns stand for.

    Returns
    -------
    dict
        ``accuracy``; ``macro_f1`` and ``weighted_f1`` over the labels that occur or were predicted;
        ``log_loss`` in nats; ``brier``, the squared error (half its sum over labels if there are two, so
        that it lies in 0..1); ``expected_calibration_error`` of the most probable label over 15 bins of equal
        width (Guo et al., 2017); ``auc``, for more than two labels the mean of each against the rest, and
        absent when only one label occurs. Never NaN.

    Raises
    ------
    NotEnoughDataError
        There are no rows.
    DataError
        A label is not among the names, or the probabilities have another shape or are not probabilities.
    """
    from sklearn.metrics import f1_score

    matrix = np.asarray(probabilities, dtype=np.float64)
    truth = _codes(labels, names)
    _check(matrix, rows=len(truth), columns=len(names))
    predicted = matrix.argmax(axis=1)
    hits = predicted == truth
    given = matrix[np.arange(len(truth)), truth]
    errors = ((matrix - np.eye(len(names))[truth]) ** 2).sum(axis=1)
    metrics = {
        "accuracy": hits.mean(),
        "macro_f1": f1_score(truth, predicted, average="macro", zero_division=0.0),
        "weighted_f1": f1_score(truth, predicted, average="weighted", zero_division=0.0),
        "log_loss": -np.log(np.maximum(given, np.finfo(np.float64).eps)).mean(),
        "brier": errors.mean() / (2 if len(names) == 2 else 1),
        "expected_calibration_error": calibration_error(matrix.max(axis=1), hits),
    }
    if (auc := _auc(truth, matrix)) is not None:
        metrics["auc"] = auc
    return {name: float(value) for name, value in metrics.items()}


def calibration_error(confidence: NDArray[np.float64], hits: NDArray[np.bool_], bins: int = CALIBRATION_BINS) -> float:
    """Return the mean distance between confidence and share of hits over bins of equal width."""
    places = np.clip(np.ceil(confidence * bins).astype(np.intp) - 1, 0, bins - 1)
    distance = np.bincount(places, confidence, bins) - np.bincount(places, hits, bins)
    return float(np.abs(distance).sum() / len(confidence))


def _auc(truth: NDArray[np.intp], matrix: NDArray[np.float64]) -> float | None:
    from sklearn.metrics import roc_auc_score

    present = np.unique(truth)
    if len(present) < 2:
        return None
    columns = [1] if matrix.shape[1] == 2 else present
    return float(np.mean([roc_auc_score(truth == column, matrix[:, column]) for column in columns]))


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
