"""The named classifiers that studies compare: each learns from n-gram counts and answers with probabilities."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sentiment.errors import SettingsError

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

_ITERATIONS = 1_000


def classifier(name: str, *, seed: int = 0, **parameters: Any) -> ClassifierMixin:
    """Return an untrained classifier.

    Parameters
    ----------
    name : str
        One of `CLASSIFIERS`.
    seed : int
        Of everything random in it.
    **parameters
        Passed on: ``C`` and ``penalty`` (``l1`` or ``l2``) of `logistic`, ``C`` of `linear_svc` and so on.

    Raises
    ------
    SettingsError
        There is no such classifier.
    """
    if name not in CLASSIFIERS:
        raise SettingsError(f"There is no classifier {name!r}.", fix=f"Use one of {', '.join(CLASSIFIERS)}.")
    return CLASSIFIERS[name](seed=seed, **parameters)


def _logistic(*, seed: int, C: float = 1.0, penalty: str = "l2") -> ClassifierMixin:  # noqa: N803
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    if penalty == "l2":
        return LogisticRegression(C=C, max_iter=_ITERATIONS)
    sparse = LogisticRegression(C=C, l1_ratio=1.0, solver="liblinear", max_iter=_ITERATIONS, random_state=seed)
    return OneVsRestClassifier(sparse)


def _naive_bayes_logistic(*, seed: int, C: float = 20.0) -> ClassifierMixin:  # noqa: N803
    from sentiment.training.classifier import NaiveBayesLogisticRegression

    return NaiveBayesLogisticRegression(inverse_regularization=C, seed=seed)


def _linear_svc(*, seed: int, C: float = 0.1) -> ClassifierMixin:  # noqa: N803
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import LinearSVC

    return CalibratedClassifierCV(LinearSVC(C=C, max_iter=_ITERATIONS, random_state=seed), cv=3, ensemble=False)


def _sgd(*, seed: int, alpha: float = 1e-5) -> ClassifierMixin:
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(loss="log_loss", alpha=alpha, random_state=seed)


def _naive_bayes(*, seed: int, alpha: float = 1.0) -> ClassifierMixin:
    from sklearn.naive_bayes import MultinomialNB

    return MultinomialNB(alpha=alpha)


def _random_forest(*, seed: int, trees: int = 100) -> ClassifierMixin:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=trees, min_samples_leaf=3, random_state=seed)


CLASSIFIERS: MappingProxyType[str, Callable[..., ClassifierMixin]] = MappingProxyType(
    {
        "naive_bayes_logistic": _naive_bayes_logistic,
        "logistic": _logistic,
        "linear_svc": _linear_svc,
        "sgd": _sgd,
        "naive_bayes": _naive_bayes,
        "random_forest": _random_forest,
    }
)
"""What each name makes. Tree ensembles are for comparison: only linear models compile to a scorer."""
