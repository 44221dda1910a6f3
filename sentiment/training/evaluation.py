"""What there is to know about the answers of a model to labelled reviews: the values behind the page and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.training.evaluate import evaluate
from sentiment.training.intervals import share_interval
from sentiment.training.measures import CALIBRATION_BINS, Floats, calibration_bin
from sentiment.training.slices import Traits

HISTOGRAM_BINS = 20
SLICE_METRICS = ("accuracy", "macro_f1", "log_loss", "brier", "expected_calibration_error", "auc")


@dataclass(frozen=True)
class Share:
    """How many of some rows were right, with the 95% interval of that share (Wilson, 1927)."""

    rows: int
    right: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float

    @property
    def interval(self) -> tuple[float, float, float]:
        """The accuracy and the ends of its interval."""
        return self.accuracy, self.accuracy_low, self.accuracy_high


@dataclass(frozen=True)
class CalibrationBin:
    """The answers whose confidence is in one bin, and the mean of it."""

    confidence: float
    share: Share


@dataclass(frozen=True)
class ConfidenceBin:
    """How many answers with a confidence from `low` to `high` were right and wrong."""

    low: float
    high: float
    right: int
    wrong: int


@dataclass(frozen=True)
class CoveragePoint:
    """The surest answers: which share of all, down to which confidence, and how many of them were right."""

    coverage: float
    threshold: float
    share: Share


@dataclass(frozen=True)
class Band:
    """What becomes of the answers if the unsure ones are not given.

    Attributes
    ----------
    min_confidence : float
        Answers that are no surer than this are unsure.
    coverage, coverage_low, coverage_high : float
        Share of the reviews that are answered, with its 95% interval.
    answered : Share or None
        The others, and how many of them are right; None if all are unsure.
    """

    min_confidence: float
    coverage: float
    coverage_low: float
    coverage_high: float
    answered: Share | None

    def metrics(self) -> dict[str, float]:
        """Return the band as metrics; without an answer there is no accuracy."""
        ends = {f"coverage{end}": getattr(self, f"coverage{end}") for end in ("", "_low", "_high")}
        found = {"min_confidence": self.min_confidence, **ends}
        if self.answered:
            for end, value in zip(("", "_low", "_high"), self.answered.interval, strict=True):
                found[f"answered_accuracy{end}"] = value
        return found


@dataclass(frozen=True)
class LearningPoint:
    """A model that learned from so many reviews, on the same held-out reviews."""

    train_rows: int
    share: Share


@dataclass(frozen=True)
class Slice:
    """A group of reviews and the metrics on it that are defined there."""

    name: str
    share: Share
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """An evaluation.

    Attributes
    ----------
    confusion : tuple of tuple of int
        Counts: a row for each right label, a column for each answer, in the order of `labels`.
    metrics : Mapping[str, float]
        As `evaluate` returns them, intervals included, and those of the band.
    band : Band or None
        None if the model answers everything.
    """

    labels: tuple[str, ...]
    rows: int
    metrics: Mapping[str, float]
    confusion: tuple[tuple[int, ...], ...]
    calibration: tuple[CalibrationBin, ...]
    confidence: tuple[ConfidenceBin, ...]
    coverage: tuple[CoveragePoint, ...]
    slices: tuple[Slice, ...]
    learning: tuple[LearningPoint, ...] = ()
    band: Band | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON types."""
        return asdict(self)


