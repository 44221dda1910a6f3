"""Any registered model on any file of labelled reviews, without taking them in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sentiment.errors import NotEnoughDataError, storage_errors
from sentiment.labels import LABELS
from sentiment.registry import Registry
from sentiment.reviews.contract import apply_contract, rating_numbers
from sentiment.reviews.sources import read_batches, source_name
from sentiment.serving.explain import telling_words
from sentiment.serving.scorer import Scorer
from sentiment.settings import DataSettings, Settings
from sentiment.training.evaluation import Evaluation, assess
from sentiment.training.evaluation_page import render
from sentiment.training.slices import Traits

if TYPE_CHECKING:
    from sentiment.training.measures import Floats

_WORD_TEXTS, _WORDS = 2_000, 30


@dataclass(frozen=True)
class FileEvaluation:
    """What a model version is worth on a file, and which rows did not count.

    Attributes
    ----------
    unlabelled, duplicates : int
        Rows without a label, and rows that repeat another.
    refused : dict of str to int
        Rows that the contract refuses, by reason.
    """

    version: str
    evaluation: Evaluation
    unlabelled: int
    duplicates: int
    refused: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON types."""
        counts = {"unlabelled": self.unlabelled, "duplicates": self.duplicates, "refused": self.refused}
        return {"version": self.version, **counts, **self.evaluation.to_dict()}

    def left_out(self) -> list[str]:
        """Say which rows did not count; nothing if all did."""
        counts = {"without a label": self.unlabelled, "twice there": self.duplicates, **self.refused}
        said = ", ".join(f"{count:,} {why}" for why, count in counts.items() if count)
        return [f"Left out: {said}."] if said else []


def evaluate_file(
    settings: Settings,
    path: Path,
    *,
    registry: Registry,
    version: str | None = None,
    text: str | None = None,
    label: str | None = None,
    report: Path | None = None,
) -> FileEvaluation:
    """Measure a model version on a file; its labels mean what they would mean to `ingest`.

    Parameters
    ----------
    settings : Settings
    path : Path
        A file of any form that `read_batches` reads. It is read in batches, and no texts are kept.
    version : str, optional
        The version; the champion if not given.
    text, label : str, optional
        Names of the columns.
    report : Path, optional
        Where to write the HTML page.

    Raises
    ------
    SourceError
        The file is missing, not readable or lacks a column.
    NotEnoughDataError
        No row has a label that the model knows.
    """
    model = registry.version(version) if version else registry.champion()
    scorer = registry.load_scorer(model)
    reading = _Reading(settings.data.model_copy(update={"scheme": _scheme(scorer.labels)}), scorer)
    for batch in read_batches(path, text=text, label=label, batch_rows=settings.data.batch_rows):
        reading.add(batch, source_name(path))
    if not reading.traits:
        raise NotEnoughDataError(
            f"No row of {path} has a label that version {model.version} knows ({', '.join(scorer.labels)}).",
            fix="Name the column of the labels with --label, and that of the texts with --text.",
        )
    traits = Traits.joined(reading.traits)
    evaluation = assess(
        np.concatenate(reading.probabilities),
        scorer.labels,
        traits=traits,
        min_confidence=scorer.min_confidence,
        seed=settings.training.seed,
    )
    if report is not None:
        words = telling_words(scorer, reading.texts, top=_WORDS)
        page = render(evaluation, words, title=f"Model version {model.version} on {path.name}")
        with storage_errors(str(report)):
            report.parent.mkdir(parents=True, exist_ok=True)
            report.write_text(page, encoding="utf-8")
    counts = (reading.unlabelled, reading.duplicates, dict(reading.refused))
    return FileEvaluation(model.version, evaluation, *counts)


class _Reading:
    """What was kept of the batches so far."""

    def __init__(self, data: DataSettings, scorer: Scorer) -> None:
        self._data, self._scorer = data, scorer
        self._known: dict[str, str | None] = {}
        self.probabilities: list[Floats] = []
        self.traits: list[Traits] = []
        self.texts: list[str] = []  # the first ones, over which words are counted
        self.unlabelled = self.duplicates = 0
        self.refused: Counter[str] = Counter()

    def add(self, batch: pd.DataFrame, source: str) -> None:
        """Check and answer the rows of a batch."""
        named = batch.assign(source=batch["source"].where(batch["source"].notna(), source))
        checked = apply_contract(named, self._data, known=self._known)
        rows = checked.accepted
        self._known.update(zip(rows["review_id"], rows["label"], strict=True))
        self.duplicates += checked.duplicates
        self.refused.update(checked.reasons)
        labelled = rows[rows["label"].notna()]
        self.unlabelled += len(rows) - len(labelled)
        if labelled.empty:
            return
        texts = labelled["text"].tolist()
        ratings = batch.set_index("row_number")["rating"].loc[labelled["row_number"]]
        self.texts.extend(texts[: max(0, _WORD_TEXTS - len(self.texts))])
        self.probabilities.append(self._scorer.probabilities(texts))
        self.traits.append(
            Traits.of(
                texts,
                labels=labelled["label"].tolist(),
                sources=labelled["source"].tolist(),
                ratings=[None if pd.isna(number) else f"{number:g}" for number in rating_numbers(ratings)],
            )
        )


def _scheme(labels: tuple[str, ...]) -> str:
    return next(scheme for scheme, known in LABELS.items() if known == labels)
