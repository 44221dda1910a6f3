"""What the words of a text add sums to its score, whatever the text."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment.labels import LABELS, LabelScheme
from sentiment.reviews.sample import generate
from sentiment.serving.explain import explain, telling_words
from sentiment.serving.scorer import Scorer
from sentiment.settings import TrainingSettings
from sentiment.training.model import compile_scorer, fit

TEXTS = tuple(review.text for review in generate("film", 300, seed=4))
PIECES = st.one_of(st.sampled_from(TEXTS), st.text(max_size=60))


@cache
def scorer(scheme: LabelScheme) -> Scorer:
    reviews = list(generate("film", 300, seed=4))
    names = LABELS[scheme]
    positive = {review.label for review in reviews if review.label == "positive"}
    shift = len(names) // 2
    labels = [names[(i % max(shift, 1)) + (len(names) - shift) * (r.label in positive)] for i, r in enumerate(reviews)]
    texts = [review.text for review in reviews]
    return compile_scorer(fit(texts, labels, settings=TrainingSettings(max_features=2_000), scheme=scheme))


@given(st.lists(PIECES, max_size=4).map(" ".join), st.sampled_from([LabelScheme.binary, LabelScheme.five_star]))
@settings(deadline=None, max_examples=40)
def test_the_parts_sum_to_the_margin(text: str, scheme: LabelScheme) -> None:
    model = scorer(scheme)
    found = explain(model, text)
    assert found.baseline + sum(value for _, value in found.words) == pytest.approx(found.margin, abs=1e-9)
    [margins] = model.margins([text])
    if scheme is LabelScheme.binary:
        expected = margins[0]
        [probabilities] = model.probabilities([text])
        assert 1 / (1 + np.exp(-found.margin)) == pytest.approx(probabilities[1], abs=1e-9)
    else:
        expected = np.linspace(-1, 1, len(margins)) @ margins / len(margins)
    assert found.margin == pytest.approx(expected, abs=1e-9)


def test_the_words_of_the_whole_are_those_of_the_texts() -> None:
    model = scorer(LabelScheme.binary)
    found, parts = telling_words(model, TEXTS, top=20), [dict(explain(model, text).words) for text in TEXTS]
    for word in (*found.positive, *found.negative):
        inside = [words for words in parts if word.word in words]
        occurs = [words[word.word] for words in inside]
        assert len(occurs) == word.support
        assert occurs == pytest.approx([word.weight / np.sqrt(len(words)) for words in inside])
        assert sum(occurs) / len(TEXTS) == pytest.approx(word.effect)
    assert all(word.weight > 0 for word in found.positive)
    assert all(word.weight < 0 for word in found.negative)
    effects = [word.effect for word in found.positive]
    assert effects == sorted(effects, reverse=True)
    assert telling_words(model, [], top=3).positive == ()
