"""The uncommon word whose share of the texts rose most: a phrase of spam, a new product, a breakage everybody has.

Such a word moves no mean: the test is on the largest rise over all words, with permutations. Shares are compared by
their arcsines (Cohen 1988, the effect size h), so that a new word in a few texts counts as much as a common one in many
more. The distance is ``(2 / pi) * |asin(sqrt(p)) - asin(sqrt(q))|``: 0.10 for a new word in 2.5% of the texts,
0.14 in 5%, 0.02 for one that goes from 10% to 12%. Words of more than half of the texts come and go with their
length, and are left to the test of all words together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sentiment.drift.sample import Sample, word_rows
from sentiment.drift.signals.permutations import deals, tail
from sentiment.drift.signals.signal import Signal, unit
from sentiment.features.clean import clean, words

_FEWEST_TEXTS, _LARGEST_SHARE = 3, 0.5


def word_shift(name: str, *, reference: Sample, current: Sample) -> Signal:
    """Compare the share of the texts that have a word, and return the word that rose most.

    Words share one of `sentiment.drift.sample.COLUMNS` columns now and then, and count as one.
    """
    old, new = reference.features, current.features
    rows = (old.shape[0], new.shape[0])
    nothing = Signal(name, 1.0, 0.0, 0.0, 0.0, "the share of texts with one word")
    if not (min(rows) and old.nnz and new.nnz):
        return nothing
    texts = Presence(sparse.vstack([old, new], format="csr"))
    if not len(texts.columns):
        return nothing
    actual = np.zeros((sum(rows), 1), dtype=np.float32)
    actual[rows[0] :] = 1
    counts = texts.counts(actual)
    rises = _rises(*counts, rows=rows)[:, 0]
    place = int(rises.argmax())
    if rises[place] == 0:
        return nothing
    before, now = (float(side[place, 0]) / size for side, size in zip(counts, rows, strict=True))
    permuted = np.concatenate([texts.distances(deal, rows=rows) for deal in deals(rows)])
    return Signal(
        name,
        tail(float(rises[place]), permuted),
        unit(float(rises[place])),
        before,
        now,
        f"the share of texts with the word {_word_of(current, new, int(texts.columns[place]))!r}",
    )


class Presence:
    """Which texts have which words, word by word, without those in fewer than three texts or in very many."""

    def __init__(self, features: sparse.csr_matrix) -> None:
        ones = np.ones(features.nnz, dtype=np.float32)
        texts = sparse.csr_matrix((ones, features.indices, features.indptr), shape=features.shape)
        total = np.bincount(features.indices, minlength=features.shape[1])
        self.columns = np.flatnonzero((total >= _FEWEST_TEXTS) & (total <= _LARGEST_SHARE * features.shape[0]))
        self._total = total[self.columns][:, None]
        self._by_word = texts[:, self.columns].T.tocsr()

    def counts(
        self, current: NDArray[np.float32], reference: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return in how many texts of the first and of the second side the words are, each of shape (words, deals).

        `current` says how often a text goes to the second side, shape (texts, deals), and `reference` how often to
        the first; without it, those go there that do not go to the second.
        """
        new = (self._by_word @ current).astype(np.int64)
        return self._total - new if reference is None else (self._by_word @ reference).astype(np.int64), new

    def distances(
        self, current: NDArray[np.float32], reference: NDArray[np.float32] | None = None, *, rows: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return how far the word rose that rose most, shape (deals,)."""
        if not len(self.columns):
            return np.zeros(current.shape[1])
        largest: NDArray[np.float64] = _rises(*self.counts(current, reference), rows=rows).max(axis=0)
        return largest


def _rises(old: NDArray[np.int64], new: NDArray[np.int64], *, rows: tuple[int, int]) -> NDArray[np.float64]:
    rises: NDArray[np.float64] = np.maximum(_angles(rows[1])[new] - _angles(rows[0])[old], 0)
    return rises


def _angles(rows: int) -> NDArray[np.float64]:
    angles: NDArray[np.float64] = np.arcsin(np.sqrt(np.arange(rows + 1) / rows)) * (2 / np.pi)
    return angles


def _word_of(sample: Sample, texts: sparse.csr_matrix, column: int) -> str:
    row = int(texts[:, [column]].nonzero()[0][0])
    found = dict.fromkeys(words(clean(sample.spread_texts[row])))
    return next(word for word in found if column in word_rows([word]).indices)
