"""The search for better settings of training: what is tried, how, and which is chosen. Pure.

What is tried lies around the settings in force: each property of the features is changed by itself, and along with each
of these goes a path of regularizations, each of which begins from the solution of the one before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sentiment.labels import LABELS, LabelScheme
from sentiment.settings import MODEL_DEFAULTS, ModelName, TrainingSettings
from sentiment.training.comparison import behind_best
from sentiment.training.crossval import FOLDS, Rows, TrialResult, gathered
from sentiment.training.evaluate import evaluate
from sentiment.training.studies import Study

STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Factors on `inverse_regularization` along a path, ascending."""

NAME = "tune"


@dataclass(frozen=True)
class Variant:
    """One combination of settings that is tried; the fields are those of `TrainingSettings`."""

    model: ModelName
    max_ngram: int
    min_documents: int
    max_features: int
    inverse_regularization: float

    @classmethod
    def of(cls, training: TrainingSettings) -> Variant:
        """Return what the settings say."""
        return cls(**{name: getattr(training, name) for name in cls.__dataclass_fields__})

    @property
    def path(self) -> str:
        """What is shared along a path: ``logistic 1-3 grams in 2 texts, 200000``."""
        return f"{self.model} 1-{self.max_ngram} grams in {self.min_documents} texts, {self.max_features}"

    @property
    def name(self) -> str:
        """What it is called in tables and runs."""
        return f"{self.path}, C={self.inverse_regularization:g}"

    @property
    def said(self) -> Mapping[str, Any]:
        """The settings by name."""
        return asdict(self)

    def applied(self, training: TrainingSettings) -> TrainingSettings:
        """Return the settings with those of this variant."""
        return TrainingSettings.model_validate({**training.model_dump(), **self.said})


@dataclass(frozen=True)
class Verdict:
    """What a search ends with.

    Attributes
    ----------
    chosen : Variant
    better : bool
        Whether that is another than the settings in force.
    gain, error : float
        What the best variant gains over the settings in force, mean over the folds, and its standard error.
    reason : str
        In words.
    """

    chosen: Variant
    better: bool
    gain: float
    error: float
    reason: str


def search(training: TrainingSettings, scheme: LabelScheme, models: Sequence[ModelName] = ()) -> Study[Variant]:
    """Plan a search around the settings in force, and around what suits each of `models`."""
    present = Variant.of(training)
    others = [
        replace(present, **{"model": model, **MODEL_DEFAULTS.get(model, {})})
        for model in dict.fromkeys(models)
        if model != present.model
    ]
    variants = tuple(
        replace(centre, inverse_regularization=float(f"{centre.inverse_regularization * factor:.6g}"))
        for centre in dict.fromkeys([present, *_neighbours(present), *others])
        for factor in STRENGTHS
    )
    return Study(
        NAME,
        "Do other settings of training make a better model than those in force?",
        tuple(dict.fromkeys(variants)),
        longest=max(variant.max_ngram for variant in variants),
        least=min(variant.min_documents for variant in variants),
        columns=None,
        cleaning=training.cleaning,
        metric="accuracy" if len(LABELS[scheme]) == 2 else "macro_f1",
    )


def choose(study: Study[Variant], results: Sequence[TrialResult], present: Variant) -> Verdict:
    """Choose the best variant, unless what it gains over the settings in force may well be chance.

    The settings in force stay if they are within one standard error of the best, fold by fold: otherwise the noise of
    the search would change them every time.
    """
    by_name = {result.trial: result for result in results}
    best = max(study.trials, key=lambda variant: by_name[variant.name].metrics[study.metric])
    gain, error = behind_best(by_name[present.name], by_name[best.name], study.metric)
    better = best != present and gain > error
    metric = study.metric.replace("_", " ").replace("f1", "F1")
    if better:
        reason = f"{best.name} gains {gain:.4f} ± {error:.4f} in {metric} over the settings in force."
    elif best == present:
        reason = f"The settings in force are the best by {metric}."
    else:
        reason = (
            f"The settings in force stay: {best.name} gains {gain:.4f} ± {error:.4f} in {metric}, no more than chance."
        )
    return Verdict(best if better else present, better, gain, error, reason)


def cross_validate_path(
    rows: Rows, path: Sequence[Variant], *, training: TrainingSettings, scheme: LabelScheme
) -> list[TrialResult]:
    """Cross-validate the variants of one path, each beginning where the one before ended.

    Parameters
    ----------
    path : sequence of Variant
        They differ in `inverse_regularization` only, which ascends.
    """
    from sentiment.training.model import build_classifier

    presence = selected(rows, path[0])
    found: dict[str, list[dict[str, float]]] = {variant.name: [] for variant in path}
    seconds: dict[str, list[float]] = {variant.name: [] for variant in path}
    for fold in range(FOLDS):
        held_out = rows.folds == fold
        learn, labels, test = presence[~held_out], rows.labels[~held_out], presence[held_out]
        truth, solutions = rows.labels[held_out].tolist(), list[NDArray[np.float64]]()
        for variant in path:
            started = time.process_time()
            model = build_classifier(variant.applied(training), scheme)
            solutions = model.fit_after(learn, labels, solutions)
            seconds[variant.name].append(time.process_time() - started)
            answers = model.predict_proba(test)
            found[variant.name].append(evaluate(truth, answers, model.classes_.tolist(), resamples=0))
    return [gathered(name, len(rows.labels), found[name], seconds[name]) for name in found]


def selected(rows: Rows, variant: Variant) -> sparse.csr_matrix:
    """Return the presence matrix that a vectorizer with these settings would make of the same texts."""
    documents = rows.counts.getnnz(axis=0)
    columns = np.flatnonzero((rows.lengths <= variant.max_ngram) & (documents >= variant.min_documents))
    if len(columns) > variant.max_features:  # among equals the first: columns are in the order of their keys
        columns = np.sort(columns[np.argsort(-documents[columns], kind="stable")[: variant.max_features]])
    return rows.counts[:, columns].sign()


def _neighbours(centre: Variant) -> Iterator[Variant]:
    if centre.max_ngram > 1:
        yield replace(centre, max_ngram=centre.max_ngram - 1)
    if centre.max_ngram < 3:
        yield replace(centre, max_ngram=centre.max_ngram + 1)
    yield replace(centre, min_documents=2 * centre.min_documents)
    if centre.min_documents > 2:
        yield replace(centre, min_documents=centre.min_documents // 2)
    yield replace(centre, max_features=2 * centre.max_features)
    if centre.max_features >= 20_000:
        yield replace(centre, max_features=centre.max_features // 2)
