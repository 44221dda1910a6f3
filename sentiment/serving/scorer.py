"""The scorer: a trained pipeline as plain arrays, answering with the same probabilities in numpy alone.

A model file is an ``.npz`` of plain arrays, the large ones mapped into memory. It is read without unpickling, so it
can hold numbers and text but no code, and its digest is taken over the content.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import exp, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.cleaning import Cleaning
from sentiment.errors import IntegrityError
from sentiment.features.chain import Chain
from sentiment.features.known import Known, known_in_text, known_in_texts
from sentiment.features.tokens import batches
from sentiment.features.vocabulary import Vocabulary
from sentiment.serving.arrays import read_arrays, write_arrays

FORMAT = 4
"""Version of the file format; a scorer reads no other."""

_MAPPED = ("keys", "weights")
"""What every answer looks at; words are only looked up to explain."""

_BATCH_CHARACTERS = 1 << 16  # what is worked on stays near the processor

BASELINE = "(baseline)"
"""Stands for the intercept among the contributions; no n-gram holds a bracket."""


def length_factors(ngrams: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return what the sum of weights is multiplied by, for texts in which so many n-grams count.

    Evidence adds up with the length of a text, and so does noise: without a factor, long texts are certain
    of everything and short ones lean on the intercept.
    """
    factors: NDArray[np.float64] = 1.0 / np.sqrt(np.maximum(ngrams, 1))
    return factors


