"""Why a model answers as it does: the words of one text, and the words that matter most over many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sentiment.serving.scorer import BASELINE, Scorer


@dataclass(frozen=True)
class Explanation:
    """The answer to one text, taken apart.

    Attributes
    ----------
    probability : float
        Of the label.
    margin : float
        How far the text is on the positive side: the sum of the baseline and all words. With two labels, the
        log-odds of the positive one; with more, the mean of the margins, each counted by the position of its label.
    baseline : float
        The margin of a text without known words.
    words : tuple of (str, float)
        What each known word or word sequence adds, largest first; below zero it is negative.
    abstained : bool
        Whether the answer is unsure: no surer than `min_confidence`.
    """

    text: str
    label: str
    probability: float
    margin: float
    baseline: float
    words: tuple[tuple[str, float], ...]
    abstained: bool
    min_confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class TellingWord:
    """A word or word sequence that moves many answers.

    Attributes
    ----------
    weight : float
        What it adds to the sum of a text in which it occurs, before the factor for its length.
    support : int
        In how many of the texts it occurs.
    effect : float
        What it adds to the margin on average over all texts.
    """

    word: str
    weight: float
    support: int
    effect: float


@dataclass(frozen=True)
class TellingWords:
    """The words that moved the answers to some texts most, each side with the largest effect first."""

    texts: int
    positive: tuple[TellingWord, ...]
    negative: tuple[TellingWord, ...]

    def top(self, most: int) -> TellingWords:
        """Return the first words of each side."""
        return TellingWords(self.texts, self.positive[:most], self.negative[:most])

    def to_dict(self) -> dict[str, Any]:
        """Return the words as JSON types."""
        return asdict(self)


def explain(scorer: Scorer, text: str) -> Explanation:
    """Take the answer to a text apart; `Scorer.contributions` defines the parts."""
    parts = scorer.contributions(text)
    table = scorer.probabilities([text])
    [probabilities] = table
    best = int(probabilities.argmax())
    return Explanation(
        text=text,
        label=scorer.labels[best],
        probability=float(probabilities[best]),
        margin=math.fsum(value for _, value in parts),
        baseline=dict(parts)[BASELINE],
        words=tuple((word, value) for word, value in parts if word != BASELINE),
        abstained=bool(scorer.abstains(table)[0]),
        min_confidence=scorer.min_confidence,
    )


def telling_words(scorer: Scorer, texts: Sequence[str], *, top: int) -> TellingWords:
    """Return the `top` words that moved the answers to the texts most, to each side."""
    weights, (support, factors) = scorer.word_weights(), scorer.support(texts)
    effects = weights * factors / max(len(texts), 1)

    def word(column: int) -> TellingWord:
        values = float(weights[column]), int(support[column]), float(effects[column])
        return TellingWord(scorer.vocabulary.word(column), *values)

    order = np.argsort(effects, kind="stable")
    return TellingWords(
        texts=len(texts),
        positive=tuple(word(column) for column in order[::-1][:top].tolist() if effects[column] > 0),
        negative=tuple(word(column) for column in order[:top].tolist() if effects[column] < 0),
    )
