"""One side of a drift check: texts, and what is measured on each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sentiment.drift.descriptors import markup_shares, scripts_of, word_counts
from sentiment.features.cells import stands
from sentiment.features.hashed import hashed_columns
from sentiment.features.tokens import batches, ngram_keys
from sentiment.reviews.language import languages_of

COLUMNS = 1 << 15
LANGUAGE_ROWS, TEXT_ROWS = 100, 2_500
"""Rows that are enough to see the smallest shift of languages, or of words, that matters; more only cost time."""


MEASURED = ("characters", "words", "markup", "scripts", "languages", "features")
"""What a sample measures by itself, when it is first asked; the last two on some of its rows."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One side of a comparison: texts and what was measured on them, row by row.

    Attributes
    ----------
    texts : tuple of str
    scores, confidence, unknown_share : array of shape (n,) or None
        What the champion said: 0 negative to 1 positive, the probability of its answer, the share of words that
        it does not know. None when no model was there.
    predictions : tuple of str or None
        The champion's answers.
    labels : tuple of (str or None) or None
        The right answers, where somebody gave them.
    sources : tuple of str or None
        Where the texts came from.
    """

    texts: tuple[str, ...]
    scores: NDArray[np.float64] | None = None
    predictions: tuple[str, ...] | None = None
    unknown_share: NDArray[np.float64] | None = None
    confidence: NDArray[np.float64] | None = None
    labels: tuple[str | None, ...] | None = None
    sources: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def characters(self) -> NDArray[np.float64]:
        """Length of each text in characters."""
        return np.fromiter(map(len, self.texts), dtype=np.float64, count=len(self))

    @cached_property
    def words(self) -> NDArray[np.float64]:
        """Length of each text in words, as white space parts them."""
        return word_counts(self.texts)

    @cached_property
    def markup(self) -> NDArray[np.float64]:
        """Share of each text's characters that are HTML tags, entities or links."""
        return markup_shares(self.texts)

    @cached_property
    def scripts(self) -> tuple[str, ...]:
        """The script that each text begins in; "none" for a text without letters."""
        return scripts_of(self.texts)

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The languages of up to `LANGUAGE_ROWS` texts; "unknown" where that is not certain."""
        return tuple(languages_of(self._spread(LANGUAGE_ROWS)))

    @cached_property
    def features(self) -> sparse.csr_matrix:
        """Which words up to `TEXT_ROWS` texts have: `COLUMNS` columns, rows of length 1, or 0 for one without words."""
        return word_rows(self.spread_texts)

    @property
    def spread_texts(self) -> list[str]:
        """The texts behind `features`."""
        return self._spread(TEXT_ROWS)

    def take(self, rows: NDArray[np.intp]) -> Sample:
        """Return some rows, with what was measured on them already."""
        taken = Sample(
            texts=tuple(self.texts[row] for row in rows),
            **{name: None if values is None else _rows(values, rows) for name, values in self._given().items()},
        )
        for name in MEASURED[:4]:
            if name in self.__dict__:
                taken.__dict__[name] = _rows(self.__dict__[name], rows)
        return taken

    def with_labels(self, labels: Sequence[str | None], *, sources: Sequence[str] | None) -> Sample:
        """Return the same rows, with what was measured on them already, with labels if there are any and sources."""
        known = tuple(labels) if any(label is not None for label in labels) else None
        named = replace(self, labels=known, sources=None if sources is None else tuple(sources))
        named.__dict__.update({name: self.__dict__[name] for name in MEASURED if name in self.__dict__})
        return named

    def _spread(self, most: int) -> list[str]:
        """Return up to so many of the texts, evenly spread."""
        return [self.texts[place] for place in spread(len(self), most)]

    def _given(self) -> dict[str, Any]:
        names = ("scores", "predictions", "unknown_share", "confidence", "labels", "sources")
        return {name: getattr(self, name) for name in names}


def measure(
    texts: Sequence[str],
    *,
    scores: ArrayLike | None = None,
    predictions: Sequence[str] | None = None,
    unknown_share: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
    labels: Sequence[str | None] | None = None,
    sources: Sequence[str] | None = None,
) -> Sample:
    """Return texts as a sample, with what a model said of them beside it.

    Raises
    ------
    ValueError
        Something is not given for each text.
    """
    sample = Sample(
        texts=tuple(texts),
        scores=None if scores is None else np.asarray(scores, dtype=np.float64),
        predictions=None if predictions is None else tuple(predictions),
        unknown_share=None if unknown_share is None else np.asarray(unknown_share, dtype=np.float64),
        confidence=None if confidence is None else np.asarray(confidence, dtype=np.float64),
        labels=None if labels is None else tuple(labels),
        sources=None if sources is None else tuple(sources),
    )
    for name, values in sample._given().items():
        if values is not None and len(values) != len(sample):
            raise ValueError(f"{len(values)} {name} for {len(sample)} texts")
    return sample


def spread(rows: int, most: int) -> NDArray[np.intp]:
    """Return up to `most` row numbers, evenly spread over all rows."""
    return np.linspace(0, rows, min(rows, most), endpoint=False).astype(np.intp)


def word_rows(texts: Sequence[str]) -> sparse.csr_matrix:
    """Return which words each text has: shape (n, `COLUMNS`), rows of length 1, or 0 for a text without words.

    It is what `HashedNgramVectorizer` says of them, with the columns of a row in another order: those need no sort.
    """
    columns, sizes = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
    for batch in batches(texts):
        tokens = ngram_keys(texts[batch], 1)
        found = hashed_columns(tokens.keys[0], COLUMNS)
        once = stands(tokens.rows, found)
        columns.append(found[once])
        sizes.append(np.bincount(tokens.rows[once], minlength=tokens.texts))
    return rows_of_length_one(np.concatenate(columns), np.cumsum(np.concatenate(sizes)))


def rows_of_length_one(columns: NDArray[np.int32], bounds: NDArray[np.int64]) -> sparse.csr_matrix:
    """Return the rows whose columns lie between the bounds, each column of a row with the same value."""
    sizes = np.diff(bounds)
    values = np.repeat((1 / np.sqrt(np.maximum(sizes, 1))).astype(np.float32), sizes)
    return sparse.csr_matrix((values, columns, bounds.astype(np.int32)), shape=(len(sizes), COLUMNS))


def _rows(values: Any, rows: NDArray[np.intp]) -> Any:
    return tuple(values[row] for row in rows) if isinstance(values, tuple) else values[rows]
