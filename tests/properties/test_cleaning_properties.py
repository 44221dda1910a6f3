"""Training and serving clean alike, whatever is chosen and whatever the text."""

from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.sentiment.util import mark_negation
from sklearn.pipeline import Pipeline

from sentiment.cleaning import Cleaning
from sentiment.errors import IntegrityError, SettingsError
from sentiment.features.chain import Chain, Forms, cleaner
from sentiment.features.clean import words
from sentiment.features.normal import learning_forms, wordnet_folder
from sentiment.labels import LabelScheme
from sentiment.serving.scorer import Scorer
from sentiment.settings import TrainingSettings
from sentiment.training.model import TRUSTED_TYPES, compile_scorer, fit

try:
    wordnet_folder()
    NORMAL_FORMS = ("none", "stem", "lemma")
except SettingsError:
    NORMAL_FORMS = ("none", "stem")

CHOICES = {field.name: get_args(field.type) for field in fields(Cleaning)} | {"normal_form": NORMAL_FORMS}
CLEANING = st.builds(Cleaning, **{name: st.sampled_from(choices) for name, choices in CHOICES.items()})

GOOD = ["I loved these films", "wasn't boring: 10/10!", "see www.good.com, it's GREAT<br />Great", "nothing but joys"]
BAD = ["I hated this film", "wasn't loved: 1/10?", "write to bad@mail.org &amp; be <b>SAD</b>", "no joy, boring places"]
THINGS = ["plots", "Actors", "the music", "endings", "été 映画 😀"]
TEXTS = [f"{opinion} {thing}" for opinion in (*GOOD, *BAD) for thing in THINGS]
LABELS = ["positive"] * 20 + ["negative"] * 20

ODD = [
    *("Loving", "LOVES", "was", "not", "don\u2019t", "THE", "7", "http://x.org/!", "<!--", "&lt;b&gt;", "</script >"),
    *("_neg", "joy_neg", "email", "url", "0", "\ud800", "\u0130", "\u017ftop", ".", "!", "\n", " ", "x" * 99),
]
PIECE = st.sampled_from([*GOOD, *BAD, *THINGS, *ODD])
ANY_TEXT = st.one_of(
    st.lists(PIECE, max_size=12).map(" ".join),
    st.lists(PIECE, max_size=12).map("".join),
    st.text(st.characters(exclude_categories=()), max_size=60),
)


@cache
def trained(cleaning: Cleaning) -> tuple[Pipeline, Scorer]:
    """A pipeline, and its scorer as a server has it: read from a file."""
    pipeline = fit(TEXTS, LABELS, settings=TrainingSettings(min_rows=20, cleaning=cleaning), scheme=LabelScheme.binary)
    with TemporaryDirectory() as folder:
        compiled = compile_scorer(pipeline)
        compiled.save(Path(folder) / "scorer.npz")
        return pipeline, Scorer.load(Path(folder) / "scorer.npz", digest=compiled.digest)


@given(cleaning=CLEANING, texts=st.lists(ANY_TEXT, min_size=1, max_size=6))
@settings(deadline=None, max_examples=120)
def test_pipeline_and_scorer_cannot_diverge(cleaning: Cleaning, texts: list[str]) -> None:
    pipeline, scorer = trained(cleaning)
    np.testing.assert_allclose(scorer.probabilities(texts), pipeline.predict_proba(texts), rtol=0, atol=1e-9)
    alone = np.vstack([scorer.probabilities([text]) for text in texts])
    np.testing.assert_allclose(scorer.probabilities(texts), alone, rtol=0, atol=1e-12)
    assert scorer.chain.cleaning == cleaning


