"""What is different about the current texts: how well they can be told from the reference, and by what.

A classifier is asked which side a text is from (Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample
tests"). It weighs n-grams by their log-odds, as naive Bayes does, with the length of the text taken out; every
text is scored by a classifier that never saw it, nor a copy of it. Its AUC says how far the sides can be told
apart at all, and it ranks the texts that show it best. Which *words* moved is not read off its weights, which
are noise for most words, but tested: see `sentiment.drift.moved_words`.

**This explains, it does not judge.** Texts that can be told apart need not be answered worse: a model of film
reviews kept its accuracy on another film corpus that was told apart with an AUC of 0.98. So no verdict and no
retraining hangs on it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import brentq
from scipy.stats import norm, rankdata

from sentiment.drift.moved_words import (
    LONGEST,
    MovedWord,
    MovedWords,
    SideCounts,
    clear_from,
    fewest_texts,
    select,
    z_scores,
)
from sentiment.errors import NotEnoughDataError
from sentiment.features.clean import MARKS, clean
from sentiment.features.clean import words as tokens_of
from sentiment.features.corpus import in_batches
from sentiment.features.ngrams import NgramVectorizer
from sentiment.features.tokens import ngram_keys, text_keys

TEXTS = 5_000
"""Texts of each side that are read; of more, an even part."""

BEYOND = 0.95
"""A text is unlike the reference if the classifier finds it stranger than this share of the reference."""

_FOLDS = 5
_READ = 1_000  # candidates for an example that are searched for words
_FEWEST = 20  # texts of each side below which there is no AUC: its interval would be most of the line


@dataclass(frozen=True)
class Separation:
    """How well the sides can be told apart.

    `auc` is how often the classifier finds the current one of two texts, one from each side: 0.5 is a guess, 1
    means always. `low` and `high` are its 95% interval, over texts, for the classifier as it was trained.
    """

    auc: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the sides can be told apart better than by guessing."""
        return self.low > 0.5


@dataclass(frozen=True, eq=False)
class Explanation:
    """What is different about the current texts.

    Attributes
    ----------
    separation : Separation or None
        None when there are too few different texts for a classifier.
    moved : MovedWords
        The words and phrases that rose and fell, beyond chance.
    arrived, vanished : tuple of str
        Current texts that are most unlike the reference, and reference texts whose like is missing now; each
        holds words that moved. Empty where no word did.
    unlike : array of shape (current texts,)
        1 where a current text is stranger than `BEYOND` of the reference, 0 where not, NaN where nobody could tell.
    """

    separation: Separation | None
    moved: MovedWords
    arrived: tuple[str, ...]
    vanished: tuple[str, ...]
    unlike: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """Return what programs may want of it, as JSON types: no texts."""
        return {
            "separation": None if self.separation is None else asdict(self.separation),
            "rose": [asdict(word) for word in self.moved.rose],
            "fell": [asdict(word) for word in self.moved.fell],
        }


def explain(*, reference: Sequence[str], current: Sequence[str], words: int = 12, examples: int = 4) -> Explanation:
    """Tell two sets of texts apart and say by what; the same texts always give the same explanation.

    Parameters
    ----------
    reference, current : sequence of str
    words, examples : int
        At most so many words, and texts, are returned for each direction.
    """
    chosen = _even(len(reference)), _even(len(current))
    old, new = ([side[i] for i in rows.tolist()] for side, rows in zip((reference, current), chosen, strict=True))
    unlike = np.full(len(current), np.nan)
    counted = _count(old, new)
    if counted is None:
        return Explanation(None, MovedWords((), ()), (), (), unlike)
    counts, sides, vectorizer = counted
    z = z_scores(reference=sides[0], current=sides[1])
    moved = select(z, vectorizer.vocabulary.word, reference=sides[0], current=sides[1], top=words)
    is_current = np.arange(len(old) + len(new)) >= len(old)
    scores, separation = _tell_apart(counts, is_current, _folds([*old, *new]))
    if separation is not None:
        unlike[chosen[1]] = scores[is_current] > np.quantile(scores[~is_current], BEYOND)
    clear = np.abs(z) >= clear_from(len(z))
    return Explanation(
        separation=separation,
        moved=moved,
        arrived=_strangest(new, scores[is_current], counts[is_current][:, clear & (z > 0)], moved.rose, examples),
        vanished=_strangest(old, -scores[~is_current], counts[~is_current][:, clear & (z < 0)], moved.fell, examples),
        unlike=unlike,
    )


