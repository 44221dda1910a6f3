"""Which of the n-grams that a model knows are in which text, each counted once: what every answer is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sentiment.features.cells import stands
from sentiment.features.tokens import ngram_keys, text_keys
from sentiment.features.vocabulary import Vocabulary

Cleaner = Callable[[str], str]


def known_in_text(
    text: str, vocabulary: Vocabulary, max_ngram: int, cleaner: Cleaner
) -> tuple[NDArray[np.int32], float]:
    """Return the columns of the n-grams of one text, ascending, and the share of its tokens that have none.

    The share is 0 for a text without tokens.
    """
    keys = text_keys(text, max_ngram, cleaner)
    places, columns = vocabulary.known(keys.ravel())
    tokens = keys.shape[1]
    share = 1.0 - int(places.searchsorted(tokens)) / tokens if tokens else 0.0
    columns.sort()
    return np.concatenate((columns[:1], columns[1:][columns[1:] != columns[:-1]])), share


@dataclass(frozen=True)
class Known:
    """The known n-grams of a batch of texts, in the order of length, text and place.

    Attributes
    ----------
    columns : ndarray of int32, shape (occurrences,)
        Column of each occurrence.
    lengths : ndarray of int64, shape (max_ngram, texts)
        How many occurrences of n-grams of each length each text has.
    tokens : ndarray of int64, shape (texts,)
        How many tokens each text has, known or not.
    """

    columns: NDArray[np.int32]
    lengths: NDArray[np.int64]
    tokens: NDArray[np.int64]

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The text of each occurrence."""
        longest, texts = self.lengths.shape
        return np.repeat(np.tile(np.arange(texts), longest), self.lengths.ravel())

    @cached_property
    def once(self) -> NDArray[np.bool_]:
        """True for one of the occurrences of an n-gram in a text."""
        return stands(self.rows, self.columns)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many different known n-grams each text has."""
        return self._summed(self.once, np.int64)

    def sums(self, weights: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sum of the weights of each text's different n-grams; `weights` has one for each column."""
        values = weights.take(self.columns)
        values *= self.once
        return self._summed(values, np.float64)

    def unknown_share(self) -> NDArray[np.float64]:
        """Return the share of each text's tokens that the vocabulary does not have, 0 for a text without tokens."""
        share: NDArray[np.float64] = (self.tokens - self.lengths[0]) / np.maximum(self.tokens, 1)
        return share

    def _summed(self, values: NDArray[Any], kind: DTypeLike) -> NDArray[Any]:
        """Add up the values of all occurrences, text by text."""
        sums = np.zeros(self.lengths.size, kind)
        ends = self.lengths.ravel().cumsum()
        filled = self.lengths.ravel().nonzero()[0]
        if len(filled):
            starts = ends[filled] - self.lengths.ravel()[filled]
            sums[filled] = np.add.reduceat(values, starts, dtype=kind)
        whole: NDArray[Any] = sums.reshape(self.lengths.shape).sum(axis=0)
        return whole


def known_in_texts(texts: Sequence[str], vocabulary: Vocabulary, max_ngram: int, cleaner: Cleaner) -> Known:
    """Find the known n-grams of many texts."""
    ngrams = ngram_keys(texts, max_ngram, cleaner)
    places, columns = vocabulary.known(ngrams.keys.ravel())
    starts = ngrams.bounds[:-1] + ngrams.keys.shape[1] * np.arange(max_ngram)[:, np.newaxis]
    lengths = np.diff(places.searchsorted(starts.ravel()), append=len(places)).reshape(starts.shape)
    return Known(columns, lengths, np.diff(ngrams.bounds))