def assess(
    probabilities: Floats,
    names: Sequence[str],
    *,
    traits: Traits,
    learning: Sequence[LearningPoint] = (),
    min_confidence: float = 0.0,
    seed: int = 0,
) -> Evaluation:
    """Evaluate the answers to reviews.

    Parameters
    ----------
    probabilities : ndarray of shape (n, len(names))
        Probability of each label.
    traits : Traits
        The right labels, and what the slices are made by.
    learning : sequence of LearningPoint
        The learning curve without its last point, which these answers give.
    min_confidence : float
        Answers that are no surer than this are unsure.

    Raises
    ------
    NotEnoughDataError, DataError
        As `evaluate` does.
    """
    labels = traits.label.tolist()
    metrics = evaluate(labels, probabilities, names, seed=seed)
    truth = np.array([list(names).index(label) for label in labels], dtype=np.intp)
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = answers == truth
    band = _band(confidence, right, min_confidence) if min_confidence else None
    cells = np.bincount(truth * len(names) + answers, minlength=len(names) ** 2).reshape(len(names), -1)
    return Evaluation(
        labels=tuple(names),
        rows=len(labels),
        metrics={**metrics, **(band.metrics() if band else {})},
        confusion=tuple(tuple(row) for row in cells.tolist()),
        calibration=_calibration(confidence, right),
        confidence=_histogram(confidence, right, lowest=1 / len(names)),
        coverage=_coverage(confidence, right),
        slices=_slices(labels, probabilities, names, traits, right),
        learning=tuple(learning),
        band=band,
    )


def shares(hits: NDArray[np.intp], rows: NDArray[np.intp]) -> list[Share]:
    """Return each share of hits with its interval; there must be rows."""
    low, high = share_interval(hits, rows)
    ends = zip(rows.tolist(), hits.tolist(), (hits / rows).tolist(), low.tolist(), high.tolist(), strict=True)
    return [Share(*values) for values in ends]


def _calibration(confidence: Floats, right: NDArray[np.bool_]) -> tuple[CalibrationBin, ...]:
    bins = calibration_bin(confidence)
    rows = np.bincount(bins, minlength=CALIBRATION_BINS)
    used = rows > 0
    hits = np.bincount(bins[right], minlength=CALIBRATION_BINS)
    means = np.bincount(bins, confidence, CALIBRATION_BINS)[used] / rows[used]
    return tuple(
        CalibrationBin(mean, share) for mean, share in zip(means.tolist(), shares(hits[used], rows[used]), strict=True)
    )


def _histogram(confidence: Floats, right: NDArray[np.bool_], *, lowest: float) -> tuple[ConfidenceBin, ...]:
    edges = np.linspace(lowest, 1.0, HISTOGRAM_BINS + 1)
    counts = [np.histogram(np.clip(confidence[rows], lowest, 1), edges)[0].tolist() for rows in (right, ~right)]
    return tuple(
        ConfidenceBin(low, high, hits, misses)
        for low, high, hits, misses in zip(edges[:-1].tolist(), edges[1:].tolist(), *counts, strict=True)
    )


def _coverage(confidence: Floats, right: NDArray[np.bool_]) -> tuple[CoveragePoint, ...]:
    order = np.argsort(-confidence, kind="stable")
    ranked, hits = confidence[order], np.cumsum(right[order], dtype=np.intp)
    kept = np.unique(np.ceil(np.arange(1, 101) / 100 * len(order)).astype(np.intp))
    return tuple(
        CoveragePoint(share.rows / len(order), threshold, share)
        for threshold, share in zip(ranked[kept - 1].tolist(), shares(hits[kept - 1], kept), strict=True)
    )


def _band(confidence: Floats, right: NDArray[np.bool_], min_confidence: float) -> Band:
    sure = confidence > min_confidence
    [given] = shares(np.array([np.count_nonzero(sure)]), np.array([len(sure)]))
    answered = shares(np.array([np.count_nonzero(right[sure])]), np.array([given.right])) if given.right else [None]
    return Band(min_confidence, *given.interval, answered[0])


def _slices(
    labels: Sequence[str], probabilities: Floats, names: Sequence[str], traits: Traits, right: NDArray[np.bool_]
) -> tuple[Slice, ...]:
    found = []
    for name, rows in traits.slices().items():
        inside = [label for label, is_in in zip(labels, rows.tolist(), strict=True) if is_in]
        metrics = evaluate(inside, probabilities[rows], names, resamples=0)
        shown = [metric for metric in SLICE_METRICS if metric in metrics]
        if len(set(inside)) < 2:
            shown.remove("macro_f1")  # over one label it says nothing
        [share] = shares(np.array([np.count_nonzero(right[rows])]), np.array([len(inside)]))
        found.append(Slice(name, share, {metric: metrics[metric] for metric in shown}))
    return tuple(found)
