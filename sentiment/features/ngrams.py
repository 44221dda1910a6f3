"""The scikit-learn vectorizer on the kernel: texts to a sparse matrix of which n-grams they contain."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sentiment.errors import DataError, NotEnoughDataError
from sentiment.features.counts import Counts, chi_squared, count, merged
from sentiment.features.tokens import NgramKeys, batches, ngram_keys
from sentiment.features.vocabulary import UNKNOWN, Vocabulary


class _Names:
    """The n-gram of each column, learnt where it is first seen."""

    def __init__(self, columns: int) -> None:
        self.words = [""] * columns
        self._missing = np.ones(columns + 1, np.bool_)
        self._missing[UNKNOWN] = False  # the last place, which is no column

    def learn(self, ngrams: NgramKeys, columns: NDArray[np.int32]) -> None:
        lengths, tokens = np.nonzero(self._missing[columns])
        new, first = np.unique(columns[lengths, tokens], return_index=True)
        self._missing[new] = False
        places = zip(new.tolist(), lengths[first].tolist(), tokens[first].tolist(), strict=True)
        for column, length, token in places:
            self.words[column] = ngrams.word(length + 1, token)


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
    by_label : bool
        False to keep those in most texts even if there are labels.

    Attributes
    ----------
    keys_, word_text_, word_ends_ : ndarray
        The vocabulary in column order (see `Vocabulary`): plain arrays, which skops stores at once.
    """

    def __init__(
        self,
        max_ngram: int = 3,
        min_documents: int = 2,
        max_features: int | None = None,
        by_label: bool = True,
    ) -> None:
        self.max_ngram = max_ngram
        self.min_documents = min_documents
        self.max_features = max_features
        self.by_label = by_label

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
            raise DataError(f"There are {len(texts)} texts but {len(y)} labels.", fix="Pass one label a text.")
        self.keys_ = self._chosen(texts, y if self.by_label else None)
        names = _Names(len(self.keys_))
        matrix = self._matrix(texts, self.keys_, names=names)
        vocabulary = Vocabulary.of_words(self.keys_, names.words)
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
            count(ngram_keys(texts[batch], self.max_ngram), labels[batch], len(classes)) for batch in batches(texts)
        ]
        kept = [shard.frequent(self.min_documents) for shard in merged(tables)]
        if not sum(len(table.keys) for table in kept):
            raise NotEnoughDataError(
                f"No word or word sequence occurs in {self.min_documents} of the {len(texts)} texts.",
                fix="Deliver more texts, or lower training.min_documents.",
            )
        table = Counts(np.concatenate([t.keys for t in kept]), np.concatenate([t.counts for t in kept]))
        if self.max_features is None or len(table.keys) <= self.max_features:
            return table.keys
        value = table.counts.sum(axis=1) if y is None else chi_squared(table.counts, np.bincount(labels))
        best = np.lexsort((table.keys, -value))[: self.max_features]
        return np.sort(table.keys[best])

    def _matrix(self, texts: Sequence[str], keys: NDArray[np.uint64], names: _Names | None = None) -> sparse.csr_matrix:
        """Build the matrix; `names`, if given, learns the n-grams of the columns."""
        vocabulary = Vocabulary(keys, np.empty(0, np.uint8), np.empty(0, np.int64))
        indices, sizes = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
        for batch in batches(texts):
            ngrams = ngram_keys(texts[batch], self.max_ngram)
            columns = vocabulary.columns(ngrams.keys)
            if names is not None:
                names.learn(ngrams, columns)
            rows, distinct = ngrams.distinct(columns, len(vocabulary))
            indices.append(distinct.astype(np.int32))
            sizes.append(np.bincount(rows, minlength=ngrams.texts))
        flat, indptr = np.concatenate(indices), np.cumsum(np.concatenate(sizes))
        return sparse.csr_matrix((np.ones(len(flat)), flat, indptr), shape=(len(texts), len(keys)))


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
