"""The learning curve, which tells whether more reviews would still make the model better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sentiment.errors import ModelError, NotEnoughDataError
from sentiment.training.evaluation import LearningPoint, shares

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PARTS = (16, 8, 4)
"""Each point learns from one of so many parts of the reviews; the model itself is the last point."""

MOST_HELD_OUT = 5_000


def learning_curve(
    pipeline: Pipeline,
    *,
    train: tuple[Sequence[str], Sequence[str]],
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
    train, held_out : (texts, labels)
        What the pipeline learned from, and what it is measured on; at most the first 5,000 of the held-out reviews.
    min_rows : int
        Points with fewer training reviews are left out.
    seed : int
        Which reviews are in the parts; the smaller parts lie within the larger.

    Returns
    -------
    tuple of LearningPoint
        Ascending; the last is the pipeline itself. Empty if there is no other.
    """
    from sklearn.base import clone

    texts, labels = train
    sizes = [len(texts) // part for part in PARTS if len(texts) // part >= min_rows]
    if not sizes:
        return ()
    chosen = np.random.default_rng(seed).permutation(len(texts))[: sizes[-1]]
    features, classifier = pipeline[:-1], pipeline[-1]
    unfitted = clone(classifier).set_params(judged_rows=1)
    matrix = features.transform([texts[row] for row in chosen])
    answers = np.array([labels[row] for row in chosen])
    asked, truth = features.transform(held_out[0][:MOST_HELD_OUT]), np.array(held_out[1][:MOST_HELD_OUT])
    points = []
    for size in sizes:
        try:
            fitted = clone(unfitted).fit(matrix[:size], answers[:size])
        except (NotEnoughDataError, ModelError):  # one label only, or nothing in common
            continue
        points.append(_point(size, fitted.predict(asked) == truth))
    return (*points, _point(len(texts), classifier.predict(asked) == truth)) if points else ()


def _point(train_rows: int, right: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> LearningPoint:
    [share] = shares(np.array([np.count_nonzero(right)]), np.array([len(right)]))
    return LearningPoint(train_rows, share)
