"""The kernel and the vectorizer against Python's own tokens and scikit-learn's CountVectorizer."""

import itertools
import pickle
from collections import Counter as Counting
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from sentiment.errors import DataError, ModelError, NotEnoughDataError
from sentiment.features.cells import cells, stands
from sentiment.features.clean import PATTERN, clean, words
from sentiment.features.corpus import Corpus, in_batches
from sentiment.features.counts import Counter
from sentiment.features.dictionary import Dictionary
from sentiment.features.hashed import HashedNgramVectorizer
from sentiment.features.ngrams import NgramVectorizer
from sentiment.features.selection import select
from sentiment.features.tokens import NgramKeys, _Seen, batches, ngram_keys, text_keys
from sentiment.features.vocabulary import UNKNOWN, Vocabulary, perfect_hash

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


@pytest.mark.parametrize(
    "text",
    [
        "cafe\u0301 na\u00efve \u0130stanbul \u01c5 \ufb01n",  # a mark, letters whose case changes their length
        "STRASSE Stra\u00dfe \u03a3\u0391\u03a3 \u03c3\u03b1\u03c2",  # lower case, which is not case folding
        "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e44\u0e17\u0e22 \u6620\u753b\u3002 \u0645\u0631\u062d\u0628\u0627",
        "half \ud83d\ude00 a pair \ud800 and \U0001d54e\U0001d560 \U0001f600!",
        "soft\u00adhyphen zero\u200bwidth no\u00a0break \u2460 \u00b2 x\x00y",
        "a" * 300_000,
        "\u00e9" * 1_000 + " " + "\u6620" * 300_000,
        "very, long! " * 100_000,
    ],
    ids=["marks", "case", "scripts", "surrogates", "invisible", "one word", "two words", "many words"],
)
def test_odd_and_long_texts_have_the_tokens_of_re(text: str) -> None:
    tokens = words(clean(text))
    ngrams = ngram_keys(["x", text, "x"], 1)
    found = [ngrams.word(1, token) for token in range(1, len(ngrams.rows) - 1)]
    assert found == tokens
    assert ngrams.rows.tolist() == [0, *[1] * len(tokens), 2]
    key_of = dict(zip(found, ngrams.keys[0, 1:-1].tolist(), strict=True))
    assert [key_of[token] for token in found] == ngrams.keys[0, 1:-1].tolist()
    assert len(set(key_of.values())) == len(key_of)


def test_words_made_to_collide_do_not() -> None:
    """The polynomial of a Thue-Morse word modulo 2**64 is that of its mirror, whatever the base."""
    morse = "".join("ab"[number.bit_count() % 2] for number in range(1 << 12))
    mirror = morse.translate(str.maketrans("ab", "ba"))
    one, other = ngram_keys([f"{morse} {mirror}"], 1).keys[0].tolist()
    assert one != other


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


@given(CORPUS, st.integers(1, 4))
@UNHURRIED
def test_a_short_text_has_the_same_keys_the_first_time_and_later(texts: list[str], longest: int) -> None:
    for text in texts:
        expected = ngram_keys([text], longest).keys.tolist()
        assert text_keys(text, longest).tolist() == expected
        assert text_keys(text, longest).tolist() == expected


def test_what_is_remembered_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _Seen()
    monkeypatch.setattr("sentiment.features.tokens._SEEN", seen)
    monkeypatch.setattr("sentiment.features.tokens._MOST_SEEN", 3)
    for text in ("a b", f"c {'d' * 99}", "e", "a!? f", "g h i", "a! b"):
        assert text_keys(text, 2).tolist() == ngram_keys([text], 2).keys.tolist()
        assert len(seen) <= 3
        assert len(seen.before) <= 3
    assert "b" in seen, "what is asked for last is remembered"


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
    places, columns = vocabulary.known(np.array(asked, np.uint64))
    assert columns.tolist() == [column for column in expected if column != UNKNOWN]
    assert places.tolist() == [place for place, column in enumerate(expected) if column != UNKNOWN]
    assert vocabulary.words() == [str(key) for key in keys]