@pytest.mark.parametrize(("name", "choice"), [(n, c) for n, choices in CHOICES.items() for c in choices])
def test_every_choice_alone_is_the_same_in_both_and_comes_back_from_storage(name: str, choice: str) -> None:
    pipeline, scorer = trained(Cleaning(**{name: choice}))
    again = skops.io.loads(skops.io.dumps(pipeline), trusted=TRUSTED_TYPES)
    assert compile_scorer(again).digest == scorer.digest
    for each in (pipeline, again):
        np.testing.assert_allclose(scorer.probabilities(TEXTS), each.predict_proba(TEXTS), rtol=0, atol=1e-9)


@given(cleaning=CLEANING)
@settings(deadline=None, max_examples=15)
def test_the_texts_of_training_are_cleaned_as_they_were_when_it_learned(cleaning: Cleaning) -> None:
    """What the pruned table of the fitted chain gives is what the growing table gave."""
    vectorizer = trained(cleaning)[0].named_steps["ngrams"]
    fresh = type(vectorizer)(**vectorizer.get_params())
    learned = fresh.fit_transform(TEXTS, LABELS)
    assert (learned != fresh.transform(TEXTS)).nnz == 0
    assert np.array_equal(fresh.keys_, vectorizer.keys_)


@given(st.lists(ANY_TEXT, min_size=1, max_size=3))
@settings(deadline=None, max_examples=100)
def test_serving_never_asks_for_a_word(texts: list[str]) -> None:
    """A fixed table does not grow, so that strangers cannot fill the memory of a server."""
    chain = trained(Cleaning(stop_words="drop", normal_form="stem"))[1].chain
    forms = Forms.from_array(chain.forms)
    before, clean = dict(forms), cleaner(chain.cleaning, forms)
    for text in texts:
        assert clean(text) == chain.clean(text)
    assert dict(forms) == before


@given(text=ANY_TEXT, urls=st.sampled_from(["keep", "mark", "drop"]), numbers=st.sampled_from(["keep", "mark", "drop"]))
@settings(deadline=None, max_examples=200)
def test_dropping_words_and_punctuation_twice_changes_nothing_more(text: str, urls: str, numbers: str) -> None:
    cleaning = Cleaning(html="keep", urls=urls, numbers=numbers, stop_words="drop", punctuation="drop")
    chain = cleaner(cleaning, learning_forms(cleaning))
    once = words(chain(text))
    assert words(chain(" ".join(once))) == once


@given(cleaning=CLEANING, text=ANY_TEXT)
@settings(deadline=None, max_examples=150)
def test_steps_left_out_leave_no_trace(cleaning: Cleaning, text: str) -> None:
    cleaned = words(cleaner(cleaning, learning_forms(cleaning))(text))
    if cleaning.punctuation == "drop":
        assert not {"!", "?"} & set(cleaned)
    if cleaning.case == "lower" and cleaning.normal_form == "none" and cleaning.html != "full":
        assert all(word == word.lower() for word in cleaned)


@given(st.lists(st.sampled_from(["not", "never", "no", "good", "film", "didnt", ".", "!", ":", "?", ";", "was"])))
def test_negation_is_marked_as_nltk_marks_it(tokens: list[str]) -> None:
    expected = [token.lower() for token in mark_negation(tokens)]
    chain = Chain(Cleaning(negation="mark"))
    assert words(chain.clean(" ".join(tokens))) == expected


def test_a_file_with_another_table_or_choice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scorer.npz"
    trained(Cleaning(normal_form="stem"))[1].save(path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = arrays["header"].tobytes()
    bad = [
        ("forms", np.frombuffer(b"no table at all\n", np.uint8), "sequence"),
        ("forms", np.zeros(3), "forms has shape"),
        ("header", np.frombuffer(header.replace(b'"stem"', b'"step"'), np.uint8), "normal_form is 'step'"),
        ("header", np.frombuffer(header.replace(b'"normal_form"', b'"abnormal"'), np.uint8), "abnormal"),
    ]
    for name, array, said in bad:
        np.savez(path, **{**arrays, name: array})
        with pytest.raises(IntegrityError, match=said):
            Scorer.load(path)
