"""The words of texts, and how many of them are unknown where no model says so."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sentiment.features.clean import clean

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


def words_of(text: str) -> frozenset[str]:
    """Return the distinct words of a text, in lower case."""
    return frozenset(_WORD.findall(clean(text)))


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