def test_an_empty_vocabulary_knows_nothing() -> None:
    places, columns = Vocabulary.of_words(np.empty(0, np.uint64), []).known(np.array([0, 1, 2**63], np.uint64))
    assert not len(places)
    assert not len(columns)


@pytest.mark.parametrize("size", [1, 2, 7, 1_000, 50_000])
def test_every_key_has_a_place_of_its_own(size: int) -> None:
    keys = np.random.default_rng(size).choice(2**62, size, replace=False).astype(np.uint64)
    _, places = perfect_hash(keys)
    assert np.sort(places[places != UNKNOWN]).tolist() == list(range(size))
    assert len(places) <= max(16, 2.5 * size)


def test_keys_that_repeat_are_refused_and_not_tried_for_ever() -> None:
    with pytest.raises(ValueError, match="2 keys cannot be told apart"):
        perfect_hash(np.array([5, 9, 5], dtype=np.uint64))


@given(CORPUS, st.integers(1, 3), st.integers(1, 3), st.integers(1, 30))
@UNHURRIED
def test_documents_are_counted_as_python_counts_them(texts: list[str], longest: int, least: int, chunk: int) -> None:
    labels = np.arange(len(texts)) % 3
    corpus = Corpus()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sentiment.features.corpus.CHUNK_TOKENS", chunk)
        for batch in in_batches(texts, limit=8):
            corpus.add(batch)
        levels = Counter(corpus, labels, 3, least=least).levels(longest)
    expected: dict[str, list[int]] = {}
    for text, label in zip(texts, labels, strict=True):
        for ngram in set(_ngrams(text, longest)):
            expected.setdefault(ngram, [0, 0, 0])[label] += 1
    selection = select(levels, corpus.dictionary, most=None, class_sizes=np.bincount(labels, minlength=3))
    counts = np.concatenate([level.counts for level in levels], axis=1)
    columns = np.concatenate([columns[:-1] for columns in selection.columns])
    found = {selection.vocabulary.word(column): counts[:, place].tolist() for place, column in enumerate(columns)}
    assert found == {ngram: each for ngram, each in expected.items() if sum(each) >= least}


@given(st.lists(st.lists(KEY, max_size=9), max_size=9), st.integers(0, 63))
@UNHURRIED
def test_tokens_keep_their_numbers_however_close_the_keys(batches_: list[list[int]], crowding: int) -> None:
    dictionary, known = Dictionary(), dict[int, int]()
    for batch in batches_:
        keys = [max(1, key >> crowding) for key in batch]
        text = " ".join(map(str, keys))
        ends = np.cumsum([len(str(key)) + 1 for key in keys], dtype=np.int64) - 1
        starts = np.append(0, ends[:-1] + 1) if keys else ends
        ngrams = NgramKeys(np.array([keys], np.uint64), np.array([0, len(keys)]), text, starts, ends)
        expected = [known.setdefault(key, len(known)) for key in keys]
        assert dictionary.numbers(ngrams).tolist() == expected
    assert dictionary.words == [str(key) for key in known]
    assert dictionary.keys.tolist() == list(known)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 6)), max_size=30).map(sorted),
    st.sampled_from([7, 1 << 20, (1 << 31) - 1]),
)
def test_cells_are_the_occurrences_added_up(occurrences: list[tuple[int, int]], width: int) -> None:
    occurrences = [(row, column and width - 7 + column if column >= 0 else -1) for row, column in occurrences]
    rows = np.array([row for row, _ in occurrences], np.int64)
    columns = np.array([[column for _, column in occurrences]], np.int32)
    found = cells(rows, columns, height=5, width=width)
    counted = sorted(Counting(pair for pair in occurrences if pair[1] >= 0).items())
    assert found.columns.tolist() == [column for (_, column), _ in counted]
    assert found.counts.tolist() == [count for _, count in counted]
    assert found.ends.tolist() == [sum(pair[0] <= row for pair, _ in counted) for row in range(5)]


