"""The model: from texts to probabilities by word n-grams, and its compilation to a scorer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sentiment.errors import DataError, NotEnoughDataError
from sentiment.features.ngrams import NgramVectorizer
from sentiment.labels import LABELS, LabelScheme
from sentiment.serving.scorer import Scorer
from sentiment.settings import TrainingSettings
from sentiment.training.classifier import NaiveBayesLogisticRegression
from sentiment.training.linear import LinearClassifier
from sentiment.training.presence import PresenceClassifier, codes_of

TRUSTED_TYPES = [
    "sentiment.cleaning.Cleaning",
    "sentiment.features.ngrams.NgramVectorizer",
    "sentiment.training.classifier.NaiveBayesLogisticRegression",
    "sentiment.training.linear.LinearClassifier",
]
"""What a stored pipeline may hold beside what skops trusts anyway; anything else is refused."""


def build_pipeline(settings: TrainingSettings, scheme: LabelScheme) -> Pipeline:
    """Make the untrained pipeline, from texts to probabilities of the labels of a scheme, in their order."""
    vectorizer = NgramVectorizer(
        max_ngram=settings.max_ngram,
        min_documents=settings.min_documents,
        max_features=settings.max_features,
        cleaning=settings.cleaning,
        by_label=False,  # a choice by label would have seen the labels that the calibration holds out
    )
    return Pipeline([("ngrams", vectorizer), ("classifier", build_classifier(settings, scheme))])


def build_classifier(settings: TrainingSettings, scheme: LabelScheme) -> PresenceClassifier:
    """Make the untrained classifier that `settings.model` names."""
    labels = list(LABELS[scheme])
    shared: dict[str, Any] = {
        "inverse_regularization": settings.inverse_regularization,
        "balanced": settings.balanced,
        "answer_accuracy": settings.answer_accuracy,
        "seed": settings.seed,
    }
    if settings.model == "naive_bayes_logistic":
        return NaiveBayesLogisticRegression(labels, **shared)
    if settings.model == "bag_of_words":
        return LinearClassifier(labels, method="logistic", length_normalised=False, **shared)
    return LinearClassifier(labels, method=settings.model, **shared)


def fit(texts: Sequence[str], labels: Sequence[str], *, settings: TrainingSettings, scheme: LabelScheme) -> Pipeline:
    """Train the pipeline: the first half of what `fit_with_features` returns, which says what it raises."""
    return fit_with_features(texts, labels, settings=settings, scheme=scheme)[0]


def fit_with_features(
    texts: Sequence[str], labels: Sequence[str], *, settings: TrainingSettings, scheme: LabelScheme
) -> tuple[Pipeline, csr_matrix]:
    """Train the pipeline, and return with it the features of the texts, shape (texts, n-grams), that it learned from.

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
    codes_of(np.asarray(labels), np.array(LABELS[scheme]))
    pipeline = build_pipeline(settings, scheme)
    features = pipeline[:-1].fit_transform(texts, labels)
    pipeline[-1].fit(features, labels)
    return pipeline, features


def compile_scorer(pipeline: Pipeline) -> Scorer:
    """Return the scorer that answers as a trained pipeline does."""
    vectorizer: NgramVectorizer = pipeline.named_steps["ngrams"]
    classifier: PresenceClassifier = pipeline.named_steps["classifier"]
    check_is_fitted(classifier, "weights_")
    return Scorer(
        labels=tuple(classifier.classes_.tolist()),
        vocabulary=vectorizer.vocabulary,
        weights=classifier.weights_,
        intercepts=classifier.intercepts_,
        max_ngram=vectorizer.max_ngram,
        chain=vectorizer.chain,
        min_confidence=classifier.min_confidence_,
        length_normalised=classifier.length_normalised,
    )
