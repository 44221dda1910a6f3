"""Cross-validation over features that are computed once and shared by all trials.

The n-grams are counted over all rows, without looking at their labels; what learns from labels, or weighs n-grams by
rarity, sees the rows of the other folds only. A row's fold is read off its hash, so it is the same in every trial.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sentiment.errors import NotEnoughDataError
from sentiment.training.classifiers import classifier
from sentiment.training.evaluate import evaluate
from sentiment.training.studies import PRESENCE, TFIDF, Study, Trial

FOLDS = 5


@dataclass(frozen=True)
class Rows:
    """What trials learn from: counts of n-grams, labels, and the fold of each row.

    Attributes
    ----------
    counts : csr_matrix, shape (n, columns)
    labels : ndarray of str, shape (n,)
    folds : ndarray of int, shape (n,)
        From 0 to `FOLDS` - 1.
    lengths : ndarray of int, shape (columns,)
        Tokens of each n-gram.
    """

    counts: sparse.csr_matrix
    labels: NDArray[np.str_]
    folds: NDArray[np.intp]
    lengths: NDArray[np.intp]


@dataclass(frozen=True)
class TrialResult:
    """What cross-validation found of one trial.

    Attributes
    ----------
    rows : int
        Reviews, each of which was held out once.
    metrics : dict of str to float
        Means over the folds; see `sentiment.training.evaluate.evaluate`.
    errors : dict of str to float
        Standard errors of these means.
    folds : dict of str to list of float
        The values of each fold, in order, to compare trials fold by fold.
    seconds : float
        CPU time of one fit, mean over the folds.
    """

    trial: str
    rows: int
    metrics: dict[str, float]
    errors: dict[str, float]
    folds: dict[str, list[float]]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return asdict(self)


def count_rows(texts: Sequence[str], labels: Sequence[str], review_ids: Sequence[str], study: Study[Any]) -> Rows:
    """Count the n-grams of a study's features, and put each row into its fold.

    Raises
    ------
    NotEnoughDataError
        Some fold has no row, or lacks a label that others have.
    """
    from sentiment.features.ngrams import NgramVectorizer

    folds = np.array([int(review_id[-8:], 16) % FOLDS for review_id in review_ids], dtype=np.intp)
    codes = np.asarray(labels)
    for fold in range(FOLDS):
        if set(codes[folds != fold]) != set(codes) or not (folds == fold).any() or len(set(codes)) < 2:
            raise NotEnoughDataError(
                f"{len(codes)} labelled training reviews are too few to be cut into {FOLDS} parts.",
                fix="Ingest more labelled reviews, of every label.",
            )
    vectorizer = NgramVectorizer(
        max_ngram=study.longest,
        min_documents=study.least,
        max_features=study.columns,
        binary=False,
        cleaning=study.cleaning,
    )
    counts, words = vectorizer.fit_transform(texts), vectorizer.vocabulary
    spaces = np.concatenate([[0], np.cumsum(words.text == ord(" "))])
    return Rows(counts, codes, folds, lengths=1 + np.diff(spaces[words.ends], prepend=0))


def cross_validate(rows: Rows, trial: Trial, *, seed: int = 0) -> TrialResult:
    """Fit a trial once a fold and measure it on the rows left out."""
    found, seconds = [], []
    for fold in range(FOLDS):
        held_out = rows.folds == fold
        started = time.process_time()
        learn, test = _weighted(rows.counts[~held_out], rows.counts[held_out], trial.features)
        model = classifier(trial.classifier, seed=seed, **trial.parameters).fit(learn, rows.labels[~held_out])
        seconds.append(time.process_time() - started)
        truth, answers = rows.labels[held_out].tolist(), model.predict_proba(test)
        found.append(evaluate(truth, answers, model.classes_.tolist(), resamples=0))
    return gathered(trial.name, len(rows.labels), found, seconds)


def gathered(trial: str, rows: int, found: Sequence[Mapping[str, float]], seconds: Sequence[float]) -> TrialResult:
    """Put together what was found in each fold; what is not defined in all of them is left out."""
    defined = [name for name in found[0] if all(name in measured for measured in found)]
    folds = {name: [measured[name] for measured in found] for name in defined}
    return TrialResult(
        trial=trial,
        rows=rows,
        metrics={name: float(np.mean(values)) for name, values in folds.items()},
        errors={name: float(np.std(values, ddof=1) / np.sqrt(len(values))) for name, values in folds.items()},
        folds=folds,
        seconds=float(np.mean(seconds)),
    )


def _weighted(
    learn: sparse.csr_matrix, test: sparse.csr_matrix, features: str
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    if features == PRESENCE:
        return learn.sign(), test.sign()
    if features == TFIDF:
        from sklearn.feature_extraction.text import TfidfTransformer

        weights = TfidfTransformer(sublinear_tf=True).fit(learn)
        return weights.transform(learn), weights.transform(test)
    return learn, test
