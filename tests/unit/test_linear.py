"""The alternatives to the default model: named by a setting, calibrated, stored without pickle, served exactly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skops.io
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import normalize

from sentiment.errors import ModelError, NotEnoughDataError, SettingsError
from sentiment.labels import LABELS, LabelScheme
from sentiment.reviews.sample import write_sample
from sentiment.serving.scorer import BASELINE, Scorer
from sentiment.settings import TrainingSettings, load_settings
from sentiment.training.calibration import platt
from sentiment.training.evaluate import evaluate
from sentiment.training.linear import LinearClassifier
from sentiment.training.model import TRUSTED_TYPES, compile_scorer, fit

ALTERNATIVES = ("logistic", "linear_svc", "sgd", "bag_of_words")
METHODS = ("logistic", "linear_svc", "sgd")
WORDS = ["great", "dull", "not", "at all", "plot", "!", "the", "été", "😀"]
TEXTS = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))


def _reviews(path: Path, rows: int, seed: int) -> tuple[list[str], list[str]]:
    import pandas as pd

    frame = pd.read_csv(write_sample(path, "film", rows, seed=seed)).dropna(subset=["label"])
    return frame["text"].tolist(), frame["label"].tolist()


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    return _reviews(tmp_path_factory.mktemp("linear") / "films.csv", 600, 5)


@pytest.fixture(scope="module")
def pipelines(reviews: tuple[list[str], list[str]]) -> dict[str, Pipeline]:
    return {
        model: fit(*reviews, settings=TrainingSettings(model=model), scheme=LabelScheme.binary)
        for model in ALTERNATIVES
    }


@pytest.mark.parametrize("model", ALTERNATIVES)
def test_an_alternative_learns(model: str, pipelines: dict[str, Pipeline], tmp_path: Path) -> None:
    texts, labels = _reviews(tmp_path / "more.csv", 400, 6)
    assert (pipelines[model].predict(texts) == np.array(labels)).mean() > 0.8


@pytest.mark.parametrize("model", ALTERNATIVES)
@given(text=TEXTS)
@examples(max_examples=40, deadline=None)
def test_the_scorer_is_the_pipeline(model: str, text: str, pipelines: dict[str, Pipeline]) -> None:
    scorer = compile_scorer(pipelines[model])
    found = scorer.probabilities([text, "great"])
    np.testing.assert_allclose(found, pipelines[model].predict_proba([text, "great"]), rtol=0, atol=1e-12)
    total = sum(value for _, value in scorer.contributions(text))
    assert total == pytest.approx(scorer.margins([text])[0, 0], abs=1e-9)


@pytest.mark.parametrize("model", ALTERNATIVES)
def test_stored_pipeline_and_model_file_come_back_the_same(
    model: str, pipelines: dict[str, Pipeline], tmp_path: Path
) -> None:
    data, scorer = skops.io.dumps(pipelines[model]), compile_scorer(pipelines[model])
    assert set(skops.io.get_untrusted_types(data=data)) <= set(TRUSTED_TYPES)
    assert compile_scorer(skops.io.loads(data, trusted=TRUSTED_TYPES)).digest == scorer.digest
    scorer.save(tmp_path / "scorer.npz")
    again = Scorer.load(tmp_path / "scorer.npz", digest=scorer.digest)
    assert again.length_normalised == (model != "bag_of_words")
    assert np.array_equal(again.margins(["great plot at all"]), scorer.margins(["great plot at all"]))


def test_a_bag_of_words_is_a_plain_sum_of_single_words(pipelines: dict[str, Pipeline]) -> None:
    scorer = compile_scorer(pipelines["bag_of_words"])
    words = scorer.vocabulary.words()
    assert not any(" " in word for word in words)
    weights = dict(zip(words, scorer.weights[0].tolist(), strict=True))
    parts = dict(scorer.contributions(f"{words[3]} {words[5]} {words[3]}"))
    for word in (words[3], words[5]):
        assert parts[word] == weights[word]
    assert set(parts) == {words[3], words[5], BASELINE}
    counts, factors = scorer.support([f"{words[3]} {words[5]}"])
    assert counts.tolist() == factors.tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_held_out_probabilities_are_honest_whatever_the_margins_were(method: str, strength: float) -> None:
    rng = np.random.default_rng(0)
    pull = rng.normal(size=150)
    X = sparse.csr_matrix((rng.random((5_000, 150)) < 0.1).astype(float))  # noqa: N806
    y = np.where(X @ pull + rng.normal(size=5_000) * 3 > 0, "positive", "negative")
    model = LinearClassifier(method=method, inverse_regularization=strength).fit(X[:2_000], y[:2_000])
    found = evaluate(y[2_000:].tolist(), model.predict_proba(X[2_000:]), ["negative", "positive"], resamples=0)
    assert found["expected_calibration_error"] < 0.05
    assert found["accuracy"] > 0.65


def test_platt_finds_the_line_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(size=40_000) * 5
    target = rng.random(40_000) < 1 / (1 + np.exp(-(0.4 * margins - 0.7)))
    assert platt(margins, target, np.ones(40_000)) == pytest.approx((0.4, -0.7), abs=0.04)
    slope, offset = platt(np.array([-1.0, 1.0]), np.array([False, True]), np.ones(2))
    assert 0 < slope < 10, "two rows that can be told apart do not make certain"
    assert offset == pytest.approx(0.0, abs=1e-6)


def test_the_direction_is_that_of_scikit_learn(reviews: tuple[list[str], list[str]]) -> None:
    pipeline = fit(*reviews, settings=TrainingSettings(model="logistic"), scheme=LabelScheme.binary)
    X = normalize(pipeline[0].transform(reviews[0]))  # noqa: N806
    usual = LogisticRegression(C=20.0, tol=1e-8, max_iter=5_000).fit(X, np.array(reviews[1]) == "positive")
    ours = pipeline[1].weights_[0].astype(float)
    assert ours @ usual.coef_[0] / np.linalg.norm(ours) / np.linalg.norm(usual.coef_) > 0.9999


@pytest.mark.parametrize("method", METHODS)
def test_every_label_of_a_scheme_is_told_apart_and_a_rare_one_counts(method: str) -> None:
    rng, labels = np.random.default_rng(2), list(LABELS[LabelScheme.five_star])
    codes = rng.choice(5, 3_000, p=[0.02, 0.08, 0.2, 0.3, 0.4])
    X = sparse.csr_matrix((rng.random((3_000, 50)) < 0.06 + 0.25 * (np.arange(50) % 5 == codes[:, None])).astype(float))  # noqa: N806
    y = np.array(labels)[codes]
    model, plain = (LinearClassifier(labels, method=method, balanced=value).fit(X, y) for value in (None, False))
    assert model.classes_.tolist() == labels
    rare = codes == 0
    assert (model.predict(X[rare]) == labels[0]).mean() > max(0.7, (plain.predict(X[rare]) == labels[0]).mean())
    without = LinearClassifier(labels, method=method).fit(X[~rare], y[~rare])
    assert without.predict_proba(X)[:, 0].max() < 0.01, "a label that never occurs is unlikely"


@pytest.mark.parametrize("method", METHODS)
def test_texts_that_say_nothing_and_one_label_are_refused(method: str) -> None:
    with pytest.raises(ModelError, match="stopped where it started"):
        LinearClassifier(method=method).fit(sparse.csr_matrix((20, 3)), ["a", "b"] * 10)
    with pytest.raises(NotEnoughDataError, match="same label"):
        LinearClassifier(method=method).fit(sparse.csr_matrix(np.eye(20)), ["a"] * 20)


def test_settings_suit_the_model_unless_they_are_set() -> None:
    assert TrainingSettings().inverse_regularization == 20.0
    assert TrainingSettings(model="bag_of_words").max_ngram == 1
    assert TrainingSettings(model="bag_of_words", max_ngram=2).max_ngram == 2
    assert TrainingSettings(model="linear_svc").inverse_regularization < 20.0


def test_a_forest_is_refused_at_once_and_says_where_it_is_compared() -> None:
    with pytest.raises(SettingsError, match=r"must be linear.*sentiment experiment features"):
        load_settings(training={"model": "random_forest"})


FIT = """
import json, os, sys
if sys.argv[2] == "one core" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
from sentiment.labels import LabelScheme
from sentiment.settings import TrainingSettings
from sentiment.training.model import compile_scorer, fit
texts, labels = json.load(open(sys.argv[1]))
for model in sys.argv[3:]:
    pipeline = fit(texts, labels, settings=TrainingSettings(model=model), scheme=LabelScheme.binary)
    print(model, compile_scorer(pipeline).digest)
"""


def test_every_model_is_the_same_to_the_bit_on_any_number_of_cores(
    reviews: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    learned = tmp_path / "reviews.json"
    learned.write_text(json.dumps(reviews))
    models, said = ("naive_bayes_logistic", *ALTERNATIVES), []
    for threads, cores in (("1", "one core"), ("7", "all cores")):
        done = subprocess.run(
            [sys.executable, "-c", FIT, str(learned), cores, *models],
            env={**os.environ, **{f"{library}_NUM_THREADS": threads for library in ("OMP", "OPENBLAS", "MKL")}},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout.split())
    assert said[0][::2] == list(models)
    assert len(set(said[0][1::2])) == len(models)
    assert said[0] == said[1]
