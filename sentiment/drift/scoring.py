"""The champion's answers to the rows of a side: what was logged where it answered, anew for the rest.

What a server logged for a row is what this module would say of it, to the last digits, so that most of a window need
not be scored again. It is not taken on trust. A row is scored anew

- if another version answered it, or the log does not say all of it: in schemes of three or more labels it does not say
  how sure an answer was;
- if personal data was replaced in its text: the logged answer is to the original, and the reference holds only
  replaced ones;
- like all the others, if the log is wrong about one of `CHECKED` rows: then it is of another model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sentiment.drift.reading import with_labels_of
from sentiment.drift.sample import Sample, measure, spread
from sentiment.drift.sampling import Row, SampledRows
from sentiment.drift.sides import Side
from sentiment.redaction import TOKENS

if TYPE_CHECKING:
    from sentiment.serving.scorer import Scorer

logger = logging.getLogger(__name__)

CHECKED = 50
"""Logged answers that are compared with the model's own, evenly spread."""

_SAME = 1e-6  # servers add in another order, which moves the last digits


def sample_of(kept: SampledRows, scorer: Scorer, *, side: Side, version: str | None = None) -> Sample:
    """Measure the rows of a side, with what the champion answers to them.

    Parameters
    ----------
    kept : SampledRows
    scorer : Scorer
        The champion.
    side : Side
        Where the rows come from.
    version : str, optional
        The champion's; rows that it answered need not be scored again.

    Raises
    ------
    DataError
        The rows are labelled in another scheme than the champion's.
    """
    labels = with_labels_of(kept.rows, scorer.labels, side=side, must_know=True)
    answers = _answers(kept.rows, scorer, version)
    found = _sample([row.text for row in kept.rows], answers, scorer)
    return found.with_labels(labels, sources=sources_of(kept))


def scored(texts: Sequence[str], scorer: Scorer) -> Sample:
    """Measure texts, with what a scorer answers to them."""
    return _sample(texts, _score(texts, scorer), scorer)


def sources_of(kept: SampledRows) -> tuple[str, ...] | None:
    """Return where the rows come from; None if nobody says so."""
    if not any(row.source for row in kept.rows):
        return None
    return tuple(row.source or "" for row in kept.rows)


@dataclass(frozen=True)
class _Answers:
    """Arrays of shape (rows,): see `Sample`; `labels` are numbers of the scorer's."""

    scores: NDArray[np.float64]
    confidence: NDArray[np.float64]
    unknown_share: NDArray[np.float64]
    labels: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp]) -> _Answers:
        return _Answers(*(getattr(self, field.name)[rows] for field in fields(self)))

    def like(self, other: _Answers) -> bool:
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return all(np.allclose(mine, theirs, rtol=0, atol=_SAME) for mine, theirs in pairs)


def _answers(rows: Sequence[Row], scorer: Scorer, version: str | None) -> _Answers:
    logged = np.array([_is_logged(row, scorer, version) for row in rows], dtype=np.bool_)
    known = np.flatnonzero(logged)
    found = _logged([rows[row] for row in known.tolist()], scorer)
    checked = spread(len(known), CHECKED)
    if not _score([rows[row].text for row in known[checked].tolist()], scorer).like(found.take(checked)):
        logger.warning("the log holds other answers of version %s than the model gives: all are scored anew", version)
        return _score([row.text for row in rows], scorer)
    others = np.flatnonzero(~logged)
    anew = _score([rows[row].text for row in others.tolist()], scorer)
    places = np.argsort(np.concatenate((known, others)), kind="stable")
    parts = ((getattr(found, field.name), getattr(anew, field.name)) for field in fields(_Answers))
    return _Answers(*(np.concatenate(part)[places] for part in parts))


def _is_logged(row: Row, scorer: Scorer, version: str | None) -> bool:
    answer = row.answer
    if answer is None or answer.version != version or answer.label not in scorer.labels or len(scorer.labels) != 2:
        return False
    return "[" not in row.text or not any(token in row.text for token in TOKENS.values())


def _logged(rows: Sequence[Row], scorer: Scorer) -> _Answers:
    answers = [row.answer for row in rows if row.answer is not None]
    scores = np.array([answer.score for answer in answers], dtype=np.float64)
    unknown = np.array([answer.unknown_share for answer in answers], dtype=np.float64)  # NaN for None
    missing = np.flatnonzero(np.isnan(unknown))
    unknown[missing] = scorer.unknown_share([rows[row].text for row in missing.tolist()])
    labels = np.array([scorer.labels.index(answer.label) for answer in answers], dtype=np.intp)
    return _Answers(scores, np.maximum(scores, 1 - scores), unknown, labels)


def _score(texts: Sequence[str], scorer: Scorer) -> _Answers:
    probabilities, unknown_share = scorer.read(texts)
    return _Answers(
        scorer.scores_of(probabilities),
        probabilities.max(axis=1, initial=0.0),
        unknown_share,
        probabilities.argmax(axis=1),
    )


def _sample(texts: Sequence[str], answers: _Answers, scorer: Scorer) -> Sample:
    return measure(
        texts,
        scores=answers.scores,
        predictions=[scorer.labels[label] for label in answers.labels.tolist()],
        confidence=answers.confidence,
        unknown_share=answers.unknown_share,
    )