@given(
    st.lists(st.tuples(st.integers(0, 9) | st.integers(0, 70_000), st.integers(0, 9) | st.integers(0, (1 << 31) - 1)))
)
@example([(row, column) for row in range(300) for column in range(0, 300, 7)] * 2)
def test_one_occurrence_stands_for_each_cell(occurrences: list[tuple[int, int]]) -> None:
    rows = np.array([row for row, _ in occurrences], np.int64)
    columns = np.array([column for _, column in occurrences], np.int32)
    found = [cell for cell, kept in zip(occurrences, stands(rows, columns).tolist(), strict=True) if kept]
    assert sorted(found) == sorted(set(occurrences))


def _ngrams(text: str, longest: int) -> list[str]:
    tokens = words(clean(text))
    return [
        " ".join(tokens[begin : begin + length])
        for length in range(1, longest + 1)
        for begin in range(len(tokens) - length + 1)
    ]


def _same_matrix(texts: list[str], longest: int, least: int, binary: bool = True) -> None:
    ours = NgramVectorizer(max_ngram=longest, min_documents=least, binary=binary)
    theirs = CountVectorizer(
        preprocessor=clean, token_pattern=PATTERN, ngram_range=(1, longest), binary=binary, min_df=least
    )
    try:
        expected = theirs.fit_transform(texts)
    except ValueError:  # an empty vocabulary
        with pytest.raises(NotEnoughDataError):
            ours.fit(texts)
        return
    matrix = ours.fit_transform(texts)
    assert matrix.has_canonical_format
    order = np.argsort(ours.get_feature_names_out())
    assert ours.get_feature_names_out()[order].tolist() == theirs.get_feature_names_out().tolist()
    _equal(matrix, ours.transform(texts))
    _equal(matrix[:, order], expected)


def _equal(matrix: sparse.csr_matrix, expected: sparse.csr_matrix) -> None:
    assert matrix.shape == expected.shape
    assert (matrix != expected).nnz == 0


@given(CORPUS, st.integers(1, 3), st.integers(1, 3), st.booleans())
@example(["a b a b", "b a", "a!"], 3, 2, False)
@UNHURRIED
def test_the_matrix_is_that_of_count_vectorizer(texts: list[str], longest: int, least: int, binary: bool) -> None:
    _same_matrix(texts, longest, least, binary)


@pytest.mark.parametrize("binary", [True, False])
def test_the_matrix_is_that_of_count_vectorizer_on_real_reviews(real_data: Path, binary: bool) -> None:
    reviews = pd.read_parquet(real_data / "imdb_train.parquet", columns=["review"]).review
    _same_matrix(reviews.iloc[::50].tolist(), longest=3, least=2, binary=binary)


def test_the_matrix_is_that_of_count_vectorizer_with_more_words_than_16_bits_count() -> None:
    random = np.random.default_rng(0)
    text = " ".join(f"w{word}" for word in random.permutation(70_000))
    _same_matrix([text, text, "w1 w2", text[-1000:]], longest=3, least=2)


