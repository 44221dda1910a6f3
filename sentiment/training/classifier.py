"""The classifier: logistic regression on naive-Bayes-weighted, length-normalised presence of n-grams."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from sentiment.errors import DataError, ModelError, NotEnoughDataError
from sentiment.serving.scorer import length_factors, probabilities_of
from sentiment.training.abstention import ANSWERS_ALL, answer_threshold

SHORT_NGRAMS = 70
"""About how many n-grams a short text has: what is left of a long one in its shortened copy."""

SHORT_WEIGHT = 0.3
"""What a shortened copy counts in training, where the text itself counts 1."""

_FOLDS = 5
_RUNS = 50  # neighbouring rows are often about the same thing, so they are held out together
_MAX_ITERATIONS = 1000
_GRADIENT = 1e-5  # of the mean loss; where the search ends

_log = logging.getLogger(__name__)
_Float = NDArray[np.float64]


@dataclass(frozen=True)
class _Rows:
    """Training rows: presence of n-grams, and the code of each row's label."""

    X: sparse.csr_matrix
    codes: NDArray[np.intp]

    def take(self, which: NDArray[np.bool_]) -> "_Rows":
        return _Rows(self.X[which], self.codes[which])


@dataclass(frozen=True)
class _Judged:
    """What was said of rows that were held out: evidence, shape (n, 1 or labels), the truth, and what a row counts."""

    evidence: _Float
    codes: NDArray[np.intp]
    importance: _Float


class NaiveBayesLogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression on presence, scaled by naive-Bayes log-count ratios and by the length of the text.

    The columns are scaled by their log-count ratios and the solution is drawn towards naive Bayes (Wang and
    Manning, 2012). Rows are divided by the square root of their number of n-grams, so that a margin means
    the same in a sentence as in an essay. Each long row is joined by a copy from which most n-grams are
    left out at random, with the same label: what holds for a part is learned too (Wager et al., 2014).

    The intercept is not learned: a text without known words has the odds of its label among the training
    rows. A learned one would be what long texts need to be balanced, and would decide the short ones.

    One problem for two labels, one against the rest for more. Everything is folded into one weight a
    column. The evidence is multiplied by one factor that makes the labels of held-out rows most likely
    (temperature scaling; Guo et al., 2017). The same rows tell above which confidence answers can be relied on.

    Parameters
    ----------
    labels : sequence of str, optional
        All labels, in the order that `classes_` and the probabilities shall have; those of y, sorted, if
        None. A label that y lacks gets a small constant probability.
    inverse_regularization : float
        C of the logistic regression.
    smoothing : float
        Added to every count before the ratios are taken.
    trust : float
        Share of the solution in each weight; the rest is naive Bayes.
    balanced : bool, optional
        Whether every label counts the same, however rare; with more than two labels only, if None.
    answer_accuracy : float
        With two labels: how many of the answers above `min_confidence_` shall be right; 0 for no such band.
    judged_rows : int
        Rows held out for the calibration, if there are so many: one fifth of all, and more fifths until there are.
    seed : int
        Of the choice of n-grams that shortened copies keep.

    Attributes
    ----------
    classes_ : ndarray of str
    weights_ : ndarray of float32, shape (1 or labels, columns)
    intercepts_ : ndarray of float64, shape (1 or labels,)
    sharpness_ : float
        The factor on the evidence, already contained in the weights.
    min_confidence_ : float
        An answer that is no surer than this is better not given. 0 if there is no such band.
    """

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        *,
        inverse_regularization: float = 20.0,
        smoothing: float = 1.0,
        trust: float = 0.75,
        balanced: bool | None = None,
        answer_accuracy: float = 0.0,
        judged_rows: int = 5_000,
        seed: int = 0,
    ) -> None:
        self.labels = labels
        self.inverse_regularization = inverse_regularization
        self.smoothing = smoothing
        self.trust = trust
        self.balanced = balanced
        self.answer_accuracy = answer_accuracy
        self.judged_rows = judged_rows
        self.seed = seed

    def fit(self, X: sparse.csr_matrix, y: Sequence[str]) -> "NaiveBayesLogisticRegression":  # noqa: N803
        """Learn from a presence matrix, shape (n, columns), and n labels.

        Raises
        ------
        DataError
            A label is not among `labels`.
        NotEnoughDataError
            All rows have the same label.
        ModelError
            The regression did not move from where it started.
        """
        targets = np.asarray(y)
        self.classes_ = np.unique(targets) if self.labels is None else np.array(list(self.labels))
        rows = _Rows(sparse.csr_matrix(X), codes_of(targets, self.classes_))
        with threadpool_limits(1, user_api="blas"):  # sums in the same order on any number of cores
            self.intercepts_ = self._log_odds(rows.codes)
            held_out, start = self._judge(rows)
            self.sharpness_ = self._sharpness(held_out)
            self.min_confidence_ = self._min_confidence(held_out)
            weights, _ = self._regress(rows, start)
        self.weights_ = (weights * self.sharpness_).astype(np.float32)
        return self

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

    def _margins(self, X: sparse.csr_matrix) -> _Float:  # noqa: N803
        check_is_fitted(self, "weights_")
        return _evidence(sparse.csr_matrix(X), self.weights_.astype(np.float64)) + self.intercepts_

    def _judge(self, rows: _Rows) -> tuple[_Judged, _Float | None]:
        """Return the evidence on rows by models that did not learn from them, and a solution."""
        folds = _folds(rows.codes)
        judged, evidence, start = np.empty(0, np.intp), [], None
        for fold in range(_FOLDS):
            if len(judged) >= self.judged_rows:
                break
            held_out = folds == fold
            weights, start = self._regress(rows.take(~held_out), start)
            evidence.append(_evidence(rows.X[held_out], weights))
            judged = np.append(judged, np.flatnonzero(held_out))
        codes = rows.codes[judged]
        return _Judged(np.concatenate(evidence), codes, self._importance(rows.codes)[codes]), start

    def _min_confidence(self, held_out: _Judged) -> float:
        """Return the confidence that an answer must exceed; found where nothing was learned from."""
        if len(self.classes_) > 2 or not self.answer_accuracy:
            return ANSWERS_ALL
        answers = probabilities_of(held_out.evidence * self.sharpness_ + self.intercepts_)
        right = answers.argmax(axis=1) == held_out.codes
        return answer_threshold(answers.max(axis=1), right, accuracy=self.answer_accuracy)

    def _sharpness(self, held_out: _Judged) -> float:
        """Return the factor on the evidence under which the labels of held-out rows are most likely."""
        codes, importance = held_out.codes, held_out.importance

        def surprise(logarithm: float) -> float:
            answers = probabilities_of(held_out.evidence * np.exp(logarithm) + self.intercepts_)
            likelihood = answers[np.arange(len(codes)), codes]
            return -float(importance @ np.log(np.maximum(likelihood, 1e-12)) / importance.sum())

        limit = np.log(4.0)  # few rows can be separated perfectly, and would ask for infinity
        found = optimize.minimize_scalar(surprise, bounds=(-limit, limit), method="bounded")
        return float(np.exp(found.x))

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

    def _regress(self, rows: _Rows, start: _Float | None) -> tuple[_Float, _Float]:
        """Return weights, and the solutions they come from: one row a problem."""
        importance = self._importance(rows.codes)[rows.codes]
        copies = _shortened(rows.X, np.random.default_rng(self.seed))
        labels = range(len(self.classes_)) if len(self.classes_) > 2 else (1,)
        weights, points = np.zeros((2, len(labels), rows.X.shape[1]))
        for index, label in enumerate(labels):
            target = rows.codes == label
            if not target.any():
                continue
            ratios = _log_count_ratios(rows.X, target, self.smoothing)
            points[index] = _logistic(
                sparse.vstack([_scaled(rows.X, ratios), _scaled(copies.X, ratios)], format="csr"),
                signs=np.where(np.concatenate([target, target[copies.of]]), 1.0, -1.0),
                counts=np.concatenate([importance, SHORT_WEIGHT * importance[copies.of]]),
                offset=self.intercepts_[index],
                inverse_regularization=self.inverse_regularization,
                start=None if start is None else start[index],
            )
            naive = np.abs(points[index]).mean()
            weights[index] = (self.trust * points[index] + (1 - self.trust) * naive) * ratios
        return weights, points


@dataclass(frozen=True)
class _Copies:
    """Shortened copies of long rows, and the row of which each is one."""

    X: sparse.csr_matrix
    of: NDArray[np.intp]


def _shortened(X: sparse.csr_matrix, rng: np.random.Generator) -> _Copies:  # noqa: N803
    """Copy the rows that are at least twice as long as a short text, and leave out of each what is too much."""
    of = np.flatnonzero(np.diff(X.indptr) >= 2 * SHORT_NGRAMS)
    long = X[of]
    sizes = np.diff(long.indptr)
    keep = rng.random(long.nnz) < np.repeat(SHORT_NGRAMS / sizes, sizes)
    indptr = np.concatenate([[0], np.cumsum(keep)])[long.indptr]
    return _Copies(sparse.csr_matrix((long.data[keep], long.indices[keep], indptr), shape=long.shape), of)


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


def _folds(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Deal the rows of each label to the folds in runs of neighbours, all folds alike."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)[codes[order]]
    place = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    run = np.where(sizes >= _RUNS * _FOLDS, place * _RUNS // sizes, place)
    folds = np.empty(len(codes), np.intp)
    folds[order] = run % _FOLDS
    return folds


def _evidence(X: sparse.csr_matrix, weights: _Float) -> _Float:  # noqa: N803
    return np.asarray(X @ weights.T) * length_factors(np.diff(X.indptr))[:, None]


def _log_count_ratios(X: sparse.csr_matrix, target: NDArray[np.bool_], smoothing: float) -> _Float:  # noqa: N803
    inside = X.T @ target.astype(np.float64) + smoothing
    outside = X.T @ (~target).astype(np.float64) + smoothing
    ratios: _Float = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    return ratios


def _scaled(X: sparse.csr_matrix, ratios: _Float) -> sparse.csr_matrix:  # noqa: N803
    sizes = np.diff(X.indptr)
    values = X.data * ratios[X.indices] * np.repeat(length_factors(sizes), sizes)
    return sparse.csr_matrix((values, X.indices, X.indptr), shape=X.shape)


def _logistic(
    X: sparse.csr_matrix,  # noqa: N803
    *,
    signs: _Float,
    counts: _Float,
    offset: float,
    inverse_regularization: float,
    start: _Float | None,
) -> _Float:
    """Return the coefficients with the least penalised loss: strictly convex, so there is one minimum."""
    transposed, total = X.T, counts.sum()
    penalty = 1 / (inverse_regularization * total)

    def loss(coefficients: _Float) -> tuple[float, _Float]:
        margins = signs * (X @ coefficients + offset)
        losses = np.logaddexp(0.0, -margins)
        slopes = signs * counts * np.exp(-margins - losses)  # the sigmoid of -margins, without overflow
        value = counts @ losses / total + penalty / 2 * (coefficients @ coefficients)
        return float(value), penalty * coefficients - transposed @ slopes / total

    found = optimize.minimize(
        loss,
        np.zeros(X.shape[1]) if start is None else start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITERATIONS, "gtol": _GRADIENT, "ftol": 1e-9},
    )
    if not np.any(found.x):
        raise ModelError(
            "The classifier stopped where it started: the texts do not differ between the labels.",
            fix="Check that texts and labels belong together and that the texts are not all alike.",
        )
    if found.nit >= _MAX_ITERATIONS:
        _log.warning("the classifier stopped after %d iterations, short of its minimum", found.nit)
    return np.asarray(found.x)
