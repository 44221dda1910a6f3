"""The classical studies: which trials each compares, and the question that they answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Any

from sentiment.errors import SettingsError

COUNTS, TFIDF, PRESENCE = "counts", "tfidf", "presence"
"""How an n-gram counts: how often it occurs, that weighted by rarity and length of the text, or whether it does."""


@dataclass(frozen=True)
class Trial:
    """One combination that is tried.

    Attributes
    ----------
    features : {"counts", "tfidf", "presence"}
        How an n-gram counts.
    classifier : str
        See `sentiment.training.classifiers`.
    parameters : mapping
        Of the classifier.
    """

    features: str
    classifier: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called in tables and runs: ``tfidf logistic C=1 penalty=l2``."""
        said = (f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in self._sorted)
        return " ".join([self.features, self.classifier, *said])

    @property
    def _sorted(self) -> list[tuple[str, Any]]:
        return sorted(self.parameters.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as JSON types."""
        return {"features": self.features, "classifier": self.classifier, "parameters": dict(self._sorted)}


@dataclass(frozen=True)
class Study:
    """Trials that are compared on the same folds.

    Attributes
    ----------
    longest : int
        Longest n-gram of the features.
    columns : int
        Most n-grams, those in most texts; chosen without looking at the labels.
    axes : tuple of two str, optional
        The two parameters that span a grid, for a picture of it.
    """

    name: str
    question: str
    trials: tuple[Trial, ...]
    longest: int = 2
    columns: int = 100_000
    axes: tuple[str, str] | None = None

    def trial(self, name: str) -> Trial:
        """Return a trial by its name."""
        return next(trial for trial in self.trials if trial.name == name)


_MODELS = ("logistic", "linear_svc", "sgd", "naive_bayes", "random_forest")
_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

STUDIES = MappingProxyType(
    {
        study.name: study
        for study in (
            Study(
                "baseline",
                "How far does a plain logistic regression get, and how far the default model?",
                (
                    Trial(COUNTS, "logistic", {"C": 0.1}),
                    Trial(TFIDF, "logistic"),
                    Trial(PRESENCE, "naive_bayes_logistic"),
                ),
            ),
            Study(
                "features",
                "Bag of words or tf-idf, and under which model?",
                tuple(Trial(features, model) for model, features in product(_MODELS, (COUNTS, TFIDF))),
                longest=1,
                columns=20_000,
            ),
            Study(
                "regularization",
                "Which strength and which penalty suit a logistic regression?",
                tuple(
                    Trial(TFIDF, "logistic", {"C": strength, "penalty": penalty})
                    for penalty, strength in product(("l1", "l2"), _STRENGTHS)
                ),
                longest=1,
                columns=50_000,
                axes=("C", "penalty"),
            ),
        )
    }
)
"""The studies by name."""


def study_named(name: str) -> Study:
    """Return a study.

    Raises
    ------
    SettingsError
        There is no such study.
    """
    if name not in STUDIES:
        raise SettingsError(f"There is no study {name!r}.", fix=f"Use one of {', '.join(STUDIES)}.")
    return STUDIES[name]