@given(
    st.lists(st.tuples(ANY_TEXT, st.integers(0, 2)), min_size=1, max_size=12),
    st.lists(st.integers(0, 12), max_size=4),
    st.integers(1, 30),
    st.sampled_from([None, 1, 5]),
    st.booleans(),
)
@UNHURRIED
def test_batches_learn_what_all_texts_at_once_teach(
    rows: list[tuple[str, int]], cuts: list[int], chunk: int, most: int | None, labelled: bool
) -> None:
    """Whatever the borders of batches, chunks and files; and a generator is as good as a list."""
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    whole = NgramVectorizer(max_features=most)
    try:
        expected = whole.fit_transform(texts, labels if labelled else None)
    except NotEnoughDataError:
        assume(False)
    streamed = NgramVectorizer(max_features=most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sentiment.features.corpus.CHUNK_TOKENS", chunk)
        patch.setattr("sentiment.features.corpus.PIECE_TOKENS", 2)
        patch.setattr("sentiment.features.counts.PIECE_TOKENS", 2)
        patch.setattr("sentiment.features.counts._BIN", 3)
        patch.setattr("sentiment.features.spool.MEMORY", 64)
        borders = [0, *sorted(cuts), len(rows)]
        for begin, end in itertools.pairwise(borders):
            streamed.partial_fit(iter(texts[begin:end]), labels[begin:end] if labelled else None)
        again = NgramVectorizer(max_features=most)
        _equal(again.fit_transform(iter(texts), labels if labelled else None), expected)
        for other in (streamed, again, pickle.loads(pickle.dumps(streamed))):
            for name in ("keys_", "word_text_", "word_ends_"):
                assert np.array_equal(getattr(other, name), getattr(whole, name))
        _equal(streamed.transform(iter(texts)), expected)


def test_a_stream_goes_on_after_it_was_asked_and_a_fitted_copy_does_not() -> None:
    vectorizer = NgramVectorizer(max_ngram=1).partial_fit(["good film", "good"])
    assert vectorizer.get_feature_names_out().tolist() == ["good"]
    copy = pickle.loads(pickle.dumps(vectorizer))
    assert set(vectorizer.partial_fit(["film"]).get_feature_names_out()) == {"good", "film"}
    assert vectorizer.transform(["good film"]).sum() == 2
    for fitted in (copy, NgramVectorizer().fit(["good", "good"])):
        with pytest.raises(ModelError, match="forgotten the texts"):
            fitted.partial_fit(["film"])
    assert vectorizer.fit(["bad", "bad"]).get_feature_names_out().tolist() == ["bad"]


def test_labels_come_with_all_batches_or_with_none() -> None:
    with pytest.raises(DataError, match="2 texts but 1 labels"):
        NgramVectorizer().partial_fit(["a", "b"], [1])
    with pytest.raises(DataError, match="Some batches have labels"):
        NgramVectorizer().partial_fit(["a"], [1]).partial_fit(["b"])


def test_a_refused_batch_leaves_nothing_behind() -> None:
    vectorizer = NgramVectorizer(max_ngram=1).partial_fit(["good"], [1])
    for texts, labels in ((["good"] * 2, [1]), (["good", None], [0, 1]), (["good"], None)):
        with pytest.raises(DataError):
            vectorizer.partial_fit(iter(texts), labels)
    with pytest.raises(NotEnoughDataError, match="in 2 of the 1 texts"):
        vectorizer.transform(["good"])


@given(CORPUS, st.integers(1, 3), st.sampled_from([1, 7, 1 << 20, (1 << 31) - 1]), st.booleans())
@UNHURRIED
def test_hashed_columns_follow_their_plain_definition(
    texts: list[str], longest: int, columns: int, binary: bool
) -> None:
    matrix = HashedNgramVectorizer(longest, columns, binary).transform(iter(texts))
    assert matrix.shape == (len(texts), columns)
    for row, text in enumerate(texts):
        counted = Counting((_plain_key(ngram.split(" ")) >> 32) * columns >> 32 for ngram in _ngrams(text, longest))
        found = matrix[row]
        expected = {column: 1 if binary else count for column, count in counted.items()}
        assert dict(zip(found.indices.tolist(), found.data.tolist(), strict=True)) == expected


def _plain_key(tokens: list[str]) -> int:
    """Key of an n-gram, one character and one step after another, in Python's own numbers."""
    key = 0
    for place, token in enumerate(tokens):
        assert len(token) <= 256
        base = 0x9E3779B97F4A7C15
        last = _splitmix(sum(ord(character) * pow(base, power, 2**64) for power, character in enumerate(token)))
        key = last if place == 0 else (key * 0xD1342543DE82EF95 + last) % 2**64
    return key


def _splitmix(value: int) -> int:
    value %= 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31
