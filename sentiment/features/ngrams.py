"""The scikit-learn vectorizer on the kernel: texts to a sparse matrix of which n-grams they contain."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sentiment.errors import DataError, NotEnoughDataError
from sentiment.features.tokens import NO_NGRAM, NgramKeys, batches, ngram_keys
from sentiment.features.vocabulary import UNKNOWN, Vocabulary

_SHARD_KEYS = 1 << 18


class NgramVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Presence of word n-grams, as ``CountVectorizer(binary=True)`` has it, many times faster.

    Parameters
    ----------
    max_ngram : int
        Longest n-gram, in tokens.
    min_documents : int
        N-grams in fewer texts are dropped.
    max_features : int, optional
        How many n-grams are kept: those with the highest chi-squared statistic against the labels if there
        are labels, else those in most texts. None keeps all.

    Attributes
    ----------
    keys_, word_text_, word_ends_ : ndarray
        The vocabulary in column order (see `Vocabulary`): plain arrays, which skops stores at once.
    """

    def __init__(self, max_ngram: int = 3, min_documents: int = 2, max_features: int | None = None) -> None:
        self.max_ngram = max_ngram
        self.min_documents = min_documents
        self.max_features = max_features

    def fit(self, texts: Iterable[str], y: Sequence[Any] | None = None) -> "NgramVectorizer":
        """Choose the n-grams.

        Raises
        ------
        NotEnoughDataError
            No n-gram is in `min_documents` texts.
        DataError
            Something among the texts is not a string.
        """
        self.fit_transform(texts, y)
        return self

    def fit_transform(self, texts: Iterable[str], y: Sequence[Any] | None = None) -> sparse.csr_matrix:
        """Choose the n-grams and return the matrix of the same texts."""
        texts = _strings(texts)
        if y is not None and len(y) != len(texts):
            raise DataError(
                f"There are {len(texts)} texts but {len(y)} labels.", fix="Pass one label a text."
            )
        self.keys_ = self._chosen(texts, y)
        found = np.full(len(self.keys_), None, dtype=object)
        matrix = self._matrix(texts, self.keys_, names=found)
        vocabulary = Vocabulary.of_words(self.keys_, found)
        self.word_text_, self.word_ends_ = vocabulary.text, vocabulary.ends
        return matrix

    def transform(self, texts: Iterable[str]) -> sparse.csr_matrix:
        """Return a CSR matrix of ones, shape (texts, n-grams), columns in the order of `keys_`."""
        check_is_fitted(self, "keys_")
        return self._matrix(_strings(texts), self.keys_)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the n-grams in column order, tokens joined by a space."""
        return np.array(self.vocabulary.words(), dtype=object)

    @property
    def vocabulary(self) -> Vocabulary:
        """The chosen n-grams."""
        check_is_fitted(self, "word_ends_")
        return Vocabulary(self.keys_, self.word_text_, self.word_ends_)

    def _chosen(self, texts: Sequence[str], y: Sequence[Any] | None) -> NDArray[np.uint64]:
        classes, labels = np.unique(np.asarray([0] * len(texts) if y is None else y), return_inverse=True)
        tables = [
            _count(ngram_keys(texts[batch], self.max_ngram), labels[batch], len(classes))
            for batch in batches(texts)
        ]
        kept = [shard.frequent(self.min_documents) for shard in _merged(tables)]
        if not sum(len(table.keys) for table in kept):
            raise NotEnoughDataError(
                f"No word or word sequence occurs in {self.min_documents} of the {len(texts)} texts.",
                fix="Deliver more texts, or lower training.min_documents.",
            )
        table = _Counts(np.concatenate([t.keys for t in kept]), np.concatenate([t.counts for t in kept]))
        if self.max_features is None or len(table.keys) <= self.max_features:
            return table.keys
        value = table.counts.sum(axis=1) if y is None else _chi_squared(table.counts, np.bincount(labels))
        best = np.lexsort((table.keys, -value))[: self.max_features]
        return np.sort(table.keys[best])

    def _matrix(
        self, texts: Sequence[str], keys: NDArray[np.uint64], names: NDArray[np.object_] | None = None
    ) -> sparse.csr_matrix:
        """Build the matrix; when `names` is given, fill in each column's n-gram where it is first seen."""
        vocabulary = Vocabulary(keys, np.empty(0, np.uint8), np.empty(0, np.int64))
        indices, sizes = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
        for batch in batches(texts):
            ngrams = ngram_keys(texts[batch], self.max_ngram)
            columns = vocabulary.columns(ngrams.keys)
            if names is not None:
                _name(names, ngrams, columns)
            rows, distinct = ngrams.distinct(columns, len(vocabulary))
            indices.append(distinct.astype(np.int32))
            sizes.append(np.bincount(rows, minlength=ngrams.texts))
        flat, indptr = np.concatenate(indices), np.cumsum(np.concatenate(sizes))
        return sparse.csr_matrix((np.ones(len(flat)), flat, indptr), shape=(len(texts), len(keys)))


