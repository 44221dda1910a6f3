"""The confidence that an answer must exceed: proven, kept on new texts, and not more than needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment.labels import LABELS, LabelScheme
from sentiment.reviews.sample import generate
from sentiment.settings import TrainingSettings
from sentiment.training.abstention import ALPHA, ANSWERS_ALL, ANSWERS_NONE, answer_threshold
from sentiment.training.model import compile_scorer, fit

TRIALS, POPULATION = 150, 100_000


def _confidences(random: np.random.Generator, spread: float, rows: int) -> np.ndarray:
    probabilities = random.beta(spread, spread, rows)
    return np.maximum(probabilities, 1 - probabilities)


@given(
    spread=st.floats(0.1, 2.0),
    rows=st.integers(60, 3_000),
    accuracy=st.floats(0.8, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=25)
def test_the_promise_is_broken_no_more_often_than_said(spread: float, rows: int, accuracy: float, seed: int) -> None:
    """Calibrated answers are right as often as their confidence says, so those above a threshold on its mean."""
    random = np.random.default_rng(seed)
    everyone = np.sort(_confidences(random, spread, POPULATION))
    above = np.cumsum(everyone[::-1])[::-1] / np.arange(POPULATION, 0, -1)
    broken = 0
    for _ in range(TRIALS):
        confidence = _confidences(random, spread, rows)
        threshold = answer_threshold(confidence, random.random(rows) < confidence, accuracy=accuracy)
        place = np.searchsorted(everyone, threshold, side="right")
        broken += place < POPULATION and above[place] < accuracy
    assert broken <= TRIALS * ALPHA + 3 * np.sqrt(TRIALS * ALPHA * (1 - ALPHA))


def test_most_of_what_could_be_answered_is() -> None:
    random = np.random.default_rng(0)
    everyone = np.sort(_confidences(random, 0.3, POPULATION))
    above = np.cumsum(everyone[::-1])[::-1] / np.arange(POPULATION, 0, -1)
    best = (above >= 0.95).mean()
    confidence = _confidences(random, 0.3, 5_000)
    threshold = answer_threshold(confidence, random.random(5_000) < confidence, accuracy=0.95)
    assert best - 0.1 < (everyone > threshold).mean() < best


def test_a_level_reached_by_all_answers_leaves_none_unsure() -> None:
    confidence = np.linspace(0.5, 1, 1_000)
    assert answer_threshold(confidence, np.arange(1_000) % 50 > 0, accuracy=0.95) == ANSWERS_ALL


@pytest.mark.parametrize(
    ("rows", "wrong_every"), [(80, 10**6), (5_000, 20)], ids=["too few to tell", "even the surest are wrong"]
)
def test_what_cannot_be_proven_leaves_all_unsure(rows: int, wrong_every: int) -> None:
    right = np.arange(1, rows + 1) % wrong_every > 0
    assert answer_threshold(np.linspace(0.5, 1, rows), right, accuracy=0.95) == ANSWERS_NONE


def test_equally_sure_answers_are_given_or_unsure_together() -> None:
    confidence = np.repeat([0.99, 0.7], 1_000)
    right = np.concatenate([np.ones(1_000, bool), np.arange(1_000) % 3 > 0])
    for order in (slice(None), slice(None, None, -1)):
        assert answer_threshold(confidence[order], right[order], accuracy=0.95) == 0.7


def test_a_model_carries_its_band_and_keeps_its_promise_on_new_reviews() -> None:
    learned, new = (list(generate("film", rows, seed=seed)) for rows, seed in ((2_000, 1), (2_000, 2)))
    texts, labels = [review.text for review in learned], [review.label for review in learned]
    thresholds = {}
    for accuracy in (0.0, 0.93, 0.95, 0.999):
        pipeline = fit(texts, labels, settings=TrainingSettings(answer_accuracy=accuracy), scheme=LabelScheme.binary)
        scorer = compile_scorer(pipeline)
        assert scorer.min_confidence == pipeline[-1].min_confidence_
        thresholds[accuracy] = scorer.min_confidence
        probabilities = scorer.probabilities([review.text for review in new])
        sure = ~scorer.abstains(probabilities)
        right = np.array(scorer.labels)[probabilities.argmax(axis=1)] == [review.label for review in new]
        if 0 < accuracy < 0.99:
            assert right[sure].mean() >= accuracy
            assert sure.mean() > 0.5
            assert right[~sure].mean() < accuracy
    assert thresholds[0.0] == ANSWERS_ALL < thresholds[0.93] < thresholds[0.95] < thresholds[0.999] == ANSWERS_NONE


def test_more_than_two_labels_have_no_band() -> None:
    reviews = list(generate("film", 300, seed=1))
    names = LABELS[LabelScheme.ternary]
    labels = [names[position % 3] for position in range(300)]
    pipeline = fit([review.text for review in reviews], labels, settings=TrainingSettings(), scheme=LabelScheme.ternary)
    assert compile_scorer(pipeline).min_confidence == ANSWERS_ALL
