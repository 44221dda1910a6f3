"""The scorer answers as the pipeline does, for every text, from a file that can hold no code."""

import io
import mmap
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from sentiment.cleaning import Cleaning
from sentiment.errors import IntegrityError
from sentiment.features.clean import clean, words
from sentiment.features.tokens import _Seen
from sentiment.labels import LABELS, LabelScheme
from sentiment.serving.scorer import BASELINE, Scorer, probabilities_of
from sentiment.settings import TrainingSettings
from sentiment.training.model import compile_scorer, fit

OPENINGS = [
    "The film was",
    "I found the acting",
    "Honestly, this is",
    "日本の映画は",
    "Vraiment, l'été",
]
WORDS = {
    "1": "terrible!",
    "2": "bad and dull",
    "3": "fine, so so",
    "4": "good fun",
    "5": "wonderful 😀!",
    "negative": "terrible and dull!",
    "neutral": "fine, so so",
    "positive": "wonderful fun 😀!",
}
ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=60),
    st.lists(st.sampled_from([*WORDS.values(), *OPENINGS, "\ud800", "<br />", "x" * 999])).map(" ".join),
    st.text(st.sampled_from("the wonderful terrible!?"), min_size=1, max_size=5).map(lambda text: text * 400),
)


def _train(scheme: LabelScheme, cleaning: Cleaning = Cleaning()) -> Pipeline:  # noqa: B008, it is frozen
    rows = [(f"{opening} {WORDS[label]}", label) for label in LABELS[scheme] for opening in OPENINGS * 4]
    texts, labels = zip(*rows, strict=True)
    return fit(texts, labels, settings=TrainingSettings(min_rows=20, cleaning=cleaning), scheme=scheme)


PIPELINES = {scheme: _train(scheme) for scheme in LabelScheme}
SCORERS = {scheme: compile_scorer(pipeline) for scheme, pipeline in PIPELINES.items()}
CLEANING = _train(LabelScheme.binary, Cleaning(html="full", urls="mark", numbers="mark", negation="mark"))
CLEANED = compile_scorer(CLEANING)


@pytest.fixture(params=list(LabelScheme))
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return SCORERS[request.param]


@pytest.mark.parametrize("scheme", list(LabelScheme))
@given(texts=st.lists(ANY_TEXT, max_size=6))
@settings(deadline=None, max_examples=80)
def test_probabilities_are_the_pipelines_on_any_text(scheme: LabelScheme, texts: list[str]) -> None:
    probabilities = SCORERS[scheme].probabilities(texts)
    assert probabilities.shape == (len(texts), len(LABELS[scheme]))
    if texts:
        np.testing.assert_allclose(probabilities, PIPELINES[scheme].predict_proba(texts), rtol=0, atol=1e-9)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scheme", list(LabelScheme))