@dataclass(frozen=True)
class _Counts:
    """In how many texts of each class every n-gram is: keys ascending, counts of shape (keys, classes)."""

    keys: NDArray[np.uint64]
    counts: NDArray[np.int32]

    def frequent(self, least: int) -> "_Counts":
        enough = self.counts.sum(axis=1) >= least
        return _Counts(self.keys[enough], self.counts[enough])


def _count(ngrams: NgramKeys, labels: NDArray[np.intp], classes: int) -> _Counts:
    """Count the texts of one batch."""
    keys = ngrams.keys.reshape(-1)
    rows = np.tile(ngrams.rows, len(ngrams.keys))
    order = _ascending(keys)
    keys, rows = keys[order], rows[order]
    # The order is stable and rows ascend within each length, so an n-gram's repeats in a text are neighbours.
    first = (np.diff(keys, prepend=NO_NGRAM) != 0) | (np.diff(rows, prepend=-1) != 0)
    first &= keys != NO_NGRAM
    keys, belongs = keys[first], labels[rows[first]]
    return _grouped(keys, (belongs[:, None] == np.arange(classes)).astype(np.int32))


def _merged(tables: Sequence[_Counts]) -> Iterator[_Counts]:
    """Add up the tables, one range of keys after another, so that no sort is large."""
    total = sum(len(table.keys) for table in tables)
    bits = max(1, (total // _SHARD_KEYS).bit_length())
    borders = np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    cuts = [[0, *np.searchsorted(table.keys, borders), len(table.keys)] for table in tables]
    for shard in range(1 << bits):
        parts = [slice(cut[shard], cut[shard + 1]) for cut in cuts]
        if not parts:
            continue
        keys = np.concatenate([table.keys[part] for table, part in zip(tables, parts, strict=True)])
        counts = np.concatenate([table.counts[part] for table, part in zip(tables, parts, strict=True)])
        order = _ascending(keys)
        yield _grouped(keys[order], counts[order])


def _grouped(keys: NDArray[np.uint64], counts: NDArray[np.int32]) -> _Counts:
    """Add up the counts of equal keys, which are neighbours."""
    starts = np.flatnonzero(np.diff(keys, prepend=NO_NGRAM))
    if not len(starts):
        return _Counts(keys, counts)
    return _Counts(keys[starts], np.add.reduceat(counts, starts, axis=0, dtype=np.int32))


def _ascending(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Stable order of the keys.

    The leading bits and the position packed into one number sort several times faster than an argsort;
    the rare keys that share all leading bits show as a descent, and then the argsort is made after all.
    """
    bits = np.uint64(max(1, len(keys).bit_length()))
    positions = np.arange(len(keys), dtype=np.uint64)
    packed = (keys >> bits << bits) | positions
    packed.sort()
    order = (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    ordered = keys[order]
    if np.any(ordered[1:] < ordered[:-1]):
        order = np.argsort(keys, kind="stable")
    return order


def _chi_squared(counts: NDArray[np.int32], class_sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Chi-squared of presence against class, as ``sklearn.feature_selection.chi2`` defines it."""
    expected = counts.sum(axis=1, keepdims=True) * (class_sizes / class_sizes.sum())
    value: NDArray[np.float64] = ((counts - expected) ** 2 / expected).sum(axis=1)
    return value


def _name(names: NDArray[np.object_], ngrams: NgramKeys, columns: NDArray[np.int32]) -> None:
    """Fill in the n-grams that are still without a name from one batch."""
    missing = names == None  # noqa: E711  (element by element)
    if not missing.any():
        return
    lengths, tokens = np.nonzero(missing[columns] & (columns != UNKNOWN))
    new, first = np.unique(columns[lengths, tokens], return_index=True)
    for column, place in zip(new.tolist(), first.tolist(), strict=True):
        names[column] = ngrams.word(int(lengths[place]) + 1, int(tokens[place]))


def _strings(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise DataError("One text was given where a list of texts is needed.", fix="Pass [text].")
    strings = list(texts)
    for position, text in enumerate(strings):
        if not isinstance(text, str):
            raise DataError(
                f"Text {position} is a {type(text).__name__}, not a string.",
                fix="Drop rows without text first.",
            )
    return strings