def probabilities_of(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn margins into probabilities of the labels.

    Parameters
    ----------
    margins : ndarray of shape (n, 1) or (n, labels)
        Log-odds: of the second label in the binary case, else of each label against the rest.

    Returns
    -------
    ndarray of shape (n, labels)
        The sigmoid, or the sigmoids divided by their sum. Rows sum to one and hold no NaN however large
        the margins are.
    """
    if margins.shape[1] == 1:
        both: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, np.concatenate([margins, -margins], axis=1)))
        return both
    logs = -np.logaddexp(0.0, -margins)
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return probabilities


def _both(margin: float) -> list[float]:
    """Return what `probabilities_of` does of one margin, as floats, in a tenth of the time."""
    small = exp(-abs(margin))
    either = [small / (1.0 + small), 1.0 / (1.0 + small)]
    return either if margin > 0 else either[::-1]


@dataclass(frozen=True, eq=False)
class Scorer:
    """Probabilities of the labels of texts.

    Attributes
    ----------
    labels : tuple of str
        From the most negative to the most positive; the order of the columns of the probabilities.
    vocabulary : Vocabulary
        The n-grams that count.
    weights : ndarray of float32, shape (1 or labels, columns)
        What each n-gram adds to the margins, before the sum is multiplied by the `length_factors`; one row in
        the binary case.
    intercepts : ndarray of float64, shape (1 or labels,)
        Margins of a text in which no n-gram counts.
    max_ngram : int
        Longest n-gram.
    chain : Chain
        The cleaning with which the n-grams were learned.
    min_confidence : float
        An answer whose label is no more probable than this is unsure.
    length_normalised : bool
        False leaves the sums of weights as they are: a plain bag of words, without `length_factors`.
    """

    labels: tuple[str, ...]
    vocabulary: Vocabulary
    weights: NDArray[np.float32]
    intercepts: NDArray[np.float64]
    max_ngram: int
    chain: Chain = Chain()  # noqa: RUF009, it is frozen
    min_confidence: float = 0.0
    length_normalised: bool = True

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, in hex: equal models have equal digests, whoever wrote them and when."""
        digest = hashlib.sha256()
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @cached_property
    def _rows(self) -> list[NDArray[np.float32]]:
        return list(self.weights)

    @cached_property
    def _offsets(self) -> list[float]:
        offsets: list[float] = self.intercepts.tolist()
        return offsets

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the probability of each label, shape (texts, labels); rows sum to one."""
        return self.read(texts)[0]

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return how positive each text is, from 0 to 1.

        The mean position of the label when the labels are spread evenly over 0 to 1; in the binary case,
        the probability of the positive label.
        """
        return self.scores_of(self.probabilities(texts))

    def scores_of(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores that go with probabilities of the labels, shape (texts, labels)."""
        scores: NDArray[np.float64] = np.minimum(np.maximum(probabilities @ self._positions, 0.0), 1.0)
        return scores

    @cached_property
    def _positions(self) -> NDArray[np.float64]:
        return np.linspace(0.0, 1.0, len(self.labels))

    def abstains(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return for each row of probabilities whether the answer is unsure, shape (texts,)."""
        unsure: NDArray[np.bool_] = probabilities.max(axis=1) <= self.min_confidence
        return unsure

    def margins(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the log-odds before they become probabilities, shape (texts, 1 or labels)."""
        return self._read(texts)[0]

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `probabilities` and `unknown_share` of the texts, in the time that one of them takes."""
        if len(texts) == 1:
            probabilities, share = self.read_one(texts[0])
            return np.array([probabilities]), np.array([share])
        margins, shares = self._read(texts)
        return probabilities_of(margins), shares

    def read_one(self, text: str) -> tuple[list[float], float]:
        """Return the probability of each label and the unknown share of one text, sooner than `read`."""
        margins, share = self._read_one(text)
        return (_both(*margins) if len(margins) == 1 else probabilities_of(np.array([margins]))[0].tolist()), share

    def unknown_share(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the share of each text's tokens (words, ``!``, ``?``) that the model does not know.

        Zero for a text without tokens.
        """
        return self._read(texts)[1]

    def contributions(self, text: str) -> list[tuple[str, float]]:
        """Return what each known n-gram of a text adds towards the positive end, largest first.

        The values, with the intercept as `BASELINE`, sum to the margin in the binary case. With more
        labels they sum to the mean of the margins, each counted by the position of its label from -1 (the
        worst) to 1 (the best).
        """
        columns, _ = self._known_in(text)
        factor = self._factors(np.array(len(columns)))
        values = (self._towards_positive @ self.weights[:, columns] * factor).tolist()
        found = [(self.vocabulary.word(column), value) for column, value in zip(columns, values, strict=True)]
        found.append((BASELINE, float(self._towards_positive @ self.intercepts)))
        return sorted(found, key=lambda item: (-abs(item[1]), item[0]))

    def word_weights(self) -> NDArray[np.float64]:
        """Return what each n-gram adds towards the positive end, shape (columns,), before the `length_factors`."""
        weights: NDArray[np.float64] = self._towards_positive @ self.weights
        return weights

    def support(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return in how many of the texts each n-gram occurs, and the sum of those texts' `length_factors`."""
        counts, factors = np.zeros(len(self.vocabulary), np.int64), np.zeros(len(self.vocabulary))
        for batch in batches(texts, _BATCH_CHARACTERS):
            known = self._known(texts[batch])
            columns = known.columns[known.once]
            counts += np.bincount(columns, minlength=len(counts))
            factors += np.bincount(columns, self._factors(known.counts)[known.rows[known.once]], minlength=len(counts))
        return counts, factors

    def _factors(self, ngrams: NDArray[np.integer]) -> NDArray[np.float64]:
        return length_factors(ngrams) if self.length_normalised else np.ones(ngrams.shape)

    @property
    def _towards_positive(self) -> NDArray[np.float64]:
        """How much each margin counts towards the positive end."""
        if len(self.weights) == 1:
            return np.ones(1)
        return np.linspace(-1.0, 1.0, len(self.weights)) / len(self.weights)

    def save(self, path: Path) -> None:
        """Write the model file; a reader sees the old file or the new one, never a part."""
        write_arrays(Path(path), self._arrays(), mapped=_MAPPED)

    @classmethod
    def load(cls, path: Path, *, digest: str | None = None) -> "Scorer":
        """Read a model file; keys and weights stay mapped from it, shared with other processes.

        Raises
        ------
        IntegrityError
            It is missing, damaged, of another format, or not the file with that digest.
        """
        try:
            scorer = cls._from_arrays(read_arrays(Path(path)))
        except Exception as error:  # a damaged zip or array fails in many ways
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise IntegrityError(
                f"{path} is not a readable model file: {reason}.",
                fix="Fetch it from the registry again, or package the champion again.",
            ) from error
        if digest is not None and scorer.digest != digest:
            raise IntegrityError(
                f"{path} is not the model that was registered: its digest is {scorer.digest}, not {digest}.",
                fix="Fetch it from the registry again, or package the champion again.",
            )
        return scorer

    def _read(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `margins` and `unknown_share` of the texts."""
        margins, unknown = np.empty((len(texts), len(self.intercepts))), np.empty(len(texts))
        for batch in batches(texts, _BATCH_CHARACTERS):
            known = self._known(texts[batch])
            unknown[batch] = known.unknown_share()
            factors = self._factors(known.counts)
            for label, weights in enumerate(self.weights):
                margins[batch, label] = known.sums(weights) * factors
        margins += self.intercepts
        return margins, unknown

    def _read_one(self, text: str) -> tuple[list[float], float]:
        columns, share = self._known_in(text)
        factor = 1 / sqrt(len(columns) or 1) if self.length_normalised else 1.0  # as `_factors`
        sums = [float(np.add.reduce(weights.take(columns), dtype=np.float64)) for weights in self._rows]
        return [total * factor + intercept for total, intercept in zip(sums, self._offsets, strict=True)], share

    def _known_in(self, text: str) -> tuple[NDArray[np.int32], float]:
        return known_in_text(text, self.vocabulary, self.max_ngram, self.chain.clean)

    def _known(self, texts: Sequence[str]) -> Known:
        return known_in_texts(texts, self.vocabulary, self.max_ngram, self.chain.clean)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        header = {
            "format": FORMAT,
            "labels": self.labels,
            "max_ngram": self.max_ngram,
            "min_confidence": self.min_confidence,
            "cleaning": asdict(self.chain.cleaning),
            "length_normalised": self.length_normalised,
        }
        return {
            "header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8),
            "keys": self.vocabulary.keys.astype("<u8", copy=False),
            "text": self.vocabulary.text.astype("u1", copy=False),
            "lengths": np.diff(self.vocabulary.ends, prepend=0).astype("<u4"),
            "forms": self.chain.forms.astype("u1", copy=False),
            "weights": self.weights.astype("<f4", copy=False),
            "intercepts": self.intercepts.astype("<f8", copy=False),
        }

    @classmethod
    def _from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "Scorer":
        header = json.loads(arrays["header"].tobytes())
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}, but this version reads format {FORMAT}")
        ends = np.cumsum(arrays["lengths"], dtype=np.int64)
        scorer = cls(
            labels=tuple(header["labels"]),
            vocabulary=Vocabulary(arrays["keys"], arrays["text"], ends),
            weights=arrays["weights"],
            intercepts=arrays["intercepts"],
            max_ngram=header["max_ngram"],
            chain=Chain.checked(Cleaning(**header["cleaning"]), arrays["forms"]),
            min_confidence=header["min_confidence"],
            length_normalised=header["length_normalised"],
        )
        if problem := _problem(scorer):
            raise ValueError(problem)
        return scorer


def _problem(scorer: Scorer) -> str:
    """Say what keeps these arrays from being a model; empty if nothing does."""
    words, labels = scorer.vocabulary, len(scorer.labels)
    margins = 1 if labels == 2 else labels
    expected: dict[str, tuple[NDArray[Any], tuple[int, ...], type]] = {
        "keys": (words.keys, (len(words.keys),), np.uint64),
        "text": (words.text, (len(words.text),), np.uint8),
        "ends": (words.ends, (len(words.keys),), np.int64),
        "weights": (scorer.weights, (margins, len(words.keys)), np.float32),
        "intercepts": (scorer.intercepts, (margins,), np.float64),
    }
    for name, (array, shape, dtype) in expected.items():
        if array.shape != shape or array.dtype != dtype:
            return f"{name} has shape {array.shape} and type {array.dtype}, not {shape} and {np.dtype(dtype)}"
    if labels < 2 or not len(words) or not 1 <= scorer.max_ngram <= 8:
        return f"{labels} labels, {len(words)} n-grams, longest n-gram {scorer.max_ngram}"
    if np.any(np.diff(words.ends, prepend=0) < 0):
        return "words are out of order"
    if words.ends[-1] != len(words.text):
        return "words are cut off"
    if not 0 <= scorer.min_confidence <= 1:
        return f"no answer is surer than {scorer.min_confidence}"
    if not (np.isfinite(scorer.weights).all() and np.isfinite(scorer.intercepts).all()):
        return "weights are not finite"
    return ""
