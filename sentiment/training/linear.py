"""The usual linear classifiers on presence of n-grams, with honest probabilities, in the form of a scorer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sentiment.errors import ModelError
from sentiment.training.calibration import held_out_parts, platt
from sentiment.training.presence import PresenceClassifier, Rows, length_scaled

_ITERATIONS = 1_000
_LOGISTIC_TOLERANCE = 1e-5  # rows of unit length have small gradients: the usual 1e-4 stops early
_Float = NDArray[np.float64]


class LinearClassifier(PresenceClassifier):
    """Logistic regression, linear support vectors or stochastic gradient descent, as scikit-learn has them.

    One problem for two labels, one against the rest for more. Slope and offset that make the margins of
    held-out rows log-odds (Platt, 1999) are folded into the weights and the intercept.

    Parameters
    ----------
    labels : sequence of str, optional
        All labels, in the order that `classes_` and the probabilities shall have; those of y, sorted, if
        None. A label that y lacks gets a small constant probability.
    method : {"logistic", "linear_svc", "sgd"}
        ``LogisticRegression``, ``LinearSVC``, or ``SGDClassifier`` with the logistic loss.
    inverse_regularization : float
        C; of ``sgd``, alpha is 1 / (C n).
    length_normalised : bool
        Rows are divided by the square root of their number of n-grams, which makes them of unit length.
        Without: a plain bag of words.
    balanced : bool, optional
        Whether every label counts the same, however rare; with more than two labels only, if None.
    answer_accuracy : float
        With two labels: how many of the answers above `min_confidence_` shall be right; 0 for no such band.
    judged_rows : int
        Rows held out for the calibration, if there are so many: one fifth of all, and more fifths until there are.
    seed : int
        Of the order in which ``sgd`` sees the rows.

    Attributes
    ----------
    classes_ : ndarray of str
    weights_ : ndarray of float32, shape (1 or labels, columns)
    intercepts_ : ndarray of float64, shape (1 or labels,)
    min_confidence_ : float
        An answer that is no surer than this is better not given. 0 if there is no such band.
    """

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        *,
        method: str = "logistic",
        inverse_regularization: float = 20.0,
        length_normalised: bool = True,
        balanced: bool | None = None,
        answer_accuracy: float = 0.0,
        judged_rows: int = 5_000,
        seed: int = 0,
    ) -> None:
        self.labels = labels
        self.method = method
        self.inverse_regularization = inverse_regularization
        self.length_normalised = length_normalised
        self.balanced = balanced
        self.answer_accuracy = answer_accuracy
        self.judged_rows = judged_rows
        self.seed = seed

    def _learn(self, rows: Rows, solutions: Sequence[_Float]) -> list[_Float]:
        """Solve each problem, for the rows without each held-out part and for all; judge the held-out margins."""
        importance = self._importance(rows.codes)[rows.codes]
        margins, judged = [], []
        for held_out in held_out_parts(rows.codes, self.judged_rows):
            found = self._solve(rows.take(~held_out), importance[~held_out])
            margins.append(self._evidence(rows.X[held_out], found[:, :-1]) + found[:, -1])
            judged.append(np.flatnonzero(held_out))
        which, points = np.concatenate(judged), self._solve(rows, importance)
        self.intercepts_ = self._log_odds(rows.codes)
        weights, calibrated = np.zeros((len(points), rows.X.shape[1])), np.concatenate(margins)
        for index, label in enumerate(self._problems()):
            target = rows.codes == label
            if target.any() and points[index].any():
                slope, offset = platt(calibrated[:, index], target[which], importance[which])
                weights[index] = slope * points[index, :-1]
                self.intercepts_[index] = slope * points[index, -1] + offset
                calibrated[:, index] = slope * calibrated[:, index] + offset
        self.min_confidence_ = self._sure_from(calibrated, rows.codes[which])
        self.weights_ = weights.astype(np.float32)
        return []

    def _solve(self, rows: Rows, importance: _Float) -> _Float:
        """Return the coefficients of each problem, with the intercept at the end."""
        matrix = length_scaled(rows.X) if self.length_normalised else rows.X
        found = np.zeros((len(self._problems()), matrix.shape[1] + 1))
        for index, label in enumerate(self._problems()):
            target = rows.codes == label
            if target.any() and not target.all():
                found[index] = self._coefficients(matrix, target, importance)
        if not found[:, :-1].any():
            raise ModelError(
                "The classifier stopped where it started: the texts do not differ between the labels.",
                fix="Check that texts and labels belong together and that the texts are not all alike.",
            )
        return found

    def _coefficients(self, matrix: sparse.csr_matrix, target: NDArray[np.bool_], importance: _Float) -> _Float:
        model = self._model(len(target)).fit(matrix, target, sample_weight=importance)
        return np.append(model.coef_[0], model.intercept_)

    def _model(self, rows: int) -> Any:
        from sklearn.linear_model import LogisticRegression, SGDClassifier
        from sklearn.svm import LinearSVC

        strength, limit = self.inverse_regularization, _ITERATIONS
        if self.method == "logistic":
            return LogisticRegression(C=strength, tol=_LOGISTIC_TOLERANCE, max_iter=limit)
        if self.method == "linear_svc":  # the primal solver: nothing random in it
            return LinearSVC(C=strength, dual=False, max_iter=limit)
        if self.method == "sgd":
            return SGDClassifier(loss="log_loss", alpha=1 / (strength * rows), max_iter=limit, random_state=self.seed)
        raise ValueError(f"method is {self.method!r}, not logistic, linear_svc or sgd")
