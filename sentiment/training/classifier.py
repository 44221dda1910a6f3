"""The classifier: logistic regression on naive-Bayes-weighted, length-normalised presence of n-grams."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from sklearn.linear_model import LogisticRegression

from sentiment.errors import ModelError
from sentiment.training.calibration import held_out_parts, sharpness
from sentiment.training.presence import PresenceClassifier, Rows, length_scaled

SHORT_NGRAMS = 70
"""About how many n-grams a short text has: what is left of a long one in its shortened copy."""

SHORT_WEIGHT = 0.3
"""What a shortened copy counts in training, where the text itself counts 1."""

_MAX_ITERATIONS = 1000
_PLAIN_STRENGTH = 0.25  # of C
_GRADIENT = 1e-5  # of the mean loss; where the search ends

_log = logging.getLogger(__name__)
_Float = NDArray[np.float64]


@dataclass(frozen=True)
class _Judged:
    """What was said of rows that nothing was learned from, and the codes of their labels.

    `plain` are the margins of the regression that tells all labels apart; None with two labels.
    """

    evidence: _Float
    plain: _Float | None
    codes: NDArray[np.intp]


@dataclass(frozen=True)
class _Plain:
    """A regression that tells all labels apart: weights of shape (labels, columns), and intercepts."""

    weights: _Float
    intercepts: _Float


class NaiveBayesLogisticRegression(PresenceClassifier):
    """Logistic regression on presence, scaled by naive-Bayes log-count ratios and by the length of the text.

    The columns are scaled by their log-count ratios and the solution is drawn towards naive Bayes (Wang and
    Manning, 2012). Rows are divided by the square root of their number of n-grams, so that a margin means
    the same in a sentence as in an essay. Each long row is joined by a copy from which most n-grams are
    left out at random, with the same label: what holds for a part is learned too (Wager et al., 2014).

    The intercept is not learned: a text without known words has the odds of its label among the training
    rows. A learned one would be what long texts need to be balanced, and would decide the short ones.

    One problem for two labels, one against the rest for more. The evidence is multiplied by one factor that
    makes the labels of held-out rows most likely (temperature scaling; Guo et al., 2017). With more than two
    labels the log-odds of a plain regression that tells all of them apart at once are added, because the two
    err differently where labels are rare, and the sum is scaled once more. Everything is folded into one weight
    a column. The held-out rows also tell above which confidence answers can be relied on.

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

    def _learn(self, rows: Rows, solutions: Sequence[_Float]) -> list[_Float]:
        self.intercepts_ = self._log_odds(rows.codes)
        judged, found = self._judge(rows, solutions)
        counts = self._importance(rows.codes)[judged.codes]
        self.sharpness_ = sharpness(judged.evidence, self.intercepts_, judged.codes, counts)
        margins = judged.evidence * self.sharpness_ + self.intercepts_
        weights, last = self._regress(rows, solutions[-1] if solutions else found[-1])
        weights *= self.sharpness_
        if judged.plain is not None:
            plain = self._tell_apart(rows)
            factor = sharpness(margins + judged.plain, np.zeros(len(self.classes_)), judged.codes, counts)
            weights = (weights + plain.weights) * factor
            self.intercepts_ = (self.intercepts_ + plain.intercepts) * factor
        self.min_confidence_ = self._sure_from(margins, judged.codes)
        self.weights_ = weights.astype(np.float32)
        return [*found, last]

    def _judge(self, rows: Rows, solutions: Sequence[_Float]) -> tuple[_Judged, list[_Float]]:
        """Judge rows by models that did not learn from them; also return the solutions."""
        found: list[_Float] = []
        which, evidence, plain = np.empty(0, np.intp), [], []
        for held_out in held_out_parts(rows.codes, self.judged_rows):
            inside, outside = rows.take(~held_out), rows.X[held_out]
            weights, points = self._regress(
                inside, solutions[len(found)] if solutions else found[-1] if found else None
            )
            found.append(points)
            evidence.append(self._evidence(outside, weights))
            which = np.append(which, np.flatnonzero(held_out))
            if len(self.classes_) > 2:
                apart = self._tell_apart(inside)
                plain.append(self._evidence(outside, apart.weights) + apart.intercepts)
        return _Judged(np.concatenate(evidence), np.concatenate(plain) if plain else None, rows.codes[which]), found

    def _tell_apart(self, rows: Rows) -> _Plain:
        """Fit one regression to all labels at once (a softmax); labels that do not occur are left at zero."""
        importance = self._importance(rows.codes)[rows.codes]
        strength = self.inverse_regularization * _PLAIN_STRENGTH
        found = LogisticRegression(C=strength, max_iter=_MAX_ITERATIONS)
        found.fit(length_scaled(rows.X), rows.codes, sample_weight=importance)
        weights, intercepts = np.zeros((len(self.classes_), rows.X.shape[1])), np.zeros(len(self.classes_))
        two = np.array([[-0.5], [0.5]])  # of two labels, only what tells the second from the first is given
        weights[found.classes_] = found.coef_ if len(found.coef_) > 1 else two * found.coef_
        intercepts[found.classes_] = found.intercept_ if len(found.coef_) > 1 else two[:, 0] * found.intercept_
        return _Plain(weights, intercepts)

    def _regress(self, rows: Rows, start: _Float | None) -> tuple[_Float, _Float]:
        """Return weights, and the solutions they come from: one row a problem."""
        importance = self._importance(rows.codes)[rows.codes]
        copies = _shortened(rows.X, np.random.default_rng(self.seed))
        both = sparse.vstack([rows.X, copies.X], format="csr")
        labels = self._problems()
        weights, points = np.zeros((2, len(labels), rows.X.shape[1]))
        for index, label in enumerate(labels):
            target = rows.codes == label
            if not target.any():
                continue
            ratios = _log_count_ratios(rows.X, target, self.smoothing)
            points[index] = _logistic(
                length_scaled(both, ratios),
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
    sizes = np.diff(X.indptr)
    of = np.flatnonzero(sizes >= 2 * SHORT_NGRAMS)
    ends = np.concatenate([[0], np.cumsum(sizes[of])])
    kept = np.flatnonzero(rng.random(ends[-1]) < np.repeat(SHORT_NGRAMS / sizes[of], sizes[of]))
    indptr = kept.searchsorted(ends)
    kept += np.repeat(X.indptr[of] - ends[:-1], np.diff(indptr))  # from places in long rows to places in all
    return _Copies(sparse.csr_matrix((X.data[kept], X.indices[kept], indptr), shape=(len(of), X.shape[1])), of)


def _log_count_ratios(X: sparse.csr_matrix, target: NDArray[np.bool_], smoothing: float) -> _Float:  # noqa: N803
    inside = X.T @ target.astype(np.float64) + smoothing
    outside = X.T @ (~target).astype(np.float64) + smoothing
    ratios: _Float = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    return ratios


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
