"""The classical studies: which trials each compares, and the question that they answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from sentiment.cleaning import Cleaning
from sentiment.errors import SettingsError

COUNTS, TFIDF, PRESENCE = "counts", "tfidf", "presence"
"""How an n-gram counts: how often it occurs, that weighted by rarity and length of the text, or whether it does."""


class OneTrial(Protocol):
    """What any trial has: a name, its parameters by name, and the path on which it is tried."""

    @property
    def name(self) -> str:
        """What it is called in tables and runs."""

    @property
    def said(self) -> Mapping[str, Any]:
        """Its parameters, as logged."""

    @property
    def path(self) -> str:
        """Trials of the same path are tried one after the other, in one task."""


Tried = TypeVar("Tried", bound=OneTrial)


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

    @property
    def said(self) -> Mapping[str, Any]:
        """Its parameters, as logged."""
        return {"features": self.features, "classifier": self.classifier, **dict(self._sorted)}

    @property
    def path(self) -> str:
        """A path of its own: nothing is taken over from another trial."""
        return self.name


@dataclass(frozen=True)
class Study(Generic[Tried]):
    """Trials that are compared on the same folds.

    Attributes
    ----------
    longest : int
        Longest n-gram of the features.
    columns : int, optional
        Most n-grams, those in most texts; chosen without looking at the labels. None keeps all.
    least : int
        N-grams in fewer texts are left out.
    cleaning : Cleaning
        Of the texts.
    metric : str
        By which the trials are ordered.
    axes : tuple of two str, optional
        The two parameters that span a grid, for a picture of it.
    """

    name: str
    question: str
    trials: tuple[Tried, ...]
    longest: int = 2
    columns: int | None = 100_000
    least: int = 2
    cleaning: Cleaning = Cleaning()  # noqa: RUF009, it is frozen
    metric: str = "macro_f1"
    axes: tuple[str, str] | None = None

    @property
    def features(self) -> dict[str, Any]:
        """What decides the features, as JSON types."""
        cleaning = asdict(self.cleaning)
        return {"longest": self.longest, "columns": self.columns, "least": self.least, "cleaning": cleaning}

    def trial(self, name: str) -> Tried:
        """Return a trial by its name."""
        return next(trial for trial in self.trials if trial.name == name)

    def paths(self) -> dict[str, list[Tried]]:
        """Return the trials by path, in order."""
        paths: dict[str, list[Tried]] = {}
        for trial in self.trials:
            paths.setdefault(trial.path, []).append(trial)
        return paths

    def path(self, name: str) -> list[Tried]:
        """Return the trials of one path.

        Raises
        ------
        SettingsError
            There is no such path: the settings have changed since the study was planned.
        """
        paths = self.paths()
        if name not in paths:
            raise SettingsError(
                f"The study {self.name} does not try {name!r} under the settings of now.",
                fix="Do not change the settings while a study runs; run it again.",
            )
        return paths[name]


_MODELS = ("logistic", "linear_svc", "sgd", "naive_bayes", "random_forest")
_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

STUDIES: MappingProxyType[str, Study[Trial]] = MappingProxyType(
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


def study_named(name: str) -> Study[Trial]:
    """Return a study.

    Raises
    ------
    SettingsError
        There is no such study.
    """
    if name not in STUDIES:
        raise SettingsError(f"There is no study {name!r}.", fix=f"Use one of {', '.join(STUDIES)}.")
    return STUDIES[name]
