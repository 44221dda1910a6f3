"""The model: naive-Bayes-weighted logistic regression on word n-grams, and its compilation to a scorer."""

import logging
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sentiment.errors import DataError, ModelError, NotEnoughDataError
from sentiment.features.ngrams import NgramVectorizer
from sentiment.labels import LABELS, LabelScheme
from sentiment.serving.scorer import Scorer, probabilities_of
from sentiment.settings import TrainingSettings

TRUSTED_TYPES = [
    "sentiment.cleaning.Cleaning",
    "sentiment.features.ngrams.NgramVectorizer",
    "sentiment.training.model.NaiveBayesLogisticRegression",
]
"""What a stored pipeline may hold beside what skops trusts anyway; anything else is refused."""

_FOLDS = 3
_MAX_ITERATIONS = 1000
_log = logging.getLogger(__name__)


class NaiveBayesLogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression on columns scaled by their naive-Bayes log-count ratios (Wang and Manning, 2012).

    One problem for two labels, one against the rest for more. Scaling and regression are folded into one
    weight a column. Margins are then multiplied by one factor that makes out-of-fold probabilities most
    likely (temperature scaling; Guo et al., 2017), which moves no binary decision.

    Parameters
    ----------
    labels : sequence of str, optional
        All labels, in the order that `classes_` and the probabilities shall have; those of y, sorted, if
        None. A label that y lacks gets a small constant probability.
    inverse_regularization : float
        C of the logistic regression.
    smoothing : float
        Added to every count before the ratios are taken.

    Attributes
    ----------
    classes_ : ndarray of str
    weights_ : ndarray of shape (1 or labels, columns)
    intercepts_ : ndarray of shape (1 or labels,)
    sharpness_ : float
        The factor on the margins, already contained in weights and intercepts.
    """

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        inverse_regularization: float = 0.1,
        smoothing: float = 1.0,
    ) -> None:
        self.labels = labels
        self.inverse_regularization = inverse_regularization
        self.smoothing = smoothing

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
        X, targets = sparse.csr_matrix(X), np.asarray(y)  # noqa: N806
        self.classes_ = np.unique(targets) if self.labels is None else np.array(list(self.labels))
        codes = _codes(targets, self.classes_)
        self.sharpness_ = self._sharpness(X, codes)
        weights, intercepts = self._regress(X, codes)
        self.weights_, self.intercepts_ = weights * self.sharpness_, intercepts * self.sharpness_
        return self

    def decision_function(self, X: sparse.csr_matrix) -> NDArray[np.float64]:  # noqa: N803
        """Return the margins: shape (n,) for two labels, else (n, labels)."""
        margins = self._margins(X)
        return margins[:, 0] if margins.shape[1] == 1 else margins

    def predict_proba(self, X: sparse.csr_matrix) -> NDArray[np.float64]:  # noqa: N803
        """Return the probability of each label, shape (n, labels), in the order of `classes_`."""
        return probabilities_of(self._margins(X))

    def predict(self, X: sparse.csr_matrix) -> NDArray[np.str_]:  # noqa: N803
        """Return the most probable label of each row."""
        predicted: NDArray[np.str_] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return predicted

    def _margins(self, X: sparse.csr_matrix) -> NDArray[np.float64]:  # noqa: N803
        check_is_fitted(self, "weights_")
        return np.asarray(X @ self.weights_.T + self.intercepts_)

    def _sharpness(self, X: sparse.csr_matrix, codes: NDArray[np.intp]) -> float:  # noqa: N803
        """Find the factor on the margins under which the labels of held-out folds are most likely."""
        folds = np.empty(len(codes), dtype=np.intp)
        folds[np.argsort(codes, kind="stable")] = np.arange(len(codes)) % _FOLDS  # stratified
        margins = np.empty((len(codes), _problems(len(self.classes_))))
        for fold in range(_FOLDS):
            held_out = folds == fold
            weights, intercepts = self._regress(X[~held_out], codes[~held_out])
            margins[held_out] = X[held_out] @ weights.T + intercepts

        def surprise(logarithm: float) -> float:
            likelihood = probabilities_of(margins * np.exp(logarithm))[np.arange(len(codes)), codes]
            return -float(np.log(np.maximum(likelihood, 1e-12)).mean())

        limit = np.log(4.0)  # few rows can be separated perfectly, and would ask for infinity
        found = optimize.minimize_scalar(surprise, bounds=(-limit, limit), method="bounded")
        return float(np.exp(found.x))

    def _regress(
        self,
        X: sparse.csr_matrix,  # noqa: N803
        codes: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        labels = len(self.classes_)
        targets = [codes == label for label in (range(labels) if _problems(labels) > 1 else (1,))]
        solutions = [self._one_problem(X, target) for target in targets]
        return np.array([weights for weights, _ in solutions]), np.array([bias for _, bias in solutions])

    def _one_problem(
        self,
        X: sparse.csr_matrix,  # noqa: N803
        target: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], float]:
        positives = int(target.sum())
        if positives in (0, len(target)):
            return np.zeros(X.shape[1]), float(np.log((positives + 1) / (len(target) - positives + 1)))
        inside = X.T @ target.astype(np.float64) + self.smoothing
        outside = X.T @ (~target).astype(np.float64) + self.smoothing
        ratios = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
        scaled = sparse.csr_matrix((X.data * ratios[X.indices], X.indices, X.indptr), shape=X.shape)
        coefficients, intercept = _logistic(scaled, target, self.inverse_regularization)
        return coefficients * ratios, intercept


def build_pipeline(settings: TrainingSettings, scheme: LabelScheme) -> Pipeline:
    """Make the untrained pipeline, from texts to probabilities of the labels of a scheme, in their order."""
    vectorizer = NgramVectorizer(
        max_ngram=settings.max_ngram,
        min_documents=settings.min_documents,
        max_features=settings.max_features,
        cleaning=settings.cleaning,
    )
    classifier = NaiveBayesLogisticRegression(
        labels=list(LABELS[scheme]), inverse_regularization=settings.inverse_regularization
    )
    return Pipeline([("ngrams", vectorizer), ("classifier", classifier)])


def fit(texts: Sequence[str], labels: Sequence[str], *, settings: TrainingSettings, scheme: LabelScheme) -> Pipeline:
    """Train the pipeline.

    Raises
    ------
    NotEnoughDataError
        Fewer than ``training.min_rows`` rows, a single label, or no n-gram that repeats.
    DataError
        A label is not of the scheme, or there are not as many labels as texts.
    """
    texts, labels = list(texts), list(labels)
    if len(texts) != len(labels):
        raise DataError(f"There are {len(texts)} texts but {len(labels)} labels.", fix="Pass one label a text.")
    if len(texts) < settings.min_rows:
        raise NotEnoughDataError(
            f"There are {len(texts)} labelled training rows; training needs {settings.min_rows}.",
            fix="Ingest more labelled reviews, or lower training.min_rows.",
        )
    _codes(np.asarray(labels), np.array(LABELS[scheme]))
    return build_pipeline(settings, scheme).fit(texts, labels)


def compile_scorer(pipeline: Pipeline) -> Scorer:
    """Return the scorer that answers as a trained pipeline does."""
    vectorizer: NgramVectorizer = pipeline.named_steps["ngrams"]
    classifier: NaiveBayesLogisticRegression = pipeline.named_steps["classifier"]
    check_is_fitted(classifier, "weights_")
    return Scorer(
        labels=tuple(classifier.classes_.tolist()),
        vocabulary=vectorizer.vocabulary,
        weights=classifier.weights_,
        intercepts=classifier.intercepts_,
        max_ngram=vectorizer.max_ngram,
        chain=vectorizer.chain,
    )


def _problems(labels: int) -> int:
    return 1 if labels == 2 else labels


def _codes(y: NDArray[np.str_], labels: NDArray[np.str_]) -> NDArray[np.intp]:
    """Position of each label in the order of `labels`; at least two must occur."""
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


def _logistic(
    X: sparse.csr_matrix,  # noqa: N803
    target: NDArray[np.bool_],
    inverse_regularization: float,
) -> tuple[NDArray[np.float64], float]:
    """Solve one problem: strictly convex, so that L-BFGS reaches its minimum, the same every time."""
    regression = LogisticRegression(C=inverse_regularization, solver="lbfgs", max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(X, target)
    iterations = int(np.max(regression.n_iter_))
    if iterations == 0:
        raise ModelError(
            "The classifier stopped where it started: the texts do not differ between the labels.",
            fix="Check that texts and labels belong together and that the texts are not all alike.",
        )
    if iterations >= _MAX_ITERATIONS:
        _log.warning("the classifier stopped after %d iterations, short of its minimum", iterations)
    return regression.coef_[0], float(regression.intercept_[0])
