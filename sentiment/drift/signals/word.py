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
from sentiment.drift.signals.permutations import deals, tail, with_actual
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
    dealt = texts.counts(with_actual(deals(rows), rows))
    now = dealt[:, 0].astype(np.int64)
    before = texts.total - now
    rises = _rises(before, now, rows=rows)
    place = int(rises.argmax())
    if rises[place] == 0:
        return nothing
    return Signal(
        name,
        tail(float(rises[place]), texts.largest_rises(dealt[:, 1:], rows=rows)),
        unit(float(rises[place])),
        float(before[place]) / rows[0],
        float(now[place]) / rows[1],
        f"the share of texts with the word {_word_of(current, new, int(texts.columns[place]))!r}",
    )


class Presence:
    """Which texts have which words, word by word, without those in fewer than three texts or in very many.

    Words of as many texts stand together, the rarest first.
    """

    def __init__(self, features: sparse.csr_matrix) -> None:
        kind = np.uint16 if features.shape[0] < 1 << 16 else np.uint32  # of counts; the narrower is far faster
        ones = np.ones(features.nnz, dtype=kind)
        texts = sparse.csr_matrix((ones, features.indices, features.indptr), shape=features.shape)
        total = np.bincount(features.indices, minlength=features.shape[1])
        found = np.flatnonzero((total >= _FEWEST_TEXTS) & (total <= _LARGEST_SHARE * features.shape[0]))
        self.columns = found[np.argsort(total[found], kind="stable")]
        self.total = total[self.columns]
        self._by_word = texts[:, self.columns].T.tocsr()

    def counts(self, current: NDArray[np.uint16]) -> NDArray[np.unsignedinteger]:
        """Return in how many texts of the second side the words are, shape (words, deals).

        `current` has ones for the texts that go to that side, shape (texts, deals).
        """
        counts: NDArray[np.unsignedinteger] = self._by_word @ current
        return counts

    def largest_rises(self, counts: NDArray[np.unsignedinteger], *, rows: tuple[int, int]) -> NDArray[np.float64]:
        """Return how far the word rose that rose most, shape (deals,), from the `counts` of deals of all texts.

        Of words that are in as many texts, the one that is in most of the second side's rose most.
        """
        groups = np.flatnonzero(np.diff(self.total, prepend=0))
        new = np.maximum.reduceat(counts, groups, axis=0).astype(np.int64)
        largest: NDArray[np.float64] = _rises(self.total[groups, None] - new, new, rows=rows).max(axis=0)
        return largest

    def distances(
        self, *, reference: NDArray[np.float32], current: NDArray[np.float32], rows: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return the same where a text may go to both sides, and often: how often is of shape (texts, deals)."""
        if not len(self.columns):
            return np.zeros(current.shape[1])
        old, new = ((self._by_word @ side).astype(np.int64) for side in (reference, current))
        largest: NDArray[np.float64] = _rises(old, new, rows=rows).max(axis=0)
        return largest


def _rises(old: NDArray[np.int64], new: NDArray[np.int64], *, rows: tuple[int, int]) -> NDArray[np.float64]:
    rises: NDArray[np.float64] = np.maximum(_angles(rows[1])[new] - _angles(rows[0])[old], 0)
    return rises


def _angles(rows: int) -> NDArray[np.float64]:
    angles: NDArray[np.float64] = np.arcsin(np.sqrt(np.arange(rows + 1) / rows)) * (2 / np.pi)
    return angles


def _word_of(sample: Sample, texts: sparse.csr_matrix, column: int) -> str:
    row = int(texts[:, [column]].nonzero()[0][0])
    found = list(dict.fromkeys(words(clean(sample.spread_texts[row]))))
    return found[int(word_rows(found)[:, [column]].nonzero()[0][0])]
