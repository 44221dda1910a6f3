"""What the classifiers on presence of n-grams share: how they answer, and what their labels count."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from sentiment.errors import DataError, NotEnoughDataError
from sentiment.serving.scorer import length_factors, probabilities_of
from sentiment.training.abstention import ANSWERS_ALL, answer_threshold

_Float = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Training rows: presence of n-grams, and the code of each row's label."""

    X: sparse.csr_matrix
    codes: NDArray[np.intp]

    def take(self, which: NDArray[np.bool_]) -> "Rows":
        """Return some of the rows."""
        return Rows(self.X[which], self.codes[which])


class PresenceClassifier(ClassifierMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A classifier that is one weight a column and label, which is what a scorer holds.

    Attributes
    ----------
    classes_ : ndarray of str
    weights_ : ndarray of float32, shape (1 or labels, columns)
    intercepts_ : ndarray of float64, shape (1 or labels,)
    min_confidence_ : float
        An answer that is no surer than this is better not given. 0 if there is no such band.
    """

    labels: Sequence[str] | None
    balanced: bool | None
    answer_accuracy: float
    length_normalised: bool = True

    def fit(self, X: sparse.csr_matrix, y: Sequence[str]) -> "PresenceClassifier":  # noqa: N803
        """Learn from a presence matrix, shape (n, columns), and n labels.

        Raises
        ------
        DataError
            A label is not among `labels`.
        NotEnoughDataError
            All rows have the same label.
        ModelError
            The search for the weights did not move from where it started.
        """
        self.fit_after(X, y, ())
        return self

    def fit_after(self, X: sparse.csr_matrix, y: Sequence[str], solutions: Sequence[_Float]) -> list[_Float]:  # noqa: N803
        """Learn as `fit` does, and return the solutions, from which the next fit to the same rows can begin.

        Parameters
        ----------
        solutions : sequence of ndarray
            What a fit to the same rows under another regularization returned; or nothing. A classifier that gains
            nothing by them takes no notice.
        """
        targets = np.asarray(y)
        self.classes_ = np.unique(targets) if self.labels is None else np.array(list(self.labels))
        rows = Rows(sparse.csr_matrix(X), codes_of(targets, self.classes_))
        with threadpool_limits(1, user_api="blas"):  # sums in the same order on any number of cores
            return self._learn(rows, solutions)

    def decision_function(self, X: sparse.csr_matrix) -> _Float:  # noqa: N803
        """Return the margins: shape (n,) for two labels, else (n, labels)."""
        margins = self._margins(X)
        return margins[:, 0] if margins.shape[1] == 1 else margins

    def predict_proba(self, X: sparse.csr_matrix) -> _Float:  # noqa: N803
        """Return the probability of each label, shape (n, labels), in the order of `classes_`."""
        return probabilities_of(self._margins(X))

    def predict(self, X: sparse.csr_matrix) -> NDArray[np.str_]:  # noqa: N803
        """Return the most probable label of each row."""
        predicted: NDArray[np.str_] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return predicted

    @abstractmethod
    def _learn(self, rows: Rows, solutions: Sequence[_Float]) -> list[_Float]:
        """Set `weights_`, `intercepts_` and `min_confidence_`, and return what `fit_after` does."""

    def _margins(self, X: sparse.csr_matrix) -> _Float:  # noqa: N803
        check_is_fitted(self, "weights_")
        margins: _Float = self._evidence(sparse.csr_matrix(X), self.weights_.astype(np.float64)) + self.intercepts_
        return margins

    def _evidence(self, X: sparse.csr_matrix, weights: _Float) -> _Float:  # noqa: N803
        factors = length_factors(np.diff(X.indptr)) if self.length_normalised else np.ones(X.shape[0])
        evidence: _Float = np.asarray(X @ weights.T) * factors[:, None]
        return evidence

    def _sure_from(self, margins: _Float, codes: NDArray[np.intp]) -> float:
        """Return the confidence that an answer must exceed, from margins of rows that nothing was learned from."""
        if len(self.classes_) > 2 or not self.answer_accuracy:
            return ANSWERS_ALL
        answers = probabilities_of(margins)
        return answer_threshold(answers.max(axis=1), answers.argmax(axis=1) == codes, accuracy=self.answer_accuracy)

    def _problems(self) -> Sequence[int]:
        """Return the labels that are told from the rest: the second of two, each of more."""
        return range(len(self.classes_)) if len(self.classes_) > 2 else (1,)

    def _importance(self, codes: NDArray[np.intp]) -> _Float:
        """Return what a row of each label counts."""
        balanced = len(self.classes_) > 2 if self.balanced is None else self.balanced
        counts = np.bincount(codes, minlength=len(self.classes_))
        if not balanced:
            return np.ones(len(counts))
        return len(codes) / (np.count_nonzero(counts) * np.maximum(counts, 1))

    def _log_odds(self, codes: NDArray[np.intp]) -> _Float:
        """Return the log-odds of each label (of the second, if there are two) among the rows, as much as they count."""
        counts = np.bincount(codes, minlength=len(self.classes_)) * self._importance(codes)
        odds: _Float = np.log(counts + 1) - np.log(counts.sum() - counts + 1)
        return odds if len(odds) > 2 else odds[1:]


def length_scaled(X: sparse.csr_matrix, columns: _Float | None = None) -> sparse.csr_matrix:  # noqa: N803
    """Return the rows divided by the square root of their number of n-grams, the columns times `columns`."""
    sizes = np.diff(X.indptr)
    values = np.repeat(length_factors(sizes), sizes)
    values *= X.data
    if columns is not None:
        values *= columns[X.indices]
    return sparse.csr_matrix((values, X.indices, X.indptr), shape=X.shape)


def codes_of(y: NDArray[np.str_], labels: NDArray[np.str_]) -> NDArray[np.intp]:
    """Return the position of each label in the order of `labels`; at least two must occur.

    Raises
    ------
    DataError
        A label is not among them.
    NotEnoughDataError
        There is only one.
    """
    order = np.argsort(labels)
    codes: NDArray[np.intp] = order[np.searchsorted(labels, y, sorter=order).clip(max=len(labels) - 1)]
    if len(strange := np.unique(y[labels[codes] != y])):
        raise DataError(
            f"Unknown labels: {', '.join(map(str, strange[:5]))}; known are {', '.join(labels)}.",
            fix="Check data.scheme, or ingest the reviews again under this scheme.",
        )
    if len(present := np.unique(y)) < 2:
        raise NotEnoughDataError(
            f"All {len(y)} training rows have the same label ({', '.join(map(str, present))}).",
            fix="Ingest reviews with at least two different labels.",
        )
    return codes
