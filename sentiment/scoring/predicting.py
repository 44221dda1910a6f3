"""Answers to the texts of a table or a stream, by a scorer in this process or by a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sentiment.client_answers import Prediction, Refused
from sentiment.scoring.records import Rows, Writer
from sentiment.scoring.run import MALFORMED, NO_TEXT
from sentiment.serving.scorer import Scorer

Item = Prediction | Refused


@dataclass(frozen=True)
class Answerer:
    """Who answers.

    Attributes
    ----------
    labels : tuple of str
        From the most negative to the most positive.
    answer : callable
        Gives an answer, or why there is none, for each text.
    """

    labels: tuple[str, ...]
    answer: Callable[[Sequence[str]], Iterable[Item]]

    @classmethod
    def of_scorer(cls, scorer: Scorer, version: str) -> Answerer:
        """Answer in this process."""
        return cls(scorer.labels, lambda texts: _scored(scorer, version, texts))

    def columns(self) -> pa.Schema:
        """Return the columns that a table gets."""
        return pa.schema(
            [
                ("predicted_label", pa.string()),
                ("predicted_score", pa.float64()),
                *((f"probability_{label}", pa.float64()) for label in self.labels),
                ("abstained", pa.bool_()),
                ("model_version", pa.string()),
                ("request_id", pa.string()),
                ("problem", pa.string()),
            ]
        )

    def fields(self, item: Item | str) -> dict[str, Any]:
        """Return what a row gets; of one without an answer only why there is none."""
        empty: dict[str, Any] = dict.fromkeys(self.columns().names)
        if not isinstance(item, Prediction):
            return {**empty, "problem": str(item)}
        return {
            **empty,
            "predicted_label": item.label,
            "predicted_score": item.score,
            **{f"probability_{label}": value for label, value in item.probabilities.items()},
            "abstained": item.abstained,
            "model_version": item.model_version,
            "request_id": item.request_id,
        }


@dataclass
class Counts:
    """What has been answered so far: rows, and those without an answer."""

    rows: int = 0
    unread: int = 0


def answered(answerer: Answerer, rows: Rows) -> list[Item | str]:
    """Return the answer to each row, or why there is none."""
    items: list[Item | str] = [MALFORMED if malformed else NO_TEXT for malformed in rows.malformed]
    asked = [
        place
        for place, (text, malformed) in enumerate(zip(rows.texts, rows.malformed, strict=True))
        if text and text.strip() and not malformed
    ]
    answers = answerer.answer([rows.texts[place] or "" for place in asked])
    for place, answer in zip(asked, answers, strict=True):
        items[place] = answer
    return items


def predict_table(
    answerer: Answerer, batches: Iterable[Rows], writer: Writer, *, tell: Callable[[int], None] = lambda _: None
) -> Counts:
    """Write the rows with their answers; `tell` is called with the number of rows of each batch."""
    counts = Counts()
    for rows in batches:
        items = answered(answerer, rows)
        records = [{**record, **answerer.fields(item)} for record, item in zip(rows.records, items, strict=True)]
        writer.write(records, rows.schema)
        counts.rows += len(items)
        counts.unread += sum(not isinstance(item, Prediction) for item in items)
        tell(len(items))
    return counts


def _scored(scorer: Scorer, version: str, texts: Sequence[str]) -> Iterator[Prediction]:
    table = scorer.probabilities(texts)
    columns = table.argmax(axis=1), scorer.scores_of(table), table, scorer.abstains(table)
    for best, value, row, unsure in zip(*(column.tolist() for column in columns), strict=True):
        yield Prediction(scorer.labels[best], value, dict(zip(scorer.labels, row, strict=True)), unsure, version)
