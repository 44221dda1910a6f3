"""The kernel and the vectorizer against Python's own tokens and scikit-learn's CountVectorizer."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from sentiment.errors import NotEnoughDataError
from sentiment.features.clean import PATTERN, clean, words
from sentiment.features.counts import count, merged
from sentiment.features.ngrams import NgramVectorizer
from sentiment.features.tokens import NgramKeys, batches, ngram_keys
from sentiment.features.vocabulary import UNKNOWN, Vocabulary

ODD = "abAB İıßΣς!?_-'<>/br\n\t\x1c\x85\u2028éÿ日本😀٣²\u0301\ud800\udfff\x00"
ANY_TEXT = st.one_of(
    st.text(st.sampled_from(ODD), max_size=40),
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.lists(st.sampled_from(["good", "Good", "not", "bad!", "<br />", "été", "映画", "a" * 99])).map(" ".join),
)
KEY = st.integers(1, 2**64 - 1)
CORPUS = st.lists(ANY_TEXT, max_size=12)
UNHURRIED = settings(deadline=None, max_examples=150)


def _rows(ngrams: np.ndarray, rows: np.ndarray, texts: int) -> list[list[int]]:
    return [ngrams[rows == text].tolist() for text in range(texts)]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Good.<br /><br />Bad", ["good", ".", "bad"]),
        ("good<BR>bad</p>!", ["good", "bad", "!"]),
        ("3 < 4 and 5 > 4, <3", ["3", "4", "and", "5", "4", ",", "3"]),
        ("cut off <br", ["cut", "off", "br"]),
        ("Don't, I didn\u2019t", ["don't", ",", "i", "didn't"]),
        ('"great" 4/10 (**)', ['"', "great", '"', "4", "/", "10", "(", "*", "*", ")"]),
    ],
)
def test_tags_separate_words_and_comparisons_are_no_tags(text: str, tokens: list[str]) -> None:
    assert words(clean(text)) == tokens


@given(CORPUS, st.integers(1, 4))
@example(["a", "", "!a?", "a_b\ud800c"], 3)
@UNHURRIED
def test_tokens_are_those_of_re_and_keys_follow_the_words(texts: list[str], longest: int) -> None:
    ngrams = ngram_keys(texts, longest)
    key_of: dict[tuple[str, ...], int] = {}
    for text, rows in enumerate(_rows(np.arange(len(ngrams.rows)), ngrams.rows, len(texts))):
        tokens = words(clean(texts[text]))
        assert len(rows) == len(tokens)
        for place, token in enumerate(rows):
            for length in range(1, longest + 1):
                ngram, key = tuple(tokens[place : place + length]), int(ngrams.keys[length - 1, token])
                if len(ngram) < length:
                    assert key == 0
                else:
                    assert key_of.setdefault(ngram, key) == key
                    assert ngrams.word(length, token) == " ".join(ngram)
    assert len(set(key_of.values())) == len(key_of), "two n-grams share a key"


@given(CORPUS)
@UNHURRIED
def test_a_text_has_the_same_keys_alone_and_in_company(texts: list[str]) -> None:
    together = ngram_keys(texts, 2)
    for text, (one, two) in enumerate(
        zip(*(_rows(keys, together.rows, len(texts)) for keys in together.keys), strict=True)
    ):
        assert ngram_keys([texts[text]], 2).keys.tolist() == [one, two]


@given(st.lists(st.text("ab ", max_size=30), max_size=20), st.integers(1, 40))
def test_batches_cover_every_text_once_in_order(texts: list[str], limit: int) -> None:
    slices = list(batches(texts, limit))
    assert [text for piece in slices for text in texts[piece]] == texts
    assert all(piece.stop - piece.start == 1 or sum(map(len, texts[piece])) <= limit for piece in slices)


@given(st.sets(st.integers(1, 2**64 - 1), min_size=1), st.lists(st.integers(0, 2**64 - 1)), st.integers(0, 63))
@UNHURRIED
def test_a_vocabulary_finds_its_keys_and_no_others(known: set[int], others: list[int], crowding: int) -> None:
    known = {max(1, key >> crowding) for key in known}  # shifted keys crowd into few buckets
    keys = np.array(sorted(known), dtype=np.uint64)
    vocabulary = Vocabulary.of_words(keys, map(str, keys))
    asked = [*known, *others, *(key + 1 for key in known if key + 1 < 2**64), 0, 2**64 - 1]
    expected = [sorted(known).index(key) if key in known else UNKNOWN for key in asked]
    assert vocabulary.columns(np.array(asked, dtype=np.uint64)).tolist() == expected
    assert vocabulary.words() == [str(key) for key in keys]


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), min_size=1, max_size=8), st.integers(0, 57))
@example([[2, 1], [2, 1], [2, 1, 3], [1, 2, 2]], 0)
@UNHURRIED
def test_documents_are_counted_exactly_however_close_the_keys(texts: list[list[int]], spread: int) -> None:
    """Neighbouring keys share their leading bits and the same float, and must still be told apart."""
    base, rng = 2**63, np.random.default_rng(0)
    labels = rng.integers(0, 3, len(texts))
    tables = []
    for batch in (slice(0, len(texts) // 2), slice(len(texts) // 2, None)):
        keys = [key and base + (key << spread) for text in texts[batch] for key in text]
        rows = np.repeat(np.arange(len(texts[batch])), [len(text) for text in texts[batch]])
        nothing = np.empty(0, np.int64)
        ngrams = NgramKeys(np.array([keys], np.uint64), rows, len(texts[batch]), "", nothing, nothing)
        tables.append(count(ngrams, labels[batch], 3))
    found = {
        int(key): each.tolist() for table in merged(tables) for key, each in zip(table.keys, table.counts, strict=True)
    }
    expected: dict[int, list[int]] = {}
    for text, label in zip(texts, labels, strict=True):
        for key in set(text) - {0}:
            expected.setdefault(base + (key << spread), [0, 0, 0])[label] += 1
    assert found == expected


def _same_matrix(texts: list[str], longest: int, least: int) -> None:
    ours = NgramVectorizer(max_ngram=longest, min_documents=least)
    theirs = CountVectorizer(
        preprocessor=clean, token_pattern=PATTERN, ngram_range=(1, longest), binary=True, min_df=least
    )
    try:
        expected = theirs.fit_transform(texts)
    except ValueError:  # an empty vocabulary
        with pytest.raises(NotEnoughDataError):
            ours.fit(texts)
        return
    matrix = ours.fit_transform(texts)
    order = np.argsort(ours.get_feature_names_out())
    assert ours.get_feature_names_out()[order].tolist() == theirs.get_feature_names_out().tolist()
    assert (matrix != ours.transform(texts)).nnz == 0
    difference: sparse.csr_matrix = matrix[:, order] != expected
    assert matrix.shape == expected.shape
    assert difference.nnz == 0


@given(CORPUS, st.integers(1, 3), st.integers(1, 3))
@example(["a b a b", "b a", "a!"], 3, 2)
@UNHURRIED
def test_the_matrix_is_that_of_count_vectorizer(texts: list[str], longest: int, least: int) -> None:
    _same_matrix(texts, longest, least)


def test_the_matrix_is_that_of_count_vectorizer_on_real_reviews(real_data: Path) -> None:
    reviews = pd.read_parquet(real_data / "imdb_train.parquet", columns=["review"]).review
    _same_matrix(reviews.iloc[::25].tolist(), longest=3, least=2)