@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=6))
@settings(deadline=None, max_examples=30)
def test_a_text_scores_the_same_alone_and_in_a_batch(scheme: LabelScheme, texts: list[str]) -> None:
    alone = np.vstack([SCORERS[scheme].probabilities([text]) for text in texts])
    np.testing.assert_allclose(SCORERS[scheme].probabilities(texts), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scheme", list(LabelScheme))
@given(text=ANY_TEXT)
@settings(deadline=None, max_examples=80)
def test_one_text_is_read_as_many_are(scheme: LabelScheme, text: str) -> None:
    probabilities, share = SCORERS[scheme].read_one(text)
    together, shares = SCORERS[scheme].read([text, "between", text])
    assert isinstance(share, float)
    np.testing.assert_allclose([probabilities, probabilities], together[::2], rtol=0, atol=1e-12)
    np.testing.assert_allclose([share, share], shares[::2], rtol=0, atol=1e-15)


def test_a_text_of_a_megabyte_and_odd_ones_are_answered_as_by_the_pipeline() -> None:
    texts = ["wonderful film, terrible 😀 " * 40_000, "x" * 1_000_000, "日本の映画は " * 150_000, "\ud800 " * 500_000]
    for scheme in LabelScheme:
        expected = PIPELINES[scheme].predict_proba(texts)
        alone = np.array([SCORERS[scheme].read_one(text)[0] for text in texts])
        np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(SCORERS[scheme].probabilities(texts), expected, rtol=0, atol=1e-9)


@given(texts=st.lists(ANY_TEXT, min_size=2, max_size=6))
@settings(deadline=None, max_examples=80)
def test_another_cleaning_is_that_of_the_pipeline(texts: list[str]) -> None:
    np.testing.assert_allclose(CLEANED.probabilities(texts), CLEANING.predict_proba(texts), rtol=0, atol=1e-9)
    alone = [CLEANED.read_one(text)[0] for text in texts]
    np.testing.assert_allclose(alone, CLEANING.predict_proba(texts), rtol=0, atol=1e-9)


def test_threads_read_what_one_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of words is shared by all threads, and begins anew again and again here."""
    monkeypatch.setattr("sentiment.features.tokens._SEEN", _Seen())
    monkeypatch.setattr("sentiment.features.tokens._MOST_SEEN", 7)
    scorer = SCORERS[LabelScheme.binary]
    texts = [f"{opening} {word} {number}" for opening in OPENINGS for word in WORDS.values() for number in range(30)]
    with ThreadPoolExecutor(8) as pool:
        found = [answer for answer, _ in pool.map(scorer.read_one, texts)]
    np.testing.assert_allclose(found, scorer.probabilities(texts), rtol=0, atol=1e-12)


def test_scores_rise_from_the_worst_label_to_the_best(scorer: Scorer) -> None:
    scores = scorer.scores([f"The film was {WORDS[label]}" for label in scorer.labels])
    assert all(low < high for low, high in pairwise(scores))
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_the_binary_score_is_the_probability_of_the_positive_label() -> None:
    scorer, texts = SCORERS[LabelScheme.binary], ["wonderful fun", "terrible", ""]
    assert scorer.labels == ("negative", "positive")
    np.testing.assert_allclose(scorer.scores(texts), scorer.probabilities(texts)[:, 1], rtol=0, atol=1e-15)
    assert scorer.scores(texts)[0] > 0.5 > scorer.scores(texts)[1]


def test_probabilities_stay_finite_for_margins_of_any_size() -> None:
    huge = np.array([-1e308, -800.0, -1e-300, 0.0, 800.0, 1e308])
    binary = probabilities_of(huge[:, None])
    np.testing.assert_allclose(binary[:, 1], [0, 0, 0.5, 0.5, 1, 1], atol=1e-12)
    several = probabilities_of(np.array([[-800.0, -900.0, -1000.0], [800.0, 900.0, 900.0]]))
    np.testing.assert_allclose(several, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], atol=1e-12)


@given(text=ANY_TEXT)
@settings(deadline=None, max_examples=80)
def test_contributions_sum_to_the_margin(text: str) -> None:
    scorer = SCORERS[LabelScheme.binary]
    total = sum(value for _, value in scorer.contributions(text))
    assert total == pytest.approx(scorer.margins([text])[0, 0], abs=1e-9)


def test_contributions_name_the_words_that_decided() -> None:
    found = dict(SCORERS[LabelScheme.binary].contributions("terrible and dull, yet wonderful"))
    assert found["terrible"] < 0 < found["wonderful"]
    assert "terrible and dull" in found
    assert "yet" not in found
    assert BASELINE in found


def test_contributions_point_to_the_positive_end_with_more_labels() -> None:
    found = dict(SCORERS[LabelScheme.five_star].contributions("terrible wonderful"))
    assert found["terrible"] < 0 < found["wonderful"]


def test_unknown_share_counts_tokens_outside_the_vocabulary(scorer: Scorer) -> None:
    known = {word for word in scorer.vocabulary.words() if " " not in word}
    texts = ["", "...", "zzz", "the zzz", "zzz yyy", "wonderful terrible film was qqq!"]
    tokens = [words(clean(text)) for text in texts]
    expected = [sum(word not in known for word in each) / max(1, len(each)) for each in tokens]
    np.testing.assert_allclose(scorer.unknown_share(texts), expected)
    assert scorer.unknown_share(["zzz yyy"])[0] == 1


def test_one_pass_reads_the_same_as_two(scorer: Scorer) -> None:
    texts = ["", "zzz", "wonderful terrible film was qqq!", "the film " * 400]
    probabilities, unknown_share = scorer.read(texts)
    assert np.array_equal(probabilities, scorer.probabilities(texts))
    assert np.array_equal(unknown_share, scorer.unknown_share(texts))


def test_a_saved_scorer_comes_back_the_same(scorer: Scorer, tmp_path: Path) -> None:
    path, texts = tmp_path / "new" / "scorer.npz", ["wonderful film", "terrible", "été"]
    scorer.save(path)
    again = Scorer.load(path, digest=scorer.digest)
    assert np.array_equal(again.probabilities(texts), scorer.probabilities(texts))
    assert again.contributions(texts[0]) == scorer.contributions(texts[0])
    assert [file.name for file in path.parent.iterdir()] == ["scorer.npz"]


def test_what_every_answer_looks_at_is_mapped_from_the_file_and_shared(scorer: Scorer, tmp_path: Path) -> None:
    path = tmp_path / "scorer.npz"
    scorer.save(path)
    again = Scorer.load(path)
    for array in (again.vocabulary.keys, again.weights):
        mapped = array
        while type(mapped) is np.ndarray and mapped.base is not None:
            mapped = mapped.base
        assert isinstance(mapped, np.memmap | mmap.mmap)
        assert not array.flags.writeable
        assert array.ctypes.data % 64 == 0
    with np.load(path, allow_pickle=False) as plain:
        assert np.array_equal(plain["weights"], scorer.weights), "any reader of npz files can read it"


def test_a_file_that_was_compressed_as_a_whole_is_read_too(scorer: Scorer, tmp_path: Path) -> None:
    scorer.save(tmp_path / "mapped.npz")
    with np.load(tmp_path / "mapped.npz", allow_pickle=False) as plain:
        np.savez_compressed(tmp_path / "older.npz", **plain)
    assert Scorer.load(tmp_path / "older.npz").digest == scorer.digest


def test_the_digest_is_of_the_content(scorer: Scorer) -> None:
    assert compile_scorer(_train(LabelScheme(_scheme(scorer)))).digest == scorer.digest
    weights = scorer.weights.copy()
    weights[0, 0] = np.nextafter(weights[0, 0], np.float32(1))
    assert replace(scorer, weights=weights).digest != scorer.digest
    assert replace(scorer, labels=scorer.labels[::-1]).digest != scorer.digest
    assert len({each.digest for each in SCORERS.values()}) == len(SCORERS)


def test_answers_no_surer_than_the_limit_are_unsure_also_after_a_file(tmp_path: Path) -> None:
    replace(SCORERS[LabelScheme.binary], min_confidence=0.75).save(tmp_path / "scorer.npz")
    scorer = Scorer.load(tmp_path / "scorer.npz")
    table = np.array([[0.9, 0.1], [0.25, 0.75], [0.24, 0.76], [0.5, 0.5]])
    assert scorer.abstains(table).tolist() == [False, True, False, True]
    assert scorer.digest != SCORERS[LabelScheme.binary].digest
    assert not replace(scorer, min_confidence=0.0).abstains(table).any()
    assert replace(scorer, min_confidence=1.0).abstains(np.array([[0.0, 1.0]])).all()


def _scheme(scorer: Scorer) -> LabelScheme:
    return next(scheme for scheme, labels in LABELS.items() if labels == scorer.labels)


def test_another_digest_is_refused(scorer: Scorer, tmp_path: Path) -> None:
    scorer.save(tmp_path / "scorer.npz")
    with pytest.raises(IntegrityError, match="is not the model that was registered"):
        Scorer.load(tmp_path / "scorer.npz", digest="0" * 64)


def test_missing_empty_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    SCORERS[LabelScheme.binary].save(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    files = {"empty": b"", "half": whole[: len(whole) // 2], "short": whole[:-1], "text": b"not a model"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for name in ("missing", *files):
        with pytest.raises(IntegrityError, match=r"is not a readable model file.*registry"):
            Scorer.load(tmp_path / name)


def test_a_wrong_byte_anywhere_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    path, scorer = tmp_path / "scorer.npz", SCORERS[LabelScheme.binary]
    scorer.save(path)
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert Scorer.load(path).digest == scorer.digest  # time stamps inside the archive, for example
        except IntegrityError:
            refused += 1
    assert refused > len(whole) / 11 / 2


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_with_pickled_content_is_refused(tmp_path: Path, compression: int) -> None:
    source, target = tmp_path / "scorer.npz", tmp_path / "pickled.npz"
    SCORERS[LabelScheme.binary].save(source)
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"code": 1}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, pickled.getvalue() if name == "text.npy" else old.read(name))
    with pytest.raises(IntegrityError, match=r"allow_pickle|plain numbers"):
        Scorer.load(target)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"weights": np.zeros((1, 3), np.float32)}, "weights has shape"),
        ({"intercepts": np.array([np.nan])}, "not finite"),
        ({"max_ngram": 99}, "longest n-gram 99"),
        ({"min_confidence": 1.5}, "surer than 1.5"),
    ],
)
def test_arrays_that_make_no_model_are_refused(change: dict[str, object], problem: str, tmp_path: Path) -> None:
    replace(SCORERS[LabelScheme.binary], **change).save(tmp_path / "scorer.npz")
    with pytest.raises(IntegrityError, match=problem):
        Scorer.load(tmp_path / "scorer.npz")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, scorer = tmp_path / "scorer.npz", SCORERS[LabelScheme.binary]
    scorer.save(path)

    def full_disk(file: io.BufferedWriter, *_: object, **__: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full_disk)
    with pytest.raises(OSError, match="No space left"):
        SCORERS[LabelScheme.ternary].save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["scorer.npz"]
    assert Scorer.load(path).digest == scorer.digest


def test_importing_the_scorer_brings_no_heavy_library() -> None:
    heavy = {"sklearn", "scipy", "pandas", "mlflow", "nltk", "evidently", "pydantic", "pyarrow"}
    code = f"import sys, sentiment.serving.scorer; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
