"""The learning curve, which tells whether more reviews would still make the model better."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sentiment.errors import ModelError, NotEnoughDataError
from sentiment.training.evaluation import LearningPoint, shares

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.pipeline import Pipeline

    from sentiment.training.presence import PresenceClassifier

PARTS = (16, 8, 4)
"""Each point learns from one of so many parts of the reviews; the model itself is the last point."""

MOST_HELD_OUT = 5_000


def learning_curve(
    pipeline: Pipeline,
    *,
    train: tuple[csr_matrix, Sequence[str]],
    held_out: tuple[Sequence[str], Sequence[str]],
    min_rows: int,
    seed: int,
) -> tuple[LearningPoint, ...]:
    """Fit the last step of a trained pipeline again on parts of its training reviews.

    The features stay those that the whole of the reviews has chosen, and one fifth of a part is enough to calibrate
    it, which makes a point cost little. The features also let the first points look a little better than a training
    from nothing on so few reviews.

    Parameters
    ----------
    train : (features, labels)
        What the pipeline learned from, as `fit_with_features` returns it.
    held_out : (texts, labels)
        What it is measured on; at most the first 5,000 of them.
    min_rows : int
        Points with fewer training reviews are left out.
    seed : int
        Which reviews are in the parts; the smaller parts lie within the larger.

    Returns
    -------
    tuple of LearningPoint
        Ascending; the last is the pipeline itself. Empty if there is no other.
    """
    matrix, labels = train
    sizes = [len(labels) // part for part in PARTS if len(labels) // part >= min_rows]
    if not sizes:
        return ()
    chosen = np.random.default_rng(seed).permutation(len(labels))[: sizes[-1]]
    classifier = pipeline[-1]
    asked, truth = pipeline[:-1].transform(held_out[0][:MOST_HELD_OUT]), np.array(held_out[1][:MOST_HELD_OUT])
    learn = partial(_learned, classifier, matrix[chosen], [labels[row] for row in chosen])
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as threads:
        fitted = list(threads.map(learn, reversed(sizes)))[::-1]  # the largest takes longest, so it begins
    points = [
        _point(size, part.predict(asked) == truth) for size, part in zip(sizes, fitted, strict=True) if part is not None
    ]
    return (*points, _point(len(labels), classifier.predict(asked) == truth)) if points else ()


def _learned(
    classifier: PresenceClassifier, matrix: csr_matrix, labels: Sequence[str], size: int
) -> PresenceClassifier | None:
    """Return a copy of a classifier that has learned from the first rows, or None if these do not allow it."""
    from sklearn.base import clone

    try:
        part: PresenceClassifier = clone(classifier).set_params(judged_rows=1)
        return part.fit(matrix[:size], labels[:size])
    except (NotEnoughDataError, ModelError):  # one label only, or nothing in common
        return None


def _point(train_rows: int, right: NDArray[np.bool_]) -> LearningPoint:
    [share] = shares(np.array([np.count_nonzero(right)]), np.array([len(right)]))
    return LearningPoint(train_rows, share)
