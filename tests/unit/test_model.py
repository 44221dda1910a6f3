"""Training: what the pipeline learns, refuses and stores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.feature_selection import chi2
from sklearn.pipeline import Pipeline
from skops.io.exceptions import UntrustedTypesFoundException

from sentiment.errors import DataError, ModelError, NotEnoughDataError
from sentiment.features.ngrams import NgramVectorizer
from sentiment.features.vocabulary import Vocabulary
from sentiment.labels import LABELS, LabelScheme
from sentiment.serving.scorer import Scorer
from sentiment.settings import TrainingSettings
from sentiment.training.evaluate import evaluate
from sentiment.training.model import TRUSTED_TYPES, build_pipeline, compile_scorer, fit

SETTINGS = TrainingSettings(min_rows=20)
GOOD = ["great fun", "a joy", "loved it", "not bad at all"]
BAD = ["dull mess", "a bore", "hated it", "not good at all"]
THINGS = ["plot", "cast", "music", "ending", "camera"]
TEXTS = [f"The {thing} was {words}." for words in (*GOOD, *BAD) for thing in THINGS]
Y = ["positive"] * 20 + ["negative"] * 20


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return fit(TEXTS, Y, settings=SETTINGS, scheme=LabelScheme.binary)


def test_the_pipeline_learns_negation(pipeline: Pipeline) -> None:
    texts = ["the sound was not good at all", "the sound was not bad at all"]
    assert pipeline.predict(texts).tolist() == ["negative", "positive"]


@pytest.mark.parametrize("scheme", list(LabelScheme))
def test_probabilities_are_in_the_order_of_the_scheme(scheme: LabelScheme) -> None:
    rows = [(f"{label} {thing}", label) for label in reversed(LABELS[scheme]) for thing in THINGS * 3]
    texts, labels = zip(*rows, strict=True)
    pipeline = fit(texts, labels, settings=SETTINGS, scheme=scheme)
    assert tuple(pipeline.classes_) == LABELS[scheme] == compile_scorer(pipeline).labels
    best = pipeline.predict_proba([f"{label} plot" for label in LABELS[scheme]]).argmax(axis=1)
    assert best.tolist() == list(range(len(LABELS[scheme])))


def test_a_label_that_never_occurs_keeps_its_place_and_is_unlikely() -> None:
    labels = ["5" if label == "positive" else "1" for label in Y]
    pipeline = fit(TEXTS, labels, settings=SETTINGS, scheme=LabelScheme.five_star)
    probabilities = pipeline.predict_proba(TEXTS)
    assert probabilities.shape == (40, 5)
    assert probabilities[:, 1:4].max() < 0.1
    assert pipeline.predict(TEXTS).tolist() == labels


def test_the_same_rows_give_the_same_model(pipeline: Pipeline) -> None:
    again = fit(TEXTS, Y, settings=SETTINGS, scheme=LabelScheme.binary)
    assert compile_scorer(again).digest == compile_scorer(pipeline).digest
    assert compile_scorer(clone(pipeline).fit(TEXTS, Y)).digest == compile_scorer(pipeline).digest


def test_series_and_arrays_are_accepted_like_lists(pipeline: Pipeline) -> None:
    frame = pd.DataFrame({"text": TEXTS, "label": Y})
    again = fit(frame.text, frame.label, settings=SETTINGS, scheme=LabelScheme.binary)
    assert compile_scorer(again).digest == compile_scorer(pipeline).digest
    expected = pipeline.predict_proba(TEXTS)
    assert np.array_equal(again.predict_proba(np.array(TEXTS, dtype=object)), expected)


def test_too_few_rows_a_single_label_and_strange_labels_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="19 labelled training rows; training needs 20"):
        fit(TEXTS[:19], Y[:19], settings=SETTINGS, scheme=LabelScheme.binary)
    with pytest.raises(NotEnoughDataError, match="same label"):
        fit(TEXTS[:20], Y[:20], settings=SETTINGS, scheme=LabelScheme.binary)
    with pytest.raises(DataError, match="Unknown labels: meh, zzz"):
        fit(TEXTS, ["meh", "zzz", *Y[2:]], settings=SETTINGS, scheme=LabelScheme.binary)
    with pytest.raises(DataError, match="40 texts but 39 labels"):
        fit(TEXTS, Y[:39], settings=SETTINGS, scheme=LabelScheme.binary)


def test_texts_without_a_repeated_word_or_that_are_no_strings_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="occurs in 2 of the 40 texts"):
        fit([f"word{row}" for row in range(40)], Y, settings=SETTINGS, scheme=LabelScheme.binary)
    with pytest.raises(DataError, match="Text 1 is a NoneType"):
        NgramVectorizer().fit(["a", None])  # type: ignore[list-item]
    with pytest.raises(DataError, match="One text was given"):
        NgramVectorizer().fit("a text")


def test_texts_that_say_nothing_about_the_label_are_refused() -> None:
    with pytest.raises(ModelError, match="stopped where it started"):
        fit(["the same"] * 60, ["positive", "negative"] * 30, settings=SETTINGS, scheme=LabelScheme.binary)


def test_the_best_ngrams_by_chi_squared_are_kept() -> None:
    everything = NgramVectorizer().fit(TEXTS, Y)
    value, _ = chi2(everything.transform(TEXTS), Y)
    kept = NgramVectorizer(max_features=10).fit(TEXTS, Y)
    inside = np.isin(everything.keys_, kept.keys_)
    assert inside.sum() == 10
    assert value[inside].min() >= value[~inside].max() - 1e-9
    assert "the" not in kept.get_feature_names_out()


def test_the_most_frequent_ngrams_are_kept_without_labels() -> None:
    assert set(NgramVectorizer(max_features=3).fit(TEXTS).get_feature_names_out()) >= {"the", "was"}
    of_labelled = NgramVectorizer(max_features=3, by_label=False).fit(TEXTS, Y)
    assert set(of_labelled.get_feature_names_out()) >= {"the", "was"}


def test_a_stored_pipeline_comes_back_the_same(pipeline: Pipeline) -> None:
    data = skops.io.dumps(pipeline)
    assert set(skops.io.get_untrusted_types(data=data)) <= set(TRUSTED_TYPES)
    again = skops.io.loads(data, trusted=TRUSTED_TYPES)
    assert np.array_equal(again.predict_proba(TEXTS), pipeline.predict_proba(TEXTS))
    assert compile_scorer(again).digest == compile_scorer(pipeline).digest


class Stranger(NgramVectorizer):
    """A type that nobody has allowed."""


def test_a_stored_pipeline_with_another_type_is_refused(pipeline: Pipeline) -> None:
    stranger = Pipeline([("ngrams", Stranger().fit(TEXTS)), ("classifier", pipeline[-1])])
    with pytest.raises(UntrustedTypesFoundException, match="Stranger"):
        skops.io.loads(skops.io.dumps(stranger), trusted=TRUSTED_TYPES)


def test_the_settings_reach_the_pipeline() -> None:
    settings = TrainingSettings(
        max_ngram=2, min_documents=3, max_features=123, inverse_regularization=0.5, balanced=True, seed=9
    )
    parameters = build_pipeline(settings, LabelScheme.ternary).get_params()
    assert parameters["ngrams__max_ngram"] == 2
    assert parameters["ngrams__min_documents"] == 3
    assert parameters["ngrams__max_features"] == 123
    assert parameters["ngrams__by_label"] is False
    assert parameters["classifier__balanced"] is True
    assert parameters["classifier__seed"] == 9
    assert parameters["classifier__inverse_regularization"] == 0.5
    assert parameters["classifier__labels"] == ["negative", "neutral", "positive"]


def test_real_reviews_are_learnt(real_data: Path) -> None:
    """A fifth of the training reviews, judged on others of them; the full figure is in the benchmarks."""
    reviews = pd.read_parquet(real_data / "imdb_train.parquet", columns=["review", "sentiment"])
    labels = reviews.sentiment.map({"pos": "positive", "neg": "negative"}).tolist()
    texts = reviews.review.tolist()
    pipeline = fit(texts[::5], labels[::5], settings=TrainingSettings(), scheme=LabelScheme.binary)
    scorer = compile_scorer(pipeline)
    probabilities = scorer.probabilities(texts[1::10])
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(texts[1::10]), rtol=0, atol=1e-9)
    assert evaluate(labels[1::10], probabilities, scorer.labels)["accuracy"] > 0.87


def test_a_model_of_the_default_size_fits_its_budget(tmp_path: Path) -> None:
    """Keys, weights and words of as many n-grams as the default keeps: four megabytes."""
    rng, columns = np.random.default_rng(0), TrainingSettings().max_features
    syllables = ["good", "bad", "the", "film", "not", "was", "plot", "a", "very", "it"]
    words = [" ".join(rng.choice(syllables, 3)) + str(number % 997) for number in range(columns)]
    keys = np.unique(rng.integers(1, 2**63, columns, dtype=np.uint64))
    scorer = Scorer(
        labels=LABELS[LabelScheme.binary],
        vocabulary=Vocabulary.of_words(keys, words[: len(keys)]),
        weights=rng.normal(size=(1, len(keys))).astype(np.float32),
        intercepts=np.zeros(1),
        max_ngram=3,
    )
    scorer.save(tmp_path / "scorer.npz")
    assert (tmp_path / "scorer.npz").stat().st_size <= 4_000_000
