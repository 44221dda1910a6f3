"""What a drift check measures: how far the current texts are from the reference, signal by signal.

Every signal is a two-sample test with an effect size. The champion's own scores come first: a shift in what
a classifier answers is the most powerful cheap sign of a shift in what it is asked (Lipton et al. 2018,
"Detecting and correcting for label shift with black box predictors"; Rabanser et al. 2019, "Failing
loudly"). The p-value says whether a difference is more than chance, the distance (0 to 1) whether it matters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, kstwo

SCORES, PREDICTION_MIX, UNKNOWN_WORDS = "scores", "prediction_mix", "unknown_words"
CHARACTERS, WORDS = "characters", "words"

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, eq=False)
class Sample:
    """One side of a comparison: texts and what was measured on them, row by row.

    Attributes
    ----------
    texts : tuple of str
    characters, words : array of shape (n,)
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
    characters: NDArray[np.float64]
    words: NDArray[np.float64]
    scores: NDArray[np.float64] | None = None
    predictions: tuple[str, ...] | None = None
    unknown_share: NDArray[np.float64] | None = None
    confidence: NDArray[np.float64] | None = None
    labels: tuple[str | None, ...] | None = None
    sources: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Signal:
    """How far one property of the current texts is from the reference.

    Attributes
    ----------
    name : str
        ``scores``, ``prediction_mix``, ``unknown_words``, ``characters`` or ``words``.
    p_value : float
        Chance of a difference this large between two samples of the same texts.
    distance : float
        0 (the same) to 1 (nothing in common): Kolmogorov-Smirnov statistic, or total variation for labels.
    reference, current : float
        The mean of each side; for `prediction_mix`, the share of the label that moved most.
    description : str
        What `reference` and `current` are, in plain words.
    """

    name: str
    p_value: float
    distance: float
    reference: float
    current: float
    description: str


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
    """Measure texts, and keep what a model said of them beside it."""
    kept = tuple(texts)
    return Sample(
        texts=kept,
        characters=np.array([len(text) for text in kept], dtype=np.float64),
        words=np.array([len(_WORD.findall(text)) for text in kept], dtype=np.float64),
        scores=None if scores is None else np.asarray(scores, dtype=np.float64),
        predictions=None if predictions is None else tuple(predictions),
        unknown_share=None if unknown_share is None else np.asarray(unknown_share, dtype=np.float64),
        confidence=None if confidence is None else np.asarray(confidence, dtype=np.float64),
        labels=None if labels is None else tuple(labels),
        sources=None if sources is None else tuple(sources),
    )


def compare(*, reference: Sample, current: Sample) -> tuple[Signal, ...]:
    """Return every signal that both sides carry, those about the model first."""
    found = [
        _shift(SCORES, reference.scores, current.scores, "the mean score (0 negative, 1 positive)"),
        None
        if reference.predictions is None or current.predictions is None
        else label_shift(reference=reference.predictions, current=current.predictions),
        _shift(
            UNKNOWN_WORDS,
            reference.unknown_share,
            current.unknown_share,
            "the mean share of words that the model does not know",
        ),
        _shift(CHARACTERS, reference.characters, current.characters, "the mean number of characters"),
        _shift(WORDS, reference.words, current.words, "the mean number of words"),
    ]
    return tuple(signal for signal in found if signal is not None)


def value_shift(name: str, *, reference: ArrayLike, current: ArrayLike, description: str = "") -> Signal:
    """Compare two samples of numbers by the two-sample Kolmogorov-Smirnov test.

    Values that are not finite are left out. Ties make the test conservative, never the reverse. A side
    without values gives distance 0 and p-value 1: nothing was seen, so nothing is claimed.
    """
    old, new = _finite(reference), _finite(current)
    if not (len(old) and len(new)):
        return Signal(name, 1.0, 0.0, _mean(old), _mean(new), description)
    points = np.union1d(old, new)
    shares = [np.searchsorted(np.sort(side), points, side="right") / len(side) for side in (old, new)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    size = max(1, round(len(old) * len(new) / (len(old) + len(new))))
    p_value = float(kstwo.sf(distance, size)) if distance else 1.0
    return Signal(name, _unit(p_value), _unit(distance), _mean(old), _mean(new), description)


def label_shift(*, reference: Sequence[str], current: Sequence[str]) -> Signal:
    """Compare two label mixes: G-test of homogeneity, and the total variation distance."""
    old, new = Counter(reference), Counter(current)
    labels = sorted(old.keys() | new.keys())
    counts = np.array([[side[label] for label in labels] for side in (old, new)], dtype=np.float64)
    if not (len(reference) and len(current)):
        return Signal(PREDICTION_MIX, 1.0, 0.0, 0.0, 0.0, "the share of each label")
    shares = counts / counts.sum(axis=1, keepdims=True)
    gaps = np.abs(shares[1] - shares[0])
    moved = int(np.flatnonzero(gaps >= gaps.max() - 1e-9)[-1])  # of two that moved alike, the last: positive
    return Signal(
        PREDICTION_MIX,
        _g_test(counts),
        _unit(float(gaps.sum() / 2)),
        float(shares[0, moved]),
        float(shares[1, moved]),
        f"the share of the label {labels[moved]}",
    )


def _shift(
    name: str, old: NDArray[np.float64] | None, new: NDArray[np.float64] | None, description: str
) -> Signal | None:
    if old is None or new is None:
        return None
    return value_shift(name, reference=old, current=new, description=description)


def _g_test(counts: NDArray[np.float64]) -> float:
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
    ratio = np.divide(counts, expected, out=np.ones_like(counts), where=counts > 0)
    statistic = max(0.0, 2 * float((counts * np.log(ratio)).sum()))
    freedom = counts.shape[1] - 1
    return _unit(float(chi2.sf(statistic, freedom))) if freedom else 1.0


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _mean(values: NDArray[np.float64]) -> float:
    scale = float(np.abs(values).max()) if len(values) else 0.0
    return float((values / scale).mean()) * scale if scale else 0.0  # the largest floats do not overflow


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
