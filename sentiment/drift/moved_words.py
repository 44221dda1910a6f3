"""Which words and phrases became more, or less, frequent, as far as that is more than chance.

An n-gram's rate among all words is compared by the signed root of Dunning's log-likelihood ratio (1993), which
holds for rare words and for words that one side lacks. The ratio is divided by the n-gram's occurrences per
text that holds it: one text that repeats a word is not many witnesses. Some hundred thousand n-grams are
tested, so the z-score that counts as clear grows with their number (Bonferroni): of a hundred comparisons in
which nothing moved, one shows a word.

A phrase and its parts move together. The longest wording that accounts for the movement stands for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import norm

from sentiment.features.clean import MARKS

CHANCE = 0.01
"""How likely it is that any n-gram is shown as moved where none has."""

LONGEST = 6  # words of a phrase that are counted as one; longer ones are put together from overlapping parts
_LINK = 3  # spaces; so long an n-gram may begin or end with a mark: parts of a phrase meet at its marks
_EDGES = f" {MARKS}"
_MOST = 500  # n-grams among which phrases are looked for, the clearest
_ACCOUNTS = 0.7  # share of a word's movement that a phrase holding it must have to stand for it


@dataclass(frozen=True)
class MovedWord:
    """A word, or a phrase, whose frequency changed.

    `reference` and `current` are its occurrences in a thousand words, `reference_texts` and `current_texts` the
    shares of texts that hold it; `z` is positive where it rose.
    """

    word: str
    z: float
    reference: float
    current: float
    reference_texts: float = 0.0
    current_texts: float = 0.0

    @property
    def shift(self) -> float:
        """How much its rate changed."""
        return self.current - self.reference


@dataclass(frozen=True)
class MovedWords:
    """The words that rose and fell most, the clearest first."""

    rose: tuple[MovedWord, ...]
    fell: tuple[MovedWord, ...]

    def __len__(self) -> int:
        return len(self.rose) + len(self.fell)


@dataclass(frozen=True)
class SideCounts:
    """How often each n-gram is in one side: `occurrences` and `texts` of shape (n-grams,), and all its words."""

    occurrences: NDArray[np.float64]
    texts: NDArray[np.float64]
    words: int
    rows: int

    @classmethod
    def of(cls, counts: sparse.csr_matrix, *, words: int) -> SideCounts:
        """Add up the rows of a matrix of counts."""
        width = counts.shape[1]
        texts = np.bincount(counts.indices, minlength=width).astype(np.float64, copy=False)
        occurrences = np.bincount(counts.indices, weights=counts.data, minlength=width).astype(np.float64, copy=False)
        return cls(occurrences, texts, words, counts.shape[0])


def z_scores(*, reference: SideCounts, current: SideCounts) -> NDArray[np.float64]:
    """Return the signed root of the corrected log-likelihood ratio of each n-gram, positive where it rose."""
    if not (reference.words and current.words):
        return np.zeros(len(reference.occurrences))
    before, after = reference.occurrences, current.occurrences
    occurrences = np.maximum(before + after, 1)
    rate = occurrences / (reference.words + current.words)
    ratio = 2 * (_surprise(before, reference.words * rate) + _surprise(after, current.words * rate))
    size = np.sqrt(np.maximum(ratio, 0) * (reference.texts + current.texts) / occurrences)
    z: NDArray[np.float64] = np.copysign(size, after / current.words - before / reference.words)
    return z


def clear_from(tested: int) -> float:
    """Return the z-score from which an n-gram is shown as moved, when so many were tested."""
    return float(norm.isf(CHANCE / 2 / max(1, tested)))


def fewest_texts(*, reference: int, current: int) -> int:
    """Return in how many texts an n-gram must be to be clear at all: those in fewer need not be counted.

    An n-gram in k texts, all on the smaller side, has a ratio of at most ``2 k log(all / smaller)``. The half
    of that bound leaves room for sides whose texts differ in length.
    """
    smaller = min(reference, current)
    bound = clear_from(1_000) ** 2 / (2 * math.log((reference + current) / smaller)) if smaller else 2
    return max(2, int(bound / 2))


def select(
    z: NDArray[np.float64], word_of: Callable[[int], str], *, reference: SideCounts, current: SideCounts, top: int
) -> MovedWords:
    """Return the `top` clearest words or phrases of each direction; `word_of` tells the n-gram of a column."""
    clear = np.flatnonzero(np.abs(z) >= clear_from(len(z)))
    order = clear[np.argsort(-np.abs(z[clear]), kind="stable")]

    def moved(sign: int) -> tuple[MovedWord, ...]:
        mine = order[np.sign(z[order]) == sign].tolist()
        named = ((i, word) for i, word in ((i, word_of(i)) for i in mine) if _reads_well(word))
        found = [_word(word, float(z[i]), i, reference, current) for i, word in islice(named, _MOST)]
        told = _telling(sorted(found, key=_rank))
        bare = [replace(item, word=item.word.strip(_EDGES) or item.word) for item in told]
        return tuple(_telling(sorted(bare, key=_rank))[:top])

    return MovedWords(rose=moved(1), fell=moved(-1))


def _reads_well(word: str) -> bool:
    """Return whether an n-gram says something: one of words between words, an outcry, or a link of a long phrase."""
    return word in {"!", "?"} or word.count(" ") >= _LINK or not {word[0], word[-1]} & set(MARKS)


def _rank(item: MovedWord) -> tuple[float, int, str]:
    return -round(abs(item.z), 6), -item.word.count(" "), item.word


def _word(word: str, z: float, index: int, reference: SideCounts, current: SideCounts) -> MovedWord:
    return MovedWord(
        word=word,
        z=z,
        reference=float(1000 * reference.occurrences[index] / reference.words),
        current=float(1000 * current.occurrences[index] / current.words),
        reference_texts=float(reference.texts[index] / reference.rows),
        current_texts=float(current.texts[index] / current.rows),
    )


def _telling(found: list[MovedWord]) -> list[MovedWord]:
    """Leave one wording of each movement: a phrase for its parts, or a word for the phrases it is in."""
    kept: list[MovedWord] = []
    for item in found:
        for place, other in enumerate(kept):
            if both := _both(item, other):
                kept[place] = both
                break
        else:
            kept.append(item)
    return kept if len(kept) == len(found) else _telling(kept)


def _both(item: MovedWord, other: MovedWord) -> MovedWord | None:
    """Return the one that stands for both; None if each moved for itself. `other` is at least as clear."""
    if item.word == other.word:
        return other
    mine, theirs = item.word.split(), other.word.split()
    less, more = sorted((abs(item.shift), abs(other.shift)))
    alike = less >= _ACCOUNTS * more
    if _holds(theirs, mine):
        return other if alike or abs(item.shift) == less else None
    if _holds(mine, theirs):
        return item if alike else other
    joined = (_joined(mine, theirs) or _joined(theirs, mine)) if alike else None
    return replace(other, word=" ".join(joined)) if joined else None


def _holds(words: Sequence[str], part: Sequence[str]) -> bool:
    return any(words[i : i + len(part)] == part for i in range(len(words) - len(part) + 1))


def _joined(first: list[str], second: list[str]) -> list[str] | None:
    """Return both as one if the end of the first, of two words or more, is the beginning of the second."""
    for size in range(min(len(first), len(second)) - 1, 1, -1):
        if first[-size:] == second[:size]:
            return [*first, *second[size:]]
    return None


def _surprise(observed: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.divide(observed, expected, out=np.ones_like(observed), where=observed > 0)
    surprise: NDArray[np.float64] = observed * np.log(ratio)
    return surprise
