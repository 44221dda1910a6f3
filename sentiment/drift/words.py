"""Which words moved between two sets of texts, and which texts show it best.

A word's rate among all words is compared by the signed root of Dunning's log-likelihood ratio (1993), which
holds for rare words and for words that one side lacks. The ratio is divided by the word's occurrences per
text that holds it: one text that repeats a word is not many witnesses.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentiment.features.clean import clean

CLEAR = 4.0  # z-score below which a word is not shown as moved

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


@dataclass(frozen=True)
class MovedWord:
    """A word whose frequency changed.

    `reference` and `current` are its occurrences in a thousand words; `z` is positive where it rose.
    """

    word: str
    z: float
    reference: float
    current: float


@dataclass(frozen=True)
class MovedWords:
    """The words that rose and fell most, the clearest first."""

    rose: tuple[MovedWord, ...]
    fell: tuple[MovedWord, ...]


def words_of(text: str) -> frozenset[str]:
    """Return the distinct words of a text, in lower case."""
    return frozenset(_tokens(text))


def moved_words(*, reference: Sequence[str], current: Sequence[str], top: int = 15) -> MovedWords:
    """Return the `top` words whose frequency rose, and fell, most clearly."""
    old, new = _count(reference), _count(current)
    if not (old.total and new.total):
        return MovedWords((), ())
    scored = [
        MovedWord(word, z, old.per_thousand(word), new.per_thousand(word))
        for word, z in _z_scores(old, new).items()
        if abs(z) >= CLEAR
    ]
    scored.sort(key=lambda item: (-abs(item.z), item.word))
    return MovedWords(
        rose=tuple(item for item in scored if item.z > 0)[:top],
        fell=tuple(item for item in scored if item.z < 0)[:top],
    )


def unusual_texts(texts: Sequence[str], *, moved: MovedWords, top: int = 6) -> tuple[str, ...]:
    """Return the texts that are most unlike the reference: those with most of the words that rose.

    Weight is per square root of a text's words, so that neither long nor one-word texts win by length.
    Empty when no word rose; repeated texts are shown once.
    """
    weight = {item.word: item.z for item in moved.rose}
    scored = []
    for text in dict.fromkeys(texts):
        words = words_of(text)
        total = sum(weight.get(word, 0.0) for word in words)
        if total > 0:
            scored.append((-total / math.sqrt(len(words) + 5), text))
    return tuple(text for _, text in sorted(scored)[:top])


def crossed_unknown_share(
    *, reference: Sequence[str], current: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of unknown words of each text, when there is no model whose vocabulary says so.

    The vocabulary is the reference's own, cross-fitted: each half of the reference is the vocabulary of the
    other half, and of every second current text. So no text is measured against words it contributed.
    """
    vocabularies = [frozenset[str]().union(*map(words_of, reference[half::2])) for half in (1, 0)]
    shares = [
        np.array([_share_outside(text, vocabularies[i % 2]) for i, text in enumerate(texts)])
        for texts in (reference, current)
    ]
    return shares[0], shares[1]


def _share_outside(text: str, vocabulary: frozenset[str]) -> float:
    words = words_of(text)
    return len(words - vocabulary) / len(words) if words else 0.0


@dataclass(frozen=True)
class _Counts:
    occurrences: Counter[str]
    texts: Counter[str]
    total: int

    def per_thousand(self, word: str) -> float:
        return 1000 * self.occurrences[word] / self.total


def _tokens(text: str) -> list[str]:
    return _WORD.findall(clean(text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def _count(texts: Iterable[str]) -> _Counts:
    occurrences: Counter[str] = Counter()
    holding: Counter[str] = Counter()
    for text in texts:
        tokens = _tokens(text)
        occurrences.update(tokens)
        holding.update(frozenset(tokens))
    return _Counts(occurrences, holding, occurrences.total())


def _z_scores(old: _Counts, new: _Counts) -> dict[str, float]:
    words = sorted(old.occurrences.keys() | new.occurrences.keys())
    before, after = (np.array([side.occurrences[word] for word in words], float) for side in (old, new))
    holding = np.array([old.texts[word] + new.texts[word] for word in words], float)
    rate = (before + after) / (old.total + new.total)
    ratio = 2 * (_surprise(before, old.total * rate) + _surprise(after, new.total * rate))
    size = np.sqrt(np.maximum(ratio, 0) * holding / (before + after))
    z: NDArray[np.float64] = np.copysign(size, after / new.total - before / old.total)
    return dict(zip(words, z.tolist(), strict=True))


def _surprise(observed: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.divide(observed, expected, out=np.ones_like(observed), where=observed > 0)
    surprise: NDArray[np.float64] = observed * np.log(ratio)
    return surprise
