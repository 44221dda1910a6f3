"""The learning curve learns from less, on the same reviews."""

from functools import cache

import pytest

from sentiment.labels import LabelScheme
from sentiment.reviews.sample import generate
from sentiment.settings import TrainingSettings
from sentiment.training.learning import learning_curve
from sentiment.training.model import fit

SETTINGS = TrainingSettings(max_ngram=1)


@cache
def _reviews() -> tuple[list[str], list[str]]:
    reviews = list(generate("film", 1_000, seed=5))
    return [review.text for review in reviews], [str(review.label) for review in reviews]


@pytest.fixture(scope="module")
def pipeline() -> object:
    texts, labels = _reviews()
    return fit(texts[:800], labels[:800], settings=SETTINGS, scheme=LabelScheme.binary)


def _features(pipeline: object, texts: list[str]) -> object:
    return pipeline[:-1].transform(texts)  # type: ignore[index]


def _curve(pipeline: object, *, seed: int = 0, min_rows: int = 50) -> tuple[object, ...]:
    texts, labels = _reviews()
    return learning_curve(
        pipeline,  # type: ignore[arg-type]
        train=(_features(pipeline, texts[:800]), labels[:800]),
        held_out=(texts[800:], labels[800:]),
        min_rows=min_rows,
        seed=seed,
    )


def test_it_ends_with_the_model_itself(pipeline: object) -> None:
    texts, labels = _reviews()
    points = _curve(pipeline)
    assert [point.train_rows for point in points] == [50, 100, 200, 800]  # type: ignore[attr-defined]
    right = (pipeline.predict(texts[800:]) == labels[800:]).sum()  # type: ignore[attr-defined]
    assert points[-1].share.right == right  # type: ignore[attr-defined]
    assert points[0].share.accuracy < points[-1].share.accuracy  # type: ignore[attr-defined]
    assert _curve(pipeline) == points, "it is repeatable"
    assert _curve(pipeline, seed=1) != points, "other reviews are learned from"


def test_points_of_too_few_reviews_are_left_out(pipeline: object) -> None:
    assert [point.train_rows for point in _curve(pipeline, min_rows=120)] == [200, 800]  # type: ignore[attr-defined]
    assert _curve(pipeline, min_rows=201) == ()


def test_a_part_with_one_label_only_is_left_out(pipeline: object) -> None:
    texts = _reviews()[0][:800]
    points = learning_curve(
        pipeline,  # type: ignore[arg-type]
        train=(_features(pipeline, texts), ["positive"] * 800),
        held_out=(texts[:100], ["positive"] * 100),
        min_rows=100,
        seed=0,
    )
    assert points == ()