def separation_of(auc: float, *, reference: int, current: int, confidence: float = 0.95) -> Separation:
    """Return an AUC with its score interval, which holds at 0 and 1 too (Newcombe 2006, method 5)."""
    z = float(norm.ppf(0.5 + confidence / 2))
    extra = (reference + current) / 2 - 1

    def beyond(true: float) -> float:
        spread = 1 + extra * (1 - true) / (2 - true) + extra * true / (1 + true)
        return (auc - true) ** 2 - z**2 * true * (1 - true) * spread / (reference * current)

    tiny = 1e-9
    low = brentq(beyond, 0, auc - tiny) if auc > tiny else 0.0
    high = brentq(beyond, auc + tiny, 1) if auc < 1 - tiny else 1.0
    return Separation(auc, float(low), float(high))


def _even(rows: int) -> NDArray[np.intp]:
    """Choose at most `TEXTS` rows, always the same ones and without a pattern."""
    if rows <= TEXTS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, TEXTS, replace=False))


def _count(
    old: list[str], new: list[str]
) -> tuple[sparse.csr_matrix, tuple[SideCounts, SideCounts], NgramVectorizer] | None:
    if not (old and new):
        return None
    fewest = fewest_texts(reference=len(old), current=len(new))
    vectorizer = NgramVectorizer(max_ngram=LONGEST, min_documents=fewest, binary=False)
    try:
        counts = vectorizer.fit_transform([*old, *new])
    except NotEnoughDataError:  # no word is in enough texts
        return None
    _, marks = vectorizer.vocabulary.known(np.concatenate([text_keys(mark, 1)[0] for mark in MARKS]))
    reference, current = (
        SideCounts.of(half, words=_tokens(side) - int(half[:, marks].sum()))
        for half, side in ((counts[: len(old)], old), (counts[len(old) :], new))
    )
    return counts, (reference, current), vectorizer


def _tokens(texts: list[str]) -> int:
    return sum(len(ngram_keys(batch, 1).starts) for batch in in_batches(texts))


def _folds(texts: list[str]) -> NDArray[np.intp]:
    """Deal texts to folds by their content, so that copies of a text are never asked of one that saw it."""
    return np.array([zlib.crc32(text.encode(errors="replace")) % _FOLDS for text in texts], dtype=np.intp)


def _tell_apart(
    counts: sparse.csr_matrix, is_current: NDArray[np.bool_], folds: NDArray[np.intp]
) -> tuple[NDArray[np.float64], Separation | None]:
    """Score each text by a classifier that did not see it, higher where it looks current, and rate the scores."""
    present = counts.copy()
    present.data[:] = 1
    lengths = np.sqrt(np.maximum(np.diff(present.indptr), 1))
    scores, won, pairs = np.zeros(len(folds)), 0.0, 0
    for fold in range(_FOLDS):
        asked = folds == fold
        weights = _log_odds(present[~asked], is_current[~asked])
        scores[asked] = (present[asked] @ weights) / lengths[asked]
        here = int((asked & is_current).sum()) * int((asked & ~is_current).sum())
        won += here * _auc(scores[asked], is_current[asked]) if here else 0.0
        pairs += here
    new = int(is_current.sum())
    if min(new, len(folds) - new) < _FEWEST or not pairs:
        return scores, None
    return scores, separation_of(won / pairs, reference=len(folds) - new, current=new)


def _log_odds(present: sparse.csr_matrix, is_current: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Naive Bayes: the log of how much likelier each n-gram is in a current text, one added to every count."""
    new = present.T @ is_current.astype(np.float64)
    old = present.T @ (~is_current).astype(np.float64)
    rows = int(is_current.sum())
    odds: NDArray[np.float64] = np.log((new + 1) / (rows + 2)) - np.log((old + 1) / (len(is_current) - rows + 2))
    return odds


def _auc(scores: NDArray[np.float64], is_current: NDArray[np.bool_]) -> float:
    new = int(is_current.sum())
    ranks = float(rankdata(scores)[is_current].sum())
    return (ranks - new * (new + 1) / 2) / (new * (len(scores) - new))


def _strangest(
    texts: Sequence[str], scores: NDArray[np.float64], telling: sparse.csr_matrix, moved: Sequence[MovedWord], top: int
) -> tuple[str, ...]:
    """Return the texts with the highest scores among those that hold a word that moved, each once.

    The best of each word come first, so that one phrase does not take all the room. `telling` counts the n-grams
    that are clear: a text without any need not be read.
    """
    best, others = dict[str, str](), list[str]()
    order = np.argsort(-scores, kind="stable")
    for i in order[np.diff(telling.indptr)[order] > 0][:_READ].tolist():
        tokens = f" {' '.join(tokens_of(clean(texts[i])))} "
        clearest = next((item.word for item in moved if f" {item.word} " in tokens), None)
        if clearest is not None and best.setdefault(clearest, texts[i]) is not texts[i]:
            others.append(texts[i])
        if len(best) == top:
            break
    return tuple(dict.fromkeys([*best.values(), *others]))[:top]
